// What every kernel stands on: element types, packs of elements as memory moves them, shared memory, sums over a warp, and
// products on tensor cores. Compiled by NVRTC for a device and by g++ for the tests; only what differs between the two is
// behind `EMULATED`, and then in Emulation.h, which comes first there and also has CUDA's own names.
//
// A kernel is compiled for one ELEMENT (float, half or bfloat16: how tensors stand in memory) and computes in float.
#pragma once

#if !defined(EMULATED)
#define DEVICE __device__ __forceinline__
// With THREADS among the constants, registers are shared out so that a block of as many threads can start.
#if defined(THREADS)
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)
#else
#define KERNEL extern "C" __global__ void
#endif
#endif

#define WARP 32
#define ALL_LANES 0xffffffffu
// The lowest float: where a maximum starts.
#define LOWEST (-3.402823466e38f)

// ---- Elements -----------------------------------------------------------------------------------------------------

// IEEE 754 binary16.
struct half {
    unsigned short bits;
};

// The upper half of a float.
struct bfloat16 {
    unsigned short bits;
};

DEVICE unsigned bits_of(float value) {
    union {
        float real;
        unsigned bits;
    } both;
    both.real = value;
    return both.bits;
}

DEVICE float float_of(unsigned bits) {
    union {
        unsigned bits;
        float real;
    } both;
    both.bits = bits;
    return both.real;
}

DEVICE float to_float(float value) { return value; }

DEVICE float to_float(bfloat16 value) { return float_of(static_cast<unsigned>(value.bits) << 16); }

#if defined(EMULATED)
DEVICE float to_float(half value) { return emulated_half_to_float(value.bits); }
#else
DEVICE float to_float(half value) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
    return result;
}
#endif

DEVICE void from_float(float value, float& result) { result = value; }

DEVICE void from_float(float value, bfloat16& result) {
    const unsigned bits = bits_of(value);
    // Half of the last kept bit, less one where that bit is even: to nearest, ties to even.
    const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    result.bits = static_cast<unsigned short>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

#if defined(EMULATED)
DEVICE void from_float(float value, half& result) { result.bits = emulated_float_to_half(value); }
#else
DEVICE void from_float(float value, half& result) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
}
#endif

template <typename T>
DEVICE T element_of(float value) {
    T result;
    from_float(value, result);
    return result;
}

// Neighbouring elements that one instruction moves: 2, 4, 8 or 16 bytes, at an address that is a multiple of that.
template <typename T, int Count>
struct alignas(sizeof(T) * Count) Pack {
    T at[Count];
};

// The most elements of a type that one instruction moves, of `Width` that stand together.
template <typename T, int Width>
struct Widest {
    static constexpr int most = 16 / static_cast<int>(sizeof(T));
    static constexpr int value = Width % most == 0 ? most : Width % (most / 2) == 0 ? most / 2 : Width % 2 == 0 && most > 2 ? 2 : 1;
};

template <int Count, typename T>
DEVICE Pack<T, Count> load(const T* source) {
    return *reinterpret_cast<const Pack<T, Count>*>(source);
}

template <int Count, typename T>
DEVICE void store(T* target, const Pack<T, Count>& pack) {
    *reinterpret_cast<Pack<T, Count>*>(target) = pack;
}

// ---- Shared memory ------------------------------------------------------------------------------------------------

// An array in the block's shared memory, `offset` bytes from its start, a multiple of 16. Under emulation every access is
// checked: it lies in the launch's shared memory, what is read has been written, and a barrier stands between a write and
// another thread's access. So shared memory is reached through this alone.
#if !defined(EMULATED)
extern __shared__ __align__(16) unsigned char shared_memory[];

template <typename T>
struct Shared {
    T* start;

    DEVICE explicit Shared(int offset) : start(reinterpret_cast<T*>(shared_memory + offset)) {}
    DEVICE T& operator[](int index) const { return start[index]; }

    template <int Count>
    DEVICE Pack<T, Count> load(int index) const { return ::load<Count>(start + index); }

    template <int Count>
    DEVICE void store(int index, const Pack<T, Count>& pack) const { ::store<Count>(start + index, pack); }
};
#endif

// ---- A warp -------------------------------------------------------------------------------------------------------

// The sum over lanes whose numbers differ in the lowest bits alone: `Lanes` of them, a power of 2. The same bits in each.
template <int Lanes>
DEVICE float sum_over(float value) {
#pragma unroll
    for (int step = Lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
    return value;
}

template <int Lanes>
DEVICE float largest_over(float value) {
#pragma unroll
    for (int step = Lanes / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, step));
    return value;
}

// ---- Tensor cores -------------------------------------------------------------------------------------------------

// D += A·B by a whole warp, A 16×16, B 16×8, D 16×8 in float: `mma.m16n8k16`. With g = lane / 4 and t = lane % 4,
//   a[0] = A[g][2t, 2t+1]      a[1] = A[g+8][2t, 2t+1]     a[2] = A[g][2t+8, 2t+9]    a[3] = A[g+8][2t+8, 2t+9]
//   b[0] = B[2t, 2t+1][g]      b[1] = B[2t+8, 2t+9][g]
//   d[0] = D[g][2t]   d[1] = D[g][2t+1]   d[2] = D[g+8][2t]   d[3] = D[g+8][2t+1]
// where each word of a and b holds two elements, the first in its lower half. Volatile, so that no compiler moves it to where
// only some lanes go.
#if !defined(EMULATED)
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], half) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], bfloat16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Two elements as a word of a product's operand.
template <typename T>
DEVICE unsigned word_of(T first, T second) {
    return static_cast<unsigned>(first.bits) | static_cast<unsigned>(second.bits) << 16;
}

// Two numbers, rounded to elements, as such a word.
#if defined(EMULATED)
template <typename T>
DEVICE unsigned packed(float first, float second) {
    return word_of(element_of<T>(first), element_of<T>(second));
}
#else
DEVICE unsigned packed(float first, float second, half) {
    unsigned word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
    return word;
}

DEVICE unsigned packed(float first, float second, bfloat16) {
    unsigned word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
    return word;
}

template <typename T>
DEVICE unsigned packed(float first, float second) {
    return packed(first, second, T{});
}
#endif
