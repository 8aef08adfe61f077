// The shared memory of the block that runs. Of every two bytes it remembers who wrote them last and who has read them since.
// Two accesses by different threads, one of them a write, must have a barrier between them, or, in one warp, __syncwarp.
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include <vector>

#include "Launch.h"

namespace emulated {

class SharedMemory {
public:
    // A launch with so many bytes.
    void begin_launch(int count) {
        bytes = count;
        free(memory);
        memory = nullptr;
        if (count > 0 && posix_memalign(&memory, 256, static_cast<size_t>(count)) != 0) abort();
        // What earlier launches have left belongs to earlier epochs.
        granules.resize((static_cast<size_t>(count) + 1) / 2);
    }

    // A block, which finds nothing written.
    void begin_block() { first_epoch = ++epoch; }

    // All threads have met.
    void pass_barrier() { epoch++; }

    // The lanes of a warp have met.
    void pass_warp_barrier(int warp) { clocks[warp]++; }

    int start_of_array(int offset, Place place) const {
        if (offset < 0 || offset > bytes || offset % 16 != 0) {
            fail_in_thread("an array in shared memory starts at byte " + std::to_string(offset) + " of " +
                           std::to_string(bytes) + ", not at a multiple of 16 within, at " + text_of(place));
        }
        return offset;
    }

    const void* to_read(long long offset, int size, Place place) {
        check_extent("reads", offset, size, place);
        const Access now = access(place);
        for (long long index = offset / 2; index < (offset + size + 1) / 2; index++) {
            Granule& granule = granules[static_cast<size_t>(index)];
            if (granule.writer.epoch < first_epoch) {
                fail_in_thread("reads shared memory that no thread of the block has written, byte " +
                               std::to_string(index * 2) + ", at " + text_of(place));
            }
            check_order("reads", "wrote", index, granule.writer, now);
            remember(granule, now);
        }
        return static_cast<const char*>(memory) + offset;
    }

    void* to_write(long long offset, int size, Place place) {
        check_extent("writes", offset, size, place);
        const Access now = access(place);
        for (long long index = offset / 2; index < (offset + size + 1) / 2; index++) {
            Granule& granule = granules[static_cast<size_t>(index)];
            check_order("writes", "wrote", index, granule.writer, now);
            for (const Access& reader : granule.readers) check_order("writes", "read", index, reader, now);
            granule.writer = now;
        }
        return static_cast<char*>(memory) + offset;
    }

private:
    struct Access {
        // Barriers so far, and those of the thread's warp.
        uint32_t epoch = 0;
        uint32_t clock = 0;
        int thread = 0;
        Place place{"", 0};
    };

    // Of the readers, the last; the last other one in its warp; and the last in another warp. A write that none of these
    // forbids is forbidden by no reader: a reader in another warp forbids every write until a barrier.
    struct Granule {
        Access writer;
        Access readers[3];
    };

    int bytes = 0;
    void* memory = nullptr;
    std::vector<Granule> granules;
    uint32_t epoch = 0;
    uint32_t first_epoch = 0;
    uint32_t clocks[32] = {};

    Access access(Place place) const {
        const int thread = static_cast<int>(threadIdx.x);
        return {epoch, clocks[thread / 32], thread, place};
    }

    void check_extent(const char* verb, long long offset, int size, Place place) const {
        if (offset < 0 || offset + size > bytes) {
            fail_extent(verb, offset, size, ", where the launch has " + std::to_string(bytes), place);
        }
        // What one instruction moves is aligned to its size.
        if ((size & (size - 1)) == 0 && offset % size != 0) fail_extent(verb, offset, size, ", which is misaligned", place);
    }

    [[noreturn]] static void fail_extent(const char* verb, long long offset, int size, const std::string& why, Place place) {
        fail_in_thread(std::string(verb) + " " + std::to_string(size) + " bytes of shared memory at byte " +
                       std::to_string(offset) + why + ", at " + text_of(place));
    }

    // An earlier access must be the thread's own, or be over for this thread.
    void check_order(const char* verb, const char* earlier_verb, long long index, const Access& earlier,
                     const Access& now) const {
        const bool over = earlier.epoch < epoch || (earlier.thread / 32 == now.thread / 32 && earlier.clock < now.clock);
        if (earlier.thread != now.thread && !over) fail_race(verb, earlier_verb, index, earlier, now);
    }

    [[noreturn]] static void fail_race(const char* verb, const char* earlier_verb, long long index, const Access& earlier,
                                       const Access& now) {
        fail_in_thread("race in shared memory: " + std::string(verb) + " byte " + std::to_string(index * 2) + " at " +
                       text_of(now.place) + ", which thread " + std::to_string(earlier.thread) + " " + earlier_verb +
                       " at " + text_of(earlier.place) + " with no barrier between");
    }

    void remember(Granule& granule, const Access& now) const {
        Access& last = granule.readers[0];
        Access& same_warp = granule.readers[1];
        Access& other_warp = granule.readers[2];
        if (last.epoch == now.epoch && last.thread != now.thread) {
            if (last.thread / 32 == now.thread / 32) {
                same_warp = last;
            } else {
                other_warp = last;
                same_warp = Access();
            }
        }
        last = now;
    }
};

inline SharedMemory shared_memory;

}  // namespace emulated
