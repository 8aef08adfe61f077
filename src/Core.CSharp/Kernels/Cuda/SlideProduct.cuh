// What the kernels of Slide Attention on tensor cores share. Both of its sums are products of matrices:
//   score[p, j] = Σ_(t,c) (u_c[p] X[c,p+t]) · W[c,j,t]
//   G[p, (t,c)] = Σ_j s_j[p] · W[c,j,t]        row_c[p] = Σ_t G[p, (t,c)] X[c,p+t]
// The first one's left side is made in registers from two words, the query's and the neighbour's; the second one's result is
// used up in registers. Neither is ever stored. Products are rounded to the elements' type, sums are floats.
//
// Constants: ELEMENT, half or bfloat16; WINDOW; DEPTH; PADDING as Slide.cuh has them; WARPS of a block; STACK, products that
// a warp does at a time, each of 16 tokens: 2 rows of 8; CHUNK, the channels that are staged at a time, a multiple of 16.
#pragma once

#include "Device.cuh"

#define AREA (WINDOW * WINDOW)
#define RADIUS (WINDOW / 2)
#define THREADS (WARPS * WARP)

#define TILE_COLUMNS 8
#define TILE_ROWS (2 * STACK * WARPS)
#define HALO_ROWS (TILE_ROWS + WINDOW - 1)
#define HALO_COLUMNS (TILE_COLUMNS + WINDOW - 1)
#define PLACES (HALO_ROWS * HALO_COLUMNS)

// Samples and channels in steps of a product's depth. A step of both has the tables' words for 32 lanes, 4 for each.
#define SAMPLE_STEPS ((AREA + 15) / 16)
#define CHANNEL_STEPS ((DEPTH + 15) / 16)
#define CHUNK_STEPS (CHUNK / 16)
#define STEP_WORDS (WARP * 4)

// Words from a staged place to the next: an odd multiple of 4, so that the 8 columns of a row meet different banks.
#define PITCH (CHUNK / 2 + 4)
#define PLACES_BYTES (PLACES * PITCH * 4)

// Neighbouring elements of a head that one instruction moves.
#define PACK (Widest<ELEMENT, DEPTH>::value)

#include "SlidePlaces.cuh"

// ---- Words of two elements ----------------------------------------------------------------------------------------

DEVICE float first_of(unsigned word) {
    ELEMENT element;
    element.bits = static_cast<unsigned short>(word & 0xffffu);
    return to_float(element);
}

DEVICE float second_of(unsigned word) {
    ELEMENT element;
    element.bits = static_cast<unsigned short>(word >> 16);
    return to_float(element);
}

// Element by element, rounded.
#if defined(EMULATED)
template <typename T>
DEVICE unsigned product_of(unsigned left, unsigned right, T) {
    return packed<T>(first_of(left) * first_of(right), second_of(left) * second_of(right));
}
#else
DEVICE unsigned product_of(unsigned left, unsigned right, half) {
    unsigned word;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(word) : "r"(left), "r"(right));
    return word;
}

DEVICE unsigned product_of(unsigned left, unsigned right, bfloat16) {
    unsigned word;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(left), "r"(right), "r"(0x80008000u));
    return word;
}
#endif

// What numbers are divided by before they are rounded: for half, whose range is small, a power of 2 above the largest of
// them; for bfloat16 nothing. Dividing by it is exact.
DEVICE float range_of(float, bfloat16) { return 1.0f; }

DEVICE float range_of(float largest, half) {
    const unsigned exponent = bits_of(largest) & 0x7f800000u;
    // Of zeros, of the least numbers and of what is not finite, as they are.
    return exponent < 0x10000000u || exponent >= 0x70000000u ? 1.0f : float_of(exponent + 0x00800000u);
}

// 1 over such a number, exactly.
DEVICE float inverse_of(float range) { return float_of(0x7f000000u - bits_of(range)); }

// ---- Places -------------------------------------------------------------------------------------------------------

// The two tokens of each product that a lane has: a column of the tile, and rows one below the other.
struct Lane {
    int group, part, column, row;

    DEVICE Lane() {
        const int lane = threadIdx.x % WARP;
        group = lane / 4;
        part = lane % 4;
        column = group;
        row = threadIdx.x / WARP * 2 * STACK;
    }

    // The place of a token in a staged tile, at the corner of its window.
    DEVICE int place(int stack, int second) const { return (row + 2 * stack + second) * HALO_COLUMNS + column; }
};

