// CUDA's names by clang's builtins, so that clang alone, without NVIDIA's headers, checks kernels' syntax and types and turns
// them into PTX. NVRTC knows these names by itself; this plays no part where a kernel is compiled to run.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __align__(bytes) __attribute__((aligned(bytes)))

struct ThreadIndex {
    __declspec(property(get = read_x)) unsigned x;
    __declspec(property(get = read_y)) unsigned y;
    __declspec(property(get = read_z)) unsigned z;
    __device__ unsigned read_x() const { return __nvvm_read_ptx_sreg_tid_x(); }
    __device__ unsigned read_y() const { return __nvvm_read_ptx_sreg_tid_y(); }
    __device__ unsigned read_z() const { return __nvvm_read_ptx_sreg_tid_z(); }
};
struct BlockIndex {
    __declspec(property(get = read_x)) unsigned x;
    __declspec(property(get = read_y)) unsigned y;
    __declspec(property(get = read_z)) unsigned z;
    __device__ unsigned read_x() const { return __nvvm_read_ptx_sreg_ctaid_x(); }
    __device__ unsigned read_y() const { return __nvvm_read_ptx_sreg_ctaid_y(); }
    __device__ unsigned read_z() const { return __nvvm_read_ptx_sreg_ctaid_z(); }
};
struct BlockExtent {
    __declspec(property(get = read_x)) unsigned x;
    __device__ unsigned read_x() const { return __nvvm_read_ptx_sreg_ntid_x(); }
};
struct GridExtent {
    __declspec(property(get = read_x)) unsigned x;
    __declspec(property(get = read_y)) unsigned y;
    __declspec(property(get = read_z)) unsigned z;
    __device__ unsigned read_x() const { return __nvvm_read_ptx_sreg_nctaid_x(); }
    __device__ unsigned read_y() const { return __nvvm_read_ptx_sreg_nctaid_y(); }
    __device__ unsigned read_z() const { return __nvvm_read_ptx_sreg_nctaid_z(); }
};
extern const __device__ __attribute__((weak)) ThreadIndex threadIdx;
extern const __device__ __attribute__((weak)) BlockIndex blockIdx;
extern const __device__ __attribute__((weak)) BlockExtent blockDim;
extern const __device__ __attribute__((weak)) GridExtent gridDim;

// __syncthreads is a builtin of clang itself.
#define FUNCTION static __device__ __forceinline__

FUNCTION void __syncwarp(unsigned mask = 0xffffffffu) { __nvvm_bar_warp_sync(mask); }

#define SHUFFLE(name, builtin, limit)                                                                       \
    FUNCTION int name(unsigned mask, int value, int other, int width = 32) {                               \
        return __nvvm_shfl_sync_##builtin##_i32(mask, value, other, ((32 - width) << 8) | limit);          \
    }                                                                                                       \
    FUNCTION unsigned name(unsigned mask, unsigned value, int other, int width = 32) {                     \
        return __nvvm_shfl_sync_##builtin##_i32(mask, value, other, ((32 - width) << 8) | limit);          \
    }                                                                                                       \
    FUNCTION float name(unsigned mask, float value, int other, int width = 32) {                           \
        return __nvvm_shfl_sync_##builtin##_f32(mask, value, other, ((32 - width) << 8) | limit);          \
    }
SHUFFLE(__shfl_sync, idx, 31)
SHUFFLE(__shfl_xor_sync, bfly, 31)
SHUFFLE(__shfl_down_sync, down, 31)
SHUFFLE(__shfl_up_sync, up, 0)
FUNCTION unsigned __ballot_sync(unsigned mask, int predicate) { return __nvvm_vote_ballot_sync(mask, predicate); }
FUNCTION int __any_sync(unsigned mask, int predicate) { return __nvvm_vote_any_sync(mask, predicate); }
FUNCTION int __all_sync(unsigned mask, int predicate) { return __nvvm_vote_all_sync(mask, predicate); }

FUNCTION int min(int a, int b) { return a < b ? a : b; }
FUNCTION int max(int a, int b) { return a > b ? a : b; }
FUNCTION unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
FUNCTION unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
FUNCTION long long min(long long a, long long b) { return a < b ? a : b; }
FUNCTION long long max(long long a, long long b) { return a > b ? a : b; }
FUNCTION float fminf(float a, float b) { return __nvvm_fmin_f(a, b); }
FUNCTION float fmaxf(float a, float b) { return __nvvm_fmax_f(a, b); }
FUNCTION float fmaf(float a, float b, float c) { return __nvvm_fma_rn_f(a, b, c); }
FUNCTION float fabsf(float a) { return __nvvm_fabs_f(a); }
FUNCTION float sqrtf(float a) { return __nvvm_sqrt_rn_f(a); }
FUNCTION float rsqrtf(float a) { return __nvvm_rsqrt_approx_f(a); }
FUNCTION float __expf(float a) { return __nvvm_ex2_approx_f(a * 1.4426950408889634f); }
FUNCTION float expf(float a) { return __expf(a); }
FUNCTION float exp2f(float a) { return __nvvm_ex2_approx_f(a); }
FUNCTION float __logf(float a) { return __nvvm_lg2_approx_f(a) * 0.6931471805599453f; }
FUNCTION float logf(float a) { return __logf(a); }
FUNCTION float __fdividef(float a, float b) { return a / b; }
FUNCTION int __popc(unsigned bits) { return __builtin_popcount(bits); }
FUNCTION int __ffs(int bits) { return __builtin_ffs(bits); }
template <typename T>
FUNCTION T __ldg(const T* place) {
    return *place;
}
