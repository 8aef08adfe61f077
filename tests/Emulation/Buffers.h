// The arguments of a launch on the host's heap, each of exactly its size, so that AddressSanitizer sees what goes beyond.
#pragma once

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "Calls.h"

namespace emulated {

// A tensor's memory.
class Buffer {
public:
    // `lead` bytes beyond a multiple of 256, as the tensor stands in its allocation.
    Buffer(size_t size, size_t lead) : size(size), lead(lead) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 256, lead + size) != 0) abort();
        base = static_cast<char*>(memory);
        __asan_poison_memory_region(base, lead);
    }

    ~Buffer() {
        if (base != nullptr) __asan_unpoison_memory_region(base, lead);
        free(base);
    }

    Buffer(Buffer&& other) noexcept : size(other.size), lead(other.lead), base(other.base) { other.base = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    char* start() const { return base + lead; }
    size_t length() const { return size; }

    // Fills it with what no kernel computes: a NaN of a rare payload.
    void poison(int element) {
        const Pattern pattern = pattern_of(element);
        for (size_t at = 0; at + pattern.size <= size; at += pattern.size) memcpy(start() + at, pattern.bytes, pattern.size);
    }

    // The first element that still is what poison() made of it, or -1.
    long long first_poisoned(int element) const {
        const Pattern pattern = pattern_of(element);
        if (!pattern.counts) return -1;
        for (size_t at = 0; at + pattern.size <= size; at += pattern.size) {
            if (memcmp(start() + at, pattern.bytes, pattern.size) == 0) return static_cast<long long>(at / pattern.size);
        }
        return -1;
    }

private:
    struct Pattern {
        unsigned char bytes[4];
        size_t size;
        // Whether finding it means that nothing was written; an integer may have any value.
        bool counts;
    };

    size_t size;
    size_t lead;
    char* base;

    static Pattern pattern_of(int element) {
        if (element == element_number<float>) return {{0xa1, 0xc3, 0xe5, 0x7f}, 4, true};
        if (element == element_number<half>) return {{0x5c, 0x7e}, 2, true};
        if (element == element_number<bfloat16>) return {{0xe5, 0x7f}, 2, true};
        return {{0xa5}, 1, false};
    }
};

}  // namespace emulated