// CHUNK channels from `first` on of HALO_ROWS×HALO_COLUMNS places, as [place][PITCH words]; zeros where nothing stands.
// `source` is the image's first token at the head's first channel. `Extends`: places outside the map are what the padding
// says, and not zeros.
template <bool Extends>
DEVICE void stage_places(const ELEMENT* source, long long step, int first, int top, int left, int height, int width,
                         const Shared<ELEMENT>& places) {
    constexpr int packs = CHUNK / PACK;
    for (int index = threadIdx.x; index < PLACES * packs; index += THREADS) {
        const int channel = index % packs * PACK;
        const int place = index / packs;
        const int down = top + place / HALO_COLUMNS, across = left + place % HALO_COLUMNS;
        const int row = Extends ? resolved(down, height) : inside(down, height);
        const int column = Extends ? resolved(across, width) : inside(across, width);
        Pack<ELEMENT, PACK> pack;
        if (row >= 0 && column >= 0 && first + channel < DEPTH) {
            pack = load<PACK>(source + (static_cast<long long>(row) * width + column) * step + first + channel);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; ++i) pack.at[i].bits = 0;
        }
        places.store<PACK>(place * 2 * PITCH + channel, pack);
    }
}

// Two channels of a token; zeros beyond the last channel.
DEVICE unsigned read_word(const ELEMENT* token, int channel) {
    if (DEPTH % 2 == 0) {
        if (channel >= DEPTH) return 0;
        const auto pack = load<DEPTH % 2 == 0 ? 2 : 1>(token + channel);
        return word_of(pack.at[0], pack.at[DEPTH % 2 == 0 ? 1 : 0]);
    }
    ELEMENT first, second;
    first.bits = second.bits = 0;
    if (channel < DEPTH) first = token[channel];
    if (channel + 1 < DEPTH) second = token[channel + 1];
    return word_of(first, second);
}

DEVICE void write_word(ELEMENT* token, int channel, float first, float second) {
    if (DEPTH % 2 == 0) {
        if (channel >= DEPTH) return;
        Pack<ELEMENT, DEPTH % 2 == 0 ? 2 : 1> pack;
        from_float(first, pack.at[0]);
        from_float(second, pack.at[DEPTH % 2 == 0 ? 1 : 0]);
        store<DEPTH % 2 == 0 ? 2 : 1>(token + channel, pack);
        return;
    }
    if (channel < DEPTH) from_float(first, token[channel]);
    if (channel + 1 < DEPTH) from_float(second, token[channel + 1]);
}

// ---- Products -----------------------------------------------------------------------------------------------------

DEVICE void read_step(const unsigned* table, int step, unsigned (&first)[2], unsigned (&second)[2]) {
    const auto pack = load<4>(table + static_cast<long long>(step) * STEP_WORDS + threadIdx.x % WARP * 4);
    first[0] = pack.at[0];
    first[1] = pack.at[1];
    second[0] = pack.at[2];
    second[1] = pack.at[3];
}

// Adds a chunk's channels to the scores: sums[stack] is D of its 2·SAMPLE_STEPS products. `own` has u's words of a chunk, as
// A has them: two tokens of channels 2·part, then of those 8 on. `table` has, for each position and last the bias, for each
// step of channels and each of samples, b[0] and b[1] of its first 8 samples, then of the others.
DEVICE void add_scores(const Lane& lane, const unsigned (&own)[STACK][CHUNK_STEPS][4], const Shared<unsigned>& places,
                       const unsigned* table, int first_step, float (&sums)[STACK][2 * SAMPLE_STEPS][4]) {
#pragma unroll 1
    for (int down = 0; down <= WINDOW; ++down) {
#if WINDOW <= 5
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int across = 0; across < WINDOW; ++across) {
            // After the last row, the bias.
            if (down == WINDOW && across > 0) break;
            const int step = ((down * WINDOW + across) * CHANNEL_STEPS + first_step) * SAMPLE_STEPS;
#pragma unroll
            for (int channels = 0; channels < CHUNK_STEPS; ++channels) {
                unsigned left[STACK][4];
#pragma unroll
                for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        left[stack][i] = own[stack][channels][i];
                        if (down == WINDOW) continue;
                        const int place = lane.place(stack, i % 2) + down * HALO_COLUMNS + across;
                        left[stack][i] = product_of(
                            left[stack][i], places[place * PITCH + channels * 8 + i / 2 * 4 + lane.part], ELEMENT{});
                    }
#pragma unroll
                for (int samples = 0; samples < SAMPLE_STEPS; ++samples) {
                    unsigned first[2], second[2];
                    read_step(table, step + channels * SAMPLE_STEPS + samples, first, second);
#pragma unroll
                    for (int stack = 0; stack < STACK; ++stack) {
                        multiply_add(sums[stack][2 * samples], left[stack], first, ELEMENT{});
                        multiply_add(sums[stack][2 * samples + 1], left[stack], second, ELEMENT{});
                    }
                }
            }
        }
    }
}

