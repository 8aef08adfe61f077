// What the kernels of Slide Attention share: the window, what stands outside the map, tiles of tokens, and their staging.
//
// Constants: ELEMENT; WINDOW, the odd side k; DEPTH, a head's channels d; PADDING (0 zeros, 1 circular, 2 reflect,
// 3 replicate); TALL, the tokens of a thread, one below the other; SLICES, the warps of a block, which share the channels
// out; CHUNK, the channels that are staged at a time, a divisor of DEPTH; SHIFTS, 1 where the weight only shifts.
//
// A block owns a tile of 8 columns and 4·TALL rows of one image and head, and each of its warps owns all of the tile for
// some of the channels: a lane has one column and TALL rows of it. Maps are staged as planes of floats, one for a channel,
// so that lanes read neighbouring words.
#pragma once

#include "SlideWindow.cuh"

#define THREADS (SLICES * WARP)

#define TILE_COLUMNS 8
#define TILE_ROWS (4 * TALL)
#define TOKENS (TILE_COLUMNS * TILE_ROWS)

// A staged tile with the window's reach around it. The four groups of lanes read rows that are TALL apart: they meet
// different banks where TALL·STRIDE is an odd multiple of 8. An odd plane spreads the channels of a pack over the banks.
#define HALO_ROWS (TILE_ROWS + WINDOW - 1)
#define HALO_COLUMNS (TILE_COLUMNS + WINDOW - 1)
#define STRIDE_STEP (16 / TALL)
#define STRIDE ((HALO_COLUMNS - STRIDE_STEP / 2 + STRIDE_STEP - 1) / STRIDE_STEP * STRIDE_STEP + STRIDE_STEP / 2)
#define PLANE (HALO_ROWS * STRIDE + 1)
#define ROW (TOKENS + 1)

// Bytes of staged planes and of staged rows, so that what follows them starts at a multiple of 16.
#define PLANES_BYTES ((CHUNK * PLANE + 3) / 4 * 16)
#define ROWS_BYTES ((DEPTH * ROW + 3) / 4 * 16)

// Neighbouring elements of a head that one instruction moves.
#define PACK (Widest<ELEMENT, DEPTH>::value)

#include "SlidePlaces.cuh"

// A thread's part of the tile: a slice of the channels, and TALL tokens from one on, each TILE_COLUMNS after the one before.
struct Share {
    int slice, row, column, token;

    DEVICE Share() {
        const int lane = threadIdx.x % WARP;
        slice = threadIdx.x / WARP;
        column = lane % TILE_COLUMNS;
        row = lane / TILE_COLUMNS * TALL;
        token = row * TILE_COLUMNS + column;
    }
};

// ---- Staging ------------------------------------------------------------------------------------------------------

// CHUNK channels of HALO_ROWS×HALO_COLUMNS places from a row and a column on, as planes; zeros where nothing stands.
// `source` is the image's first token at the first channel, `step` the elements from a token to the next. `Extends`: places
// outside the map are what the padding says, and not zeros.
template <bool Extends>
DEVICE void stage_halo(const ELEMENT* source, long long step, int top, int left, int height, int width,
                       const Shared<float>& planes) {
    constexpr int packs = CHUNK / PACK;
    for (int index = threadIdx.x; index < HALO_ROWS * HALO_COLUMNS * packs; index += blockDim.x) {
        const int channel = index % packs * PACK;
        const int down = index / packs / HALO_COLUMNS;
        const int across = index / packs % HALO_COLUMNS;
        const int row = Extends ? resolved(top + down, height) : inside(top + down, height);
        const int column = Extends ? resolved(left + across, width) : inside(left + across, width);
        const int target = channel * PLANE + down * STRIDE + across;
        if (row >= 0 && column >= 0) {
            const auto pack = load<PACK>(source + (static_cast<long long>(row) * width + column) * step + channel);
#pragma unroll
            for (int i = 0; i < PACK; ++i) planes[target + i * PLANE] = to_float(pack.at[i]);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; ++i) planes[target + i * PLANE] = 0.0f;
        }
    }
}

// Some channels of the tile's tokens, as [channel][ROW]; zeros outside the map. `Channels` is a multiple of PACK.
template <int Channels>
DEVICE void stage_tokens(const ELEMENT* source, long long step, const Tile& tile, int height, int width,
                         const Shared<float>& rows) {
    constexpr int packs = Channels / PACK;
    for (int index = threadIdx.x; index < TOKENS * packs; index += blockDim.x) {
        const int channel = index % packs * PACK;
        const int token = index / packs;
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        const int target = channel * ROW + token;
        if (row < height && column < width) {
            const auto pack = load<PACK>(source + (static_cast<long long>(row) * width + column) * step + channel);
#pragma unroll
            for (int i = 0; i < PACK; ++i) rows[target + i * ROW] = to_float(pack.at[i]);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; ++i) rows[target + i * ROW] = 0.0f;
        }
    }
}

