// The parameters of Slide Attention as its kernels read them: a channel's weights by position and then by sample, the bias
// as one more position, and the samples padded with zeros, so that a position's samples are read as packs:
//   table[c][t][j] = W[c,j,t]      table[c][k²][j] = b[c,j]      position_table[n][j] = rpb[n,j]
// A thread writes one number. Bound: nothing; it is one launch in place of several small ones.
#include "SlideWindow.cuh"

// weight [d, k², k²], or null with SHIFTS; bias [d, k²]; position_bias [h, k²]; table [d, TAPS, AREA_PADDED]; position_table
// [h, AREA_PADDED].
KERNEL __launch_bounds__(256) slide_table(
    const ELEMENT* __restrict__ weight, const ELEMENT* __restrict__ bias, const ELEMENT* __restrict__ position_bias,
    float* __restrict__ table, float* __restrict__ position_table, int depth, int heads) {
    const long long size = static_cast<long long>(depth) * TAPS * AREA_PADDED;
    const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= size + heads * AREA_PADDED) return;
    const int place = static_cast<int>(index % AREA_PADDED);
    const int sample = place / SAMPLES_PADDED * SAMPLES + place % SAMPLES_PADDED;
    const bool is_padding = place % SAMPLES_PADDED >= SAMPLES || sample >= AREA;
    const long long line = index / AREA_PADDED;
    float value = 0.0f;
    if (index >= size) {
        if (!is_padding) value = to_float(position_bias[(line - static_cast<long long>(depth) * TAPS) * AREA + sample]);
        position_table[index - size] = value;
        return;
    }
    const long long channel = line / TAPS;
    const int tap = static_cast<int>(line % TAPS);
    if (!is_padding)
        value = to_float(tap == TAPS - 1 ? bias[channel * AREA + sample] : weight[(channel * AREA + sample) * AREA + tap]);
    table[index] = value;
}
