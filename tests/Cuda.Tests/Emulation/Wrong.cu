// Kernels with one error each, which the emulation must find.
#include "Device.cuh"

KERNEL race_of_read(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    shared[thread] = 2.0f * x[thread];
    y[thread] = shared[(thread + 32) % 64];
}

KERNEL race_of_write(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread / 2] = x[thread];
    __syncthreads();
    y[thread] = shared[thread / 2];
}

KERNEL race_after_read(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[(thread + 1) % 64];
    shared[thread] = 0.0f;
}

KERNEL race_in_warp(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    y[thread] = __shfl_xor_sync(ALL_LANES, 1.0f, 1) + shared[thread ^ 1];
}

KERNEL warps_apart(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = 0.0f;
    __syncthreads();
    shared[thread] = x[thread];
    __syncwarp();
    y[thread] = shared[(thread + 32) % 64];
}

KERNEL unwritten_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    if (thread != 9) shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[thread];
}

KERNEL beyond_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread + 1] = x[thread];
    __syncthreads();
    y[thread] = shared[thread + 1];
}

KERNEL misaligned_shared(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    if (thread < 15) shared.store<4>(4 * thread + 1, load<4>(x + 4 * thread));
    __syncthreads();
    y[thread] = 0.0f;
}

KERNEL two_barriers(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    if (thread < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[thread] = x[thread];
}

KERNEL early_end(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread];
    if (thread >= 40) return;
    __syncthreads();
}

KERNEL divergent_shuffle(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    float value = x[thread];
    if (thread % 32 < 16) value += __shfl_xor_sync(ALL_LANES, value, 1);
    y[thread] = value;
}

KERNEL shuffle_of_few(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = thread % 32 < 16 ? __shfl_xor_sync(0x0000ffffu, x[thread], 1) : 0.0f;
}

KERNEL read_beyond(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread + 1];
}

KERNEL read_before(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread] = x[thread - 1];
}

KERNEL written_beyond(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    y[thread + 3] = x[thread];
}

KERNEL misaligned(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    const Pack<float, 2> pack = load<2>(x + min(thread * 2 + 1, 61));
    y[thread] = pack.at[0];
}

KERNEL overflow(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    const int large = 0x7fffff00 + thread * 8;
    y[thread] = x[thread] + static_cast<float>(large);
}

KERNEL unwritten(const float* __restrict__ x, float* __restrict__ y) {
    const int thread = threadIdx.x;
    if (thread != 17) y[thread] = x[thread];
}

KERNEL ordered(const float* __restrict__ x, float* __restrict__ y) {
    y[threadIdx.x / 32] = x[threadIdx.x];
    y[threadIdx.x] = x[0];
}

KERNEL never_ends(const float* __restrict__ x, float* __restrict__ y) {
    y[threadIdx.x] = x[threadIdx.x];
    while (gridDim.x > 0) blockDim.y++;
}
