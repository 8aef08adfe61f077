// The parameters of Slide Attention as tensor cores read them (SlideProduct.cuh): for each position t of the window and last
// the bias (W[c,j,k²] = b[c,j]), each step of 16 channels and each step of 16 samples, four words for each of 32 lanes. With
// g = lane / 4 and q = lane % 4, word 2·n + i holds
//   for scores:  W[16·channels + 2q + 8i .. + 1, 16·samples + 8n + g, t]
//   for mixing:  W[16·channels + 8n + g, 16·samples + 2q + 8i .. + 1, t]
// and zeros beyond the channels and samples there are. A thread writes an element of both, and of the position bias.
#include "Device.cuh"

#define AREA (WINDOW * WINDOW)
#define SAMPLE_STEPS ((AREA + 15) / 16)

// weight [d, k², k²]; bias [d, k²]; position_bias [h, k²]; for_scores and for_mixing [k² + 1, channel steps, SAMPLE_STEPS,
// 32, 4, 2]; position_table [h, 16·SAMPLE_STEPS].
KERNEL __launch_bounds__(256) slide_product_table(
    const WEIGHT* __restrict__ weight, const WEIGHT* __restrict__ bias, const WEIGHT* __restrict__ position_bias,
    ELEMENT* __restrict__ for_scores, ELEMENT* __restrict__ for_mixing, float* __restrict__ position_table, int depth,
    int heads) {
    const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int channel_steps = (depth + 15) / 16;
    const long long size = static_cast<long long>(AREA + 1) * channel_steps * SAMPLE_STEPS * 256;
    if (index >= size) {
        const long long place = index - size;
        if (place >= heads * SAMPLE_STEPS * 16) return;
        const int sample = static_cast<int>(place % (SAMPLE_STEPS * 16));
        position_table[place] =
            sample < AREA ? to_float(position_bias[place / (SAMPLE_STEPS * 16) * AREA + sample]) : 0.0f;
        return;
    }
    const int second = index % 2;
    const int word = index / 2 % 4;
    const int lane = index / 8 % 32;
    const int samples = static_cast<int>(index / 256 % SAMPLE_STEPS);
    const int channels = static_cast<int>(index / (256 * SAMPLE_STEPS) % channel_steps);
    const int tap = static_cast<int>(index / (256 * SAMPLE_STEPS) / channel_steps);
    const int deep = lane % 4 * 2 + word % 2 * 8 + second;
    const int wide = word / 2 * 8 + lane / 4;
#pragma unroll
    for (int kind = 0; kind < 2; ++kind) {
        const long long channel = channels * 16 + (kind == 0 ? deep : wide);
        const int sample = samples * 16 + (kind == 0 ? wide : deep);
        float value = 0.0f;
        if (channel < depth && sample < AREA)
            value = to_float(tap == AREA ? bias[channel * AREA + sample] : weight[(channel * AREA + sample) * AREA + tap]);
        from_float(value, kind == 0 ? for_scores[index] : for_mixing[index]);
    }
}