// Writes what `stage_tokens` reads, times a factor.
template <int Channels>
DEVICE void write_tokens(const Shared<float>& rows, float factor, const Tile& tile, int height, int width, ELEMENT* target,
                         long long step) {
    constexpr int packs = Channels / PACK;
    for (int index = threadIdx.x; index < TOKENS * packs; index += blockDim.x) {
        const int channel = index % packs * PACK;
        const int token = index / packs;
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        if (row >= height || column >= width) continue;
        Pack<ELEMENT, PACK> pack;
#pragma unroll
        for (int i = 0; i < PACK; ++i) from_float(rows[(channel + i) * ROW + token] * factor, pack.at[i]);
        store<PACK>(target + (static_cast<long long>(row) * width + column) * step + channel, pack);
    }
}

// Writes numbers [sample][TOKENS] of the tile as [token of the map][sample].
DEVICE void write_samples(const Shared<float>& numbers, const Tile& tile, int height, int width, int heads, float* target) {
    const long long first = (tile.image * heads + tile.head) * height;
    for (int index = threadIdx.x; index < TOKENS * AREA; index += blockDim.x) {
        const int token = index / AREA;
        const int sample = index % AREA;
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        if (row < height && column < width)
            target[((first + row) * width + column) * AREA + sample] = numbers[sample * TOKENS + token];
    }
}

// ---- Samples ------------------------------------------------------------------------------------------------------

// A block's samples from a table.
DEVICE void read_samples(const float* source, float (&samples)[SAMPLES]) {
#pragma unroll
    for (int first = 0; first < SAMPLES; first += 4) {
        const auto pack = load<4>(source + first);
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (first + i < SAMPLES) samples[first + i] = pack.at[i];
    }
}

// The weights of a bias, and with them the head's position bias where there is one.
DEVICE void read_bias(const float* bias, const float* position_bias, float (&samples)[SAMPLES]) {
    read_samples(bias, samples);
    if (position_bias == nullptr) return;
    float others[SAMPLES];
    read_samples(position_bias, others);
#pragma unroll
    for (int j = 0; j < SAMPLES; ++j) samples[j] += others[j];
}

// Adds to the scores [sample][TOKENS] what a chunk of channels gives:
//   score[j] += Σ_c u_c (Σ_t W[c,j,t] X[c,p+t] + b[c,j] + rpb[j])
// `rows` and `table` are at the chunk's first channel. Warps add their slices' sums one after the other: always in the same
// order. All threads take part; a barrier stands at the end.
DEVICE void add_scores(const Share& share, const Shared<float>& rows, int first_row, const Shared<float>& planes,
                       const float* table, const float* position_bias, bool is_first, const Shared<float>& scores) {
#pragma unroll 1
    for (int block = 0; block < BLOCKS; ++block) {
        float sums[SAMPLES][TALL];
#pragma unroll
        for (int j = 0; j < SAMPLES; ++j)
#pragma unroll
            for (int i = 0; i < TALL; ++i) sums[j][i] = 0.0f;
#pragma unroll 1
        for (int channel = share.slice; channel < CHUNK; channel += SLICES) {
            const float* weights = table + (channel * TAPS * AREA_PADDED + block * SAMPLES_PADDED);
            const int corner = channel * PLANE + share.row * STRIDE + share.column;
            float own[TALL], samples[SAMPLES];
#pragma unroll
            for (int i = 0; i < TALL; ++i) own[i] = rows[(first_row + channel) * ROW + share.token + i * TILE_COLUMNS];
            read_bias(weights + (TAPS - 1) * AREA_PADDED,
                      position_bias == nullptr ? nullptr : position_bias + block * SAMPLES_PADDED, samples);
#pragma unroll
            for (int j = 0; j < SAMPLES; ++j)
#pragma unroll
                for (int i = 0; i < TALL; ++i) sums[j][i] = fmaf(own[i], samples[j], sums[j][i]);
#if SHIFTS
#pragma unroll
            for (int j = 0; j < SAMPLES; ++j) {
                const int sample = min(block * SAMPLES + j, AREA - 1);
#pragma unroll
                for (int i = 0; i < TALL; ++i)
                    sums[j][i] = fmaf(
                        own[i], planes[corner + (i + sample / WINDOW) * STRIDE + sample % WINDOW], sums[j][i]);
            }
#else
#if WINDOW <= 3
#pragma unroll
#else
#pragma unroll 1
#endif
            for (int down = 0; down < WINDOW; ++down) {
#pragma unroll
                for (int across = 0; across < WINDOW; ++across) {
                    read_samples(weights + (down * WINDOW + across) * AREA_PADDED, samples);
#pragma unroll
                    for (int i = 0; i < TALL; ++i) {
                        const float product = own[i] * planes[corner + (i + down) * STRIDE + across];
#pragma unroll
                        for (int j = 0; j < SAMPLES; ++j) sums[j][i] = fmaf(product, samples[j], sums[j][i]);
                    }
                }
            }
#endif
        }
#pragma unroll 1
        for (int turn = 0; turn < SLICES; ++turn) {
            if (share.slice == turn) {
#pragma unroll
                for (int j = 0; j < SAMPLES; ++j) {
                    const int sample = block * SAMPLES + j;
                    if (sample >= AREA) continue;
#pragma unroll
                    for (int i = 0; i < TALL; ++i) {
                        const int index = sample * TOKENS + share.token + i * TILE_COLUMNS;
                        scores[index] = is_first && turn == 0 ? sums[j][i] : scores[index] + sums[j][i];
                    }
                }
            }
            __syncthreads();
        }
    }
}

