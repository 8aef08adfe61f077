// The launch that runs: where it is, and how it fails.
#pragma once

#include <string>

#include "Emulation.h"

namespace emulated {

// Ends the process with an error text as the launch's result.
[[noreturn]] void end_with(const std::string& text);

inline const char* kernel_name = "no kernel";

inline std::string text_of(Extent extent) {
    return "(" + std::to_string(extent.x) + ", " + std::to_string(extent.y) + ", " + std::to_string(extent.z) + ")";
}

inline std::string text_of(Place place) { return std::string(place.file) + ":" + std::to_string(place.line); }

inline std::string kernel_and_block() { return std::string(kernel_name) + ", block " + text_of(blockIdx); }

// Ends with an error of the running thread.
[[noreturn]] inline void fail_in_thread(const std::string& what) {
    end_with(kernel_and_block() + ", thread " + std::to_string(threadIdx.x) + ": " + what);
}

// Numbers that follow from a seed.
class Counter {
public:
    explicit Counter(unsigned long long seed) : state(seed) {}

    // Below a bound.
    unsigned below(unsigned bound) {
        state += 0x9e3779b97f4a7c15ull;
        unsigned long long mixed = state;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
        return static_cast<unsigned>(((mixed ^ (mixed >> 31)) >> 32) * bound >> 32);
    }

    // Puts things into an order.
    template <typename T>
    void shuffle(T* things, unsigned count) {
        for (unsigned left = count; left > 1; left--) std::swap(things[left - 1], things[below(left)]);
    }

private:
    unsigned long long state;
};

}  // namespace emulated
