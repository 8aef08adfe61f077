// CUDA's names for g++: what a kernel's text needs to run on the host, one fiber for each thread of a block. It comes first,
// with EMULATED defined; Runner.cpp defines what is only declared here. Every name that waits or touches shared memory takes
// the place of its call, so that an error can say where.
#pragma once

#include <math.h>
#include <string.h>

#include "Calls.h"

#define DEVICE inline
#define KERNEL extern "C" void
#define __launch_bounds__(...)

// ---- Where a thread is --------------------------------------------------------------------------------------------

struct Extent {
    unsigned x, y, z;
};

extern Extent threadIdx, blockIdx, blockDim, gridDim;

// ---- What the emulation does --------------------------------------------------------------------------------------

namespace emulated {

// A line of a source.
struct Place {
    const char* file;
    int line;
};

// What a lane shows to its warp.
struct Words {
    unsigned at[6];
};

// Waits for all threads of the block.
void wait_for_block(Place place);

// Waits for the lanes of the warp, and returns what each of the 32 has shown; until the lane's next call.
const Words* exchange(const char* function, unsigned mask, const Words& mine, Place place);

// Orders what the lanes of the warp do with shared memory, before and after.
void wait_for_warp(unsigned mask, Place place);

int lane();

// Checks an access to shared memory, `size` bytes at `offset`, and returns where they are on the host.
const void* to_read(long long offset, int size, Place place);
void* to_write(long long offset, int size, Place place);

// Checks where an array in shared memory starts.
int start_of_array(int offset, Place place);

// Adds this lane's part of a product of 16×16 and 16×8 elements to its four sums.
void add_product(float* d, const Words* lanes, float (*value_of)(unsigned short bits));

float half_to_float(unsigned short bits);
unsigned short float_to_half(float value);

}  // namespace emulated

// A parameter that nobody passes: the place of the call.
#define EMULATED_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// ---- Numbers ------------------------------------------------------------------------------------------------------

DEVICE float emulated_half_to_float(unsigned short bits) { return emulated::half_to_float(bits); }
DEVICE unsigned short emulated_float_to_half(float value) { return emulated::float_to_half(value); }

#define rsqrtf(x) (1.0f / sqrtf(x))
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __fdividef(x, y) ((x) / (y))

DEVICE int min(int a, int b) { return a < b ? a : b; }
DEVICE int max(int a, int b) { return a > b ? a : b; }
DEVICE unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
DEVICE unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
DEVICE long long min(long long a, long long b) { return a < b ? a : b; }
DEVICE long long max(long long a, long long b) { return a > b ? a : b; }
DEVICE float min(float a, float b) { return fminf(a, b); }
DEVICE float max(float a, float b) { return fmaxf(a, b); }

DEVICE int __popc(unsigned bits) { return __builtin_popcount(bits); }
DEVICE int __ffs(int bits) { return __builtin_ffs(bits); }
DEVICE int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }

template <typename T>
DEVICE T __ldg(const T* place) {
    return *place;
}

// ---- A block and its warps ----------------------------------------------------------------------------------------

DEVICE void __syncthreads(EMULATED_PLACE) { emulated::wait_for_block({file, line}); }

DEVICE void __syncwarp(unsigned mask = 0xffffffffu, EMULATED_PLACE) { emulated::wait_for_warp(mask, {file, line}); }

namespace emulated {

// The value of one of the lanes.
template <typename T>
T taken(const char* function, unsigned mask, T value, int source, Place place) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes exchange numbers of 32 or 64 bits");
    Words words{};
    memcpy(&words, &value, sizeof(T));
    const Words* lanes = exchange(function, mask, words, place);
    memcpy(&value, &lanes[source], sizeof(T));
    return value;
}

// A lane by its number in this lane's group of `width`.
inline int first_of_group(int width) { return lane() & ~(width - 1); }

}  // namespace emulated

template <typename T>
DEVICE T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMULATED_PLACE) {
    const int from = emulated::first_of_group(width) + (source & (width - 1));
    return emulated::taken("__shfl_sync", mask, value, from, {file, line});
}

template <typename T>
DEVICE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMULATED_PLACE) {
    const int from = emulated::lane() ^ bits;
    const bool within = from >= 0 && from < emulated::first_of_group(width) + width;
    return emulated::taken("__shfl_xor_sync", mask, value, within ? from : emulated::lane(), {file, line});
}