// The samples' numbers as A of the second sum: D of two products side by side is A of one.
DEVICE void to_factors(const float (&numbers)[STACK][2 * SAMPLE_STEPS][4], unsigned (&factors)[STACK][SAMPLE_STEPS][4]) {
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int samples = 0; samples < SAMPLE_STEPS; ++samples)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                factors[stack][samples][i] = packed<ELEMENT>(
                    numbers[stack][2 * samples + i / 2][i % 2 * 2], numbers[stack][2 * samples + i / 2][i % 2 * 2 + 1]);
}

// Mixes a chunk's channels: rows[stack][n] has channels 8n + 2·part and the next of both tokens, as D has them. `table` as
// above, with b[0], b[1] of a step's first 8 channels, then of the others, over its samples.
DEVICE void mix_samples(const Lane& lane, const unsigned (&factors)[STACK][SAMPLE_STEPS][4], const Shared<unsigned>& places,
                        const unsigned* table, int first_step, float (&rows)[STACK][2 * CHUNK_STEPS][4]) {
#pragma unroll 1
    for (int down = 0; down <= WINDOW; ++down) {
#if WINDOW <= 5
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int across = 0; across < WINDOW; ++across) {
            if (down == WINDOW && across > 0) break;
            const int step = ((down * WINDOW + across) * CHANNEL_STEPS + first_step) * SAMPLE_STEPS;
#pragma unroll
            for (int channels = 0; channels < CHUNK_STEPS; ++channels) {
                float mixed[STACK][2][4];
#pragma unroll
                for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
                    for (int i = 0; i < 8; ++i) mixed[stack][i / 4][i % 4] = 0.0f;
#pragma unroll
                for (int samples = 0; samples < SAMPLE_STEPS; ++samples) {
                    unsigned first[2], second[2];
                    read_step(table, step + channels * SAMPLE_STEPS + samples, first, second);
#pragma unroll
                    for (int stack = 0; stack < STACK; ++stack) {
                        multiply_add(mixed[stack][0], factors[stack][samples], first, ELEMENT{});
                        multiply_add(mixed[stack][1], factors[stack][samples], second, ELEMENT{});
                    }
                }
#pragma unroll
                for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        // Channels of the step's first or second 8, of the first or second token.
                        const int half_step = i / 2, second = i % 2;
                        float* row = &rows[stack][2 * channels + half_step][second * 2];
                        const float* from = &mixed[stack][half_step][second * 2];
                        if (down == WINDOW) {
                            row[0] += from[0];
                            row[1] += from[1];
                            continue;
                        }
                        const int place = lane.place(stack, second) + down * HALO_COLUMNS + across;
                        const unsigned word = places[place * PITCH + channels * 8 + half_step * 4 + lane.part];
                        row[0] = fmaf(from[0], first_of(word), row[0]);
                        row[1] = fmaf(from[1], second_of(word), row[1]);
                    }
            }
        }
    }
}

// ---- Rows ---------------------------------------------------------------------------------------------------------

// A word's elements over what range_of gives.
DEVICE unsigned divided(unsigned word, float, bfloat16) { return word; }

DEVICE unsigned divided(unsigned word, float range, half) {
    return packed<half>(first_of(word) * inverse_of(range), second_of(word) * inverse_of(range));
}

// A lane's tokens, by their rows of `step` elements; null outside the map. `source` is the image's and the head's first.
DEVICE void find_tokens(const Lane& lane, const Tile& tile, const ELEMENT* source, long long step, int height, int width,
                        const ELEMENT* (&tokens)[STACK][2]) {
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int second = 0; second < 2; ++second) {
            const int row = tile.top + lane.row + 2 * stack + second;
            const int column = tile.left + lane.column;
            const bool is_there = row < height && column < width;
            tokens[stack][second] =
                is_there ? source + (static_cast<long long>(row) * width + column) * step : nullptr;
        }
}

