// What the backward pass of window attention needs beside products: for each query delta = Σ_c slope_c · output_c, and the
// gradient of a table of biases, the sum over all pairs of an offset of the slopes of their scores.
// Both are bound by memory, and small beside the products.
#define BIAS 0
#include "Window.cuh"

// slopes, output [tokens, h, d]; deltas [tokens, h]. ROW_LANES lanes share a row.
KERNEL window_deltas(const ELEMENT* __restrict__ slopes, const ELEMENT* __restrict__ output, float* __restrict__ deltas,
                     long long rows) {
    const long long row = static_cast<long long>(blockIdx.x) * (THREADS / ROW_LANES) + threadIdx.x / ROW_LANES;
    const float sum = row_product(slopes + row * DEPTH, output + row * DEPTH, row < rows);
    if (row < rows && threadIdx.x % ROW_LANES == 0) deltas[row] = sum;
}

// pairs [h, L, L]: the slopes of scores, summed over windows, L the tokens of the largest one, `rows`·`columns`;
// table [(2w − 1)², h]. A warp owns an offset of a head, y − y' and x − x', and adds its pairs in an order of their own.
KERNEL window_offsets(const float* __restrict__ pairs, float* __restrict__ table, int heads, int window, int rows, int columns) {
    const int offsets = 2 * window - 1;
    const long long item = static_cast<long long>(blockIdx.x) * (THREADS / WARP) + threadIdx.x / WARP;
    const int head = static_cast<int>(item % heads);
    const long long offset = item / heads;
    const bool is_offset = offset < static_cast<long long>(offsets) * offsets;
    const int down = static_cast<int>(offset / offsets) - (window - 1);
    const int right = static_cast<int>(offset % offsets) - (window - 1);
    const int high = max(0, rows - (down < 0 ? -down : down));
    const int wide = max(0, columns - (right < 0 ? -right : right));
    const int longest = rows * columns;
    const float* source = pairs + static_cast<long long>(head) * longest * longest;
    float sum = 0.0f;
    if (is_offset) {
        for (int pair = threadIdx.x % WARP; pair < high * wide; pair += WARP) {
            const int y = pair / wide + max(0, down);
            const int x = pair % wide + max(0, right);
            sum += source[static_cast<long long>(y * columns + x) * longest + (y - down) * columns + (x - right)];
        }
    }
    sum = sum_over<WARP>(sum);
    if (is_offset && threadIdx.x % WARP == 0) table[item] = sum;
}