template <typename T>
DEVICE T __shfl_up_sync(unsigned mask, T value, int distance, int width = 32, EMULATED_PLACE) {
    const int from = emulated::lane() - distance;
    const bool within = from >= emulated::first_of_group(width);
    return emulated::taken("__shfl_up_sync", mask, value, within ? from : emulated::lane(), {file, line});
}

template <typename T>
DEVICE T __shfl_down_sync(unsigned mask, T value, int distance, int width = 32, EMULATED_PLACE) {
    const int from = emulated::lane() + distance;
    const bool within = from < emulated::first_of_group(width) + width;
    return emulated::taken("__shfl_down_sync", mask, value, within ? from : emulated::lane(), {file, line});
}

DEVICE unsigned __ballot_sync(unsigned mask, int predicate, EMULATED_PLACE) {
    const emulated::Words words{{predicate != 0}};
    const emulated::Words* lanes = emulated::exchange("__ballot_sync", mask, words, {file, line});
    unsigned result = 0;
    for (int lane = 0; lane < 32; lane++) result |= lanes[lane].at[0] << lane;
    return result;
}

DEVICE int __any_sync(unsigned mask, int predicate, EMULATED_PLACE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}

DEVICE int __all_sync(unsigned mask, int predicate, EMULATED_PLACE) {
    return __ballot_sync(mask, predicate, file, line) == 0xffffffffu;
}

// The product of Device.cuh, T being half or bfloat16.
template <typename T>
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], T, EMULATED_PLACE) {
    const emulated::Words words{{a[0], a[1], a[2], a[3], b[0], b[1]}};
    const emulated::Words* lanes = emulated::exchange("multiply_add", 0xffffffffu, words, {file, line});
    emulated::add_product(d, lanes, [](unsigned short bits) { return to_float(T{bits}); });
}

// ---- Shared memory ------------------------------------------------------------------------------------------------

// Defined in Device.cuh.
template <typename T, int Count>
struct Pack;

// An index that knows where it was written down.
struct PlacedIndex {
    int value;
    emulated::Place place;

    PlacedIndex(int value, EMULATED_PLACE) : value(value), place{file, line} {}
};

// What `shared[index]` is: it reads when it is converted, and writes when it is assigned to. Nobody can keep one by
// `auto` and read later what on a device would have been read at once.
template <typename T>
class SharedElement {
    long long offset;
    emulated::Place place;

    T read() const {
        T value;
        memcpy(static_cast<void*>(&value), emulated::to_read(offset, sizeof(T), place), sizeof(T));
        return value;
    }

    void write(T value) const {
        memcpy(emulated::to_write(offset, sizeof(T), place), static_cast<void*>(&value), sizeof(T));
    }

public:
    SharedElement(long long offset, emulated::Place place) : offset(offset), place(place) {}

    operator T() && { return read(); }

    void operator=(T value) && { write(value); }

    void operator=(SharedElement&& other) && { write(other.read()); }

    template <typename U>
    void operator+=(U value) && {
        write(static_cast<T>(read() + static_cast<T>(value)));
    }

    template <typename U>
    void operator-=(U value) && {
        write(static_cast<T>(read() - static_cast<T>(value)));
    }

    template <typename U>
    void operator*=(U value) && {
        write(static_cast<T>(read() * static_cast<T>(value)));
    }

    void operator&() const = delete;
};

template <typename T>
struct Shared {
    static_assert(sizeof(T) % 2 == 0, "accesses to shared memory are remembered for every two bytes");
    int start;

    explicit Shared(int offset, EMULATED_PLACE) : start(emulated::start_of_array(offset, {file, line})) {}

    SharedElement<T> operator[](PlacedIndex index) const { return {at(index.value), index.place}; }

    template <int Count>
    Pack<T, Count> load(int index, EMULATED_PLACE) const {
        constexpr int size = sizeof(T) * Count;
        Pack<T, Count> pack;
        memcpy(static_cast<void*>(&pack), emulated::to_read(at(index), size, {file, line}), size);
        return pack;
    }

    template <int Count>
    void store(int index, const Pack<T, Count>& pack, EMULATED_PLACE) const {
        constexpr int size = sizeof(T) * Count;
        memcpy(emulated::to_write(at(index), size, {file, line}), static_cast<const void*>(&pack), size);
    }

private:
    long long at(int index) const { return start + static_cast<long long>(index) * static_cast<long long>(sizeof(T)); }
};
