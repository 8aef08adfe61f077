// The threads of a block: they run one after another, each until it waits for others; warps and lanes in an order that
// follows from the launch's seed. Threads that wait for each other at different places are an error.
#pragma once

#include <string.h>

#include "Fibers.h"
#include "SharedMemory.h"

namespace emulated {

class Block {
public:
    static constexpr int most_threads = 1024;

    // Runs one block of `count` threads.
    void run(const Entry& kernel, const unsigned long long* arguments, int count, Counter& order) {
        entry = &kernel;
        bits = arguments;
        thread_count = count;
        for (; begun < count; begun++) threads[begun].fiber.begin(body);
        for (int index = 0; index < count; index++) threads[index].state = State::ready;
        shared_memory.begin_block();
        int warps[most_threads / 32];
        const int warp_count = count / 32;
        for (int warp = 0; warp < warp_count; warp++) warps[warp] = warp;
        do {
            order.shuffle(warps, static_cast<unsigned>(warp_count));
            for (int index = 0; index < warp_count; index++) run_warp(warps[index], order);
        } while (pass_barrier());
    }

    void wait_for_block(Place place) { wait(State::block, "__syncthreads", place); }

    const Words* exchange(const char* function, unsigned mask, const Words& mine, Place place) {
        if (mask != 0xffffffffu) {
            fail_in_thread(std::string(function) + " is not called for all lanes, at " + text_of(place));
        }
        Thread& thread = threads[threadIdx.x];
        // Two in turn: a lane can be one exchange ahead of others that have not looked yet, never two.
        Words* shown = this->shown[threadIdx.x / 32][thread.exchanges++ & 1];
        shown[threadIdx.x % 32] = mine;
        wait(State::warp, function, place);
        return shown;
    }

private:
    enum class State { ready, warp, block, ended };

    struct Thread {
        Fiber fiber;
        State state = State::ready;
        unsigned exchanges = 0;
        const char* function = "";
        Place place{"", 0};

        bool waits_as(const Thread& other) const {
            if (state != other.state) return false;
            return state == State::ended || (place.line == other.place.line && strcmp(function, other.function) == 0 &&
                                             strcmp(place.file, other.place.file) == 0);
        }

        std::string text() const {
            if (state == State::ended) return "ended";
            return std::string("wait in ") + function + " at " + emulated::text_of(place);
        }
    };

    const Entry* entry = nullptr;
    const unsigned long long* bits = nullptr;
    int thread_count = 0;
    int begun = 0;
    Fiber scheduler;
    Thread threads[most_threads];
    Words shown[most_threads / 32][2][32];

    static void body();

    void wait(State state, const char* function, Place place) {
        Thread& thread = threads[threadIdx.x];
        thread.state = state;
        thread.function = function;
        thread.place = place;
        thread.fiber.hand_over_to(scheduler);
    }

    // Until all lanes wait for the block, or have ended.
    void run_warp(int warp, Counter& order) {
        Thread* lanes = threads + warp * 32;
        int lane_order[32];
        for (int lane = 0; lane < 32; lane++) lane_order[lane] = lane;
        for (;;) {
            order.shuffle(lane_order, 32);
            for (int lane : lane_order) {
                if (lanes[lane].state != State::ready) continue;
                threadIdx.x = static_cast<unsigned>(warp * 32 + lane);
                scheduler.hand_over_to(lanes[lane].fiber);
            }
            for (int lane = 1; lane < 32; lane++) {
                if (!lanes[lane].waits_as(lanes[0])) fail_diverged("lanes of a warp", warp * 32, warp * 32 + 32);
            }
            if (lanes[0].state != State::warp) return;
            if (strcmp(lanes[0].function, "__syncwarp") == 0) shared_memory.pass_warp_barrier(warp);
            for (int lane = 0; lane < 32; lane++) lanes[lane].state = State::ready;
        }
    }

    // Whether there is more to run: all threads have met, rather than ended.
    bool pass_barrier() {
        for (int index = 1; index < thread_count; index++) {
            if (!threads[index].waits_as(threads[0])) fail_diverged("threads of a block", 0, thread_count);
        }
        if (threads[0].state == State::ended) return false;
        shared_memory.pass_barrier();
        for (int index = 0; index < thread_count; index++) threads[index].state = State::ready;
        return true;
    }

    // Says what the threads of a range do, those that do the same together.
    [[noreturn]] void fail_diverged(const char* whom, int first, int end) {
        std::string text = kernel_and_block() + ": " + whom + " diverge:";
        for (int start = first; start < end;) {
            int next = start + 1;
            while (next < end && threads[next].waits_as(threads[start])) next++;
            text += start == first ? " " : "; ";
            text += next == start + 1 ? "thread " + std::to_string(start)
                                      : "threads " + std::to_string(start) + " to " + std::to_string(next - 1);
            text += " " + threads[start].text();
            start = next;
        }
        end_with(text);
    }
};

inline Block block;

inline void Block::body() {
    Fiber::arrive_from(block.scheduler);
    for (;;) {
        Thread& thread = block.threads[threadIdx.x];
        block.entry->call(block.bits);
        thread.state = State::ended;
        thread.fiber.hand_over_to(block.scheduler);
    }
}

}  // namespace emulated