// Mixes the samples of a chunk of channels by numbers [sample][TOKENS], into `rows`:
//   row_c = Σ_j s_j (Σ_t W[c,j,t] X[c,p+t] + b[c,j] + rpb[j])
// A thread writes the rows that it alone reads.
DEVICE void mix_samples(const Share& share, const Shared<float>& numbers, const Shared<float>& planes, const float* table,
                        const float* position_bias, const Shared<float>& rows, int first_row) {
#pragma unroll 1
    for (int block = 0; block < BLOCKS; ++block) {
        float factors[SAMPLES][TALL];
#pragma unroll
        for (int j = 0; j < SAMPLES; ++j) {
            const int sample = block * SAMPLES + j;
#pragma unroll
            for (int i = 0; i < TALL; ++i) {
                factors[j][i] = 0.0f;
                if (sample < AREA) factors[j][i] = numbers[sample * TOKENS + share.token + i * TILE_COLUMNS];
            }
        }
#pragma unroll 1
        for (int channel = share.slice; channel < CHUNK; channel += SLICES) {
            const float* weights = table + (channel * TAPS * AREA_PADDED + block * SAMPLES_PADDED);
            const int corner = channel * PLANE + share.row * STRIDE + share.column;
            float sums[TALL], samples[SAMPLES];
            read_bias(weights + (TAPS - 1) * AREA_PADDED,
                      position_bias == nullptr ? nullptr : position_bias + block * SAMPLES_PADDED, samples);
#pragma unroll
            for (int i = 0; i < TALL; ++i) {
                sums[i] = 0.0f;
#pragma unroll
                for (int j = 0; j < SAMPLES; ++j) sums[i] = fmaf(factors[j][i], samples[j], sums[i]);
            }
#if SHIFTS
#pragma unroll
            for (int j = 0; j < SAMPLES; ++j) {
                const int sample = block * SAMPLES + j;
                if (sample >= AREA) continue;
#pragma unroll
                for (int i = 0; i < TALL; ++i)
                    sums[i] = fmaf(
                        factors[j][i], planes[corner + (i + sample / WINDOW) * STRIDE + sample % WINDOW], sums[i]);
            }
#else
#if WINDOW <= 3
#pragma unroll
#else
#pragma unroll 1
#endif
            for (int down = 0; down < WINDOW; ++down) {
#pragma unroll
                for (int across = 0; across < WINDOW; ++across) {
                    read_samples(weights + (down * WINDOW + across) * AREA_PADDED, samples);
#pragma unroll
                    for (int i = 0; i < TALL; ++i) {
                        float mixed = 0.0f;
#pragma unroll
                        for (int j = 0; j < SAMPLES; ++j) mixed = fmaf(factors[j][i], samples[j], mixed);
                        sums[i] = fmaf(mixed, planes[corner + (i + down) * STRIDE + across], sums[i]);
                    }
                }
            }
#endif
#pragma unroll
            for (int i = 0; i < TALL; ++i) {
                const int index = (first_row + channel) * ROW + share.token + i * TILE_COLUMNS;
                rows[index] = block == 0 ? sums[i] : rows[index] + sums[i];
            }
        }
    }
}