DEVICE unsigned read_word_or_zeros(const ELEMENT* token, int channel) {
    return token == nullptr ? 0 : read_word(token, channel);
}

// What the tokens' channels are to be divided by, and their sums. All lanes of a warp take part.
DEVICE void measure(const Lane& lane, const ELEMENT* const (&tokens)[STACK][2], float (&ranges)[STACK][2],
                    float (&totals)[STACK][2]) {
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int second = 0; second < 2; ++second) {
            float largest = 0.0f, total = 0.0f;
#pragma unroll
            for (int step = 0; step < 2 * CHANNEL_STEPS; ++step) {
                const unsigned word = read_word_or_zeros(tokens[stack][second], step * 8 + lane.part * 2);
                largest = fmaxf(largest, fmaxf(fabsf(first_of(word)), fabsf(second_of(word))));
                total += first_of(word) + second_of(word);
            }
            ranges[stack][second] = range_of(largest_over<4>(largest), ELEMENT{});
            totals[stack][second] = sum_over<4>(total);
        }
}

// The tokens' channels of a chunk, as A of the first sum.
DEVICE void read_own(const Lane& lane, const ELEMENT* const (&tokens)[STACK][2], int first_step,
                     const float (&ranges)[STACK][2], unsigned (&own)[STACK][CHUNK_STEPS][4]) {
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int step = 0; step < CHUNK_STEPS; ++step)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                own[stack][step][i] = divided(
                    read_word_or_zeros(tokens[stack][i % 2], (first_step + step) * 16 + i / 2 * 8 + lane.part * 2),
                    ranges[stack][i % 2], ELEMENT{});
}

// All channels' part of the scores, with what they were divided by.
DEVICE void sum_scores(const Lane& lane, const Tile& tile, const ELEMENT* const (&tokens)[STACK][2],
                       const float (&ranges)[STACK][2], const ELEMENT* neighbours, long long step, int height, int width,
                       const unsigned* table, float (&sums)[STACK][2 * SAMPLE_STEPS][4]) {
    const Shared<ELEMENT> staged(0);
    const Shared<unsigned> places(0);
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[stack][n][i] = 0.0f;
#pragma unroll 1
    for (int first = 0; first < CHANNEL_STEPS; first += CHUNK_STEPS) {
        unsigned own[STACK][CHUNK_STEPS][4];
        read_own(lane, tokens, first, ranges, own);
        if (first > 0) __syncthreads();
        stage_places<true>(neighbours, step, first * 16, tile.top - RADIUS, tile.left - RADIUS, height, width, staged);
        __syncthreads();
        add_scores(lane, own, places, table, first, sums);
    }
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[stack][n][i] *= ranges[stack][i / 2];
}

// Mixes all channels and writes row · factor + addend for a lane's tokens, which are at `target` as at `source` above.
DEVICE void mix_and_write(const Lane& lane, const Tile& tile, const unsigned (&factors)[STACK][SAMPLE_STEPS][4],
                          const ELEMENT* neighbours, long long step, int height, int width, const unsigned* table,
                          const float (&multipliers)[STACK][2], const float (&addends)[STACK][2], ELEMENT* target,
                          long long target_step) {
    const Shared<ELEMENT> staged(0);
    const Shared<unsigned> places(0);
#pragma unroll 1
    for (int first = 0; first < CHANNEL_STEPS; first += CHUNK_STEPS) {
        __syncthreads();
        stage_places<true>(neighbours, step, first * 16, tile.top - RADIUS, tile.left - RADIUS, height, width, staged);
        __syncthreads();
        float rows[STACK][2 * CHUNK_STEPS][4];
#pragma unroll
        for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
            for (int n = 0; n < 2 * CHUNK_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) rows[stack][n][i] = 0.0f;
        mix_samples(lane, factors, places, table, first, rows);
#pragma unroll
        for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
            for (int second = 0; second < 2; ++second) {
                const int row = tile.top + lane.row + 2 * stack + second;
                const int column = tile.left + lane.column;
                if (row >= height || column >= width) continue;
                ELEMENT* token = target + (static_cast<long long>(row) * width + column) * target_step;
#pragma unroll
                for (int n = 0; n < 2 * CHUNK_STEPS; ++n)
                    write_word(token, first * 16 + n * 8 + lane.part * 2,
                               fmaf(rows[stack][n][second * 2], multipliers[stack][second], addends[stack][second]),
                               fmaf(rows[stack][n][second * 2 + 1], multipliers[stack][second], addends[stack][second]));
            }
    }
}
