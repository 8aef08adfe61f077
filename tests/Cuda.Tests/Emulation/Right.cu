// Kernels that are right, each a small use of what the emulation has.
#include "Device.cuh"

KERNEL doubled(const float* __restrict__ x, float* __restrict__ y, int count) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) y[index] = 2.0f * x[index];
}

KERNEL halved_in_part(float* __restrict__ x, int count) {
    const int index = threadIdx.x;
    if (index < count) x[index] *= 0.5f;
}

KERNEL extents(int* __restrict__ y, long long step) {
    const long long block = blockIdx.x + static_cast<long long>(gridDim.x) * (blockIdx.y + gridDim.y * blockIdx.z);
    y[block * blockDim.x + threadIdx.x] = static_cast<int>(1000 * blockIdx.z + 100 * blockIdx.y + 10 * blockIdx.x + step);
}

KERNEL turned(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x;
    shared[thread] = x[thread];
    __syncthreads();
    y[thread] = shared[(thread + blockDim.x - 1) % blockDim.x];
}

KERNEL turned_in_warps(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(0);
    const int thread = threadIdx.x, first = thread / WARP * WARP;
    for (int step = 0; step < 3; step++) {
        shared[thread] = x[thread] + step;
        __syncwarp();
        y[thread] = shared[first + (thread + 1) % WARP];
        __syncwarp();
    }
}

KERNEL in_packs(const float* __restrict__ x, float* __restrict__ y) {
    Shared<float> shared(16);
    const int at = threadIdx.x * 4;
    Pack<float, 4> pack = load<4>(x + at);
    shared.store<4>(at, pack);
    shared[at + 1] += 1.0f;
    shared[at + 2] = shared[at + 3];
    store(y + at, shared.load<4>(at));
}

KERNEL shuffled(const int* __restrict__ x, int* __restrict__ y) {
    const int lane = threadIdx.x;
    int* row = y + lane;
    const int value = x[lane];
    row[0] = __shfl_sync(ALL_LANES, value, 5);
    row[32] = __shfl_sync(ALL_LANES, value, lane + 3, 8);
    row[64] = __shfl_xor_sync(ALL_LANES, value, 6);
    row[96] = __shfl_up_sync(ALL_LANES, value, 3, 16);
    row[128] = __shfl_down_sync(ALL_LANES, value, 3, 16);
    row[160] = static_cast<int>(__ballot_sync(ALL_LANES, value % 3 == 0));
    row[192] = __any_sync(ALL_LANES, value == 7) + 2 * __all_sync(ALL_LANES, value < 40);
    row[224] = static_cast<int>(sum_over<4>(static_cast<float>(value)));
    row[256] = static_cast<int>(largest_over<32>(static_cast<float>(-value)));
}

KERNEL widened(const half* __restrict__ x, float* __restrict__ y) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    y[index] = to_float(x[index]);
}

KERNEL narrowed(const float* __restrict__ x, half* __restrict__ y) {
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    y[index] = element_of<half>(x[index]);
}

// A product of 16×16 and 16×8, from rows and columns as Device.cuh lays them out.
template <typename T>
DEVICE void multiply(const T* a, const T* b, float* d) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned left[4], right[2];
    for (int word = 0; word < 4; word++) {
        const T* from = a + (g + word % 2 * 8) * 16 + 2 * t + word / 2 * 8;
        left[word] = word_of(from[0], from[1]);
    }
    for (int word = 0; word < 2; word++) {
        const T* from = b + (2 * t + word * 8) * 8 + g;
        right[word] = word_of(from[0], from[8]);
    }
    float sums[4];
    for (int index = 0; index < 4; index++) sums[index] = 0.5f;
    multiply_add(sums, left, right, T());
    for (int index = 0; index < 4; index++) d[(g + index / 2 * 8) * 8 + 2 * t + index % 2] = sums[index];
}

KERNEL multiplied_half(const half* __restrict__ a, const half* __restrict__ b, float* __restrict__ d) { multiply(a, b, d); }

KERNEL multiplied_bfloat16(const bfloat16* __restrict__ a, const bfloat16* __restrict__ b, float* __restrict__ d) {
    multiply(a, b, d);
}
