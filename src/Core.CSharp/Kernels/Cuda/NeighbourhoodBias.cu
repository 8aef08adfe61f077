// The gradient of neighbourhood attention's biases: the gradients of scores, added up by offset.
#include "NeighbourhoodSide.cuh"

// The biases' gradient by parts [parts, h, 2k−1, 2k−1]: a block adds up one offset of one head over the rows of its part,
// from by_score [B, h, k², H, W]. Each element of that is read once.
KERNEL neighbourhood_bias_gradients(const float* __restrict__ by_score, float* __restrict__ sums, int batch, int height,
                                    int width, int heads, int dilation, int parts) {
    const Shared<float> by_warp(0);
    const int offset = blockIdx.x, head = blockIdx.y, part = blockIdx.z;
    const int down = offset / OFFSETS - (WINDOW - 1), across = offset % OFFSETS - (WINDOW - 1);
    const long long lines = static_cast<long long>(batch) * height;
    const long long plane = static_cast<long long>(height) * width;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    float sum = 0.0f;
    for (long long line = lines * part / parts + warp; line < lines * (part + 1) / parts; line += warps) {
        const int row = static_cast<int>(line % height);
        const Side rows(height, dilation, row % dilation);
        // The row's place in a window: where this offset leads, counted from the window's first key.
        const int key_row = row / dilation + down - rows.first_key(row / dilation);
        if (key_row < 0 || key_row >= WINDOW) continue;
        const long long first = (line / height * heads + head) * AREA * plane;
        const float* image = by_score + first + static_cast<long long>(row) * width;
        for (int column = lane; column < width; column += WARP) {
            const Side columns(width, dilation, column % dilation);
            const int key_column = column / dilation + across - columns.first_key(column / dilation);
            if (key_column >= 0 && key_column < WINDOW) sum += image[(key_row * WINDOW + key_column) * plane + column];
        }
    }
    sum = sum_over<WARP>(sum);
    if (lane == 0) by_warp[warp] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float whole = 0.0f;
        for (int index = 0; index < warps; ++index) whole += by_warp[index];
        sums[(static_cast<long long>(part) * heads + head) * (OFFSETS * OFFSETS) + offset] = whole;
    }
}
