// Neighbourhood attention on a device's plain arithmetic: what a lane has of a token, in registers and in shared memory.
//
// SPLIT lanes share TOKENS neighbouring tokens of a row: each lane has 8 of the padded channels, so that queries and sums of
// all its tokens stay in registers. Constants beside those of all kernels: SPLIT (8·SPLIT >= d) and TOKENS. Threads of a
// block: TILE_ROWS · TILE_COLUMNS / TOKENS · SPLIT.
#pragma once
#include "NeighbourhoodTile.cuh"

#define PADDED (8 * SPLIT)
// Four words more than the channels: then rows do not begin in the same bank.
#define STRIDE (PADDED + 4)
#define GROUPS_ACROSS (TILE_COLUMNS / TOKENS)

// The tokens of a thread: TOKENS neighbours of a row, which the other lanes of its group have too.
struct Own {
    int lane, row, column;
    bool is_inside;  // whether the tile has that row; if not, it is the last

    DEVICE explicit Own(const Tile& tile)
        : lane(threadIdx.x % SPLIT), row(tile.top + threadIdx.x / SPLIT / GROUPS_ACROSS),
          column(tile.left + threadIdx.x / SPLIT % GROUPS_ACROSS * TOKENS), is_inside(row <= tile.bottom) {
        row = min(row, tile.bottom);
    }

    DEVICE bool has(const Tile& tile, int t) const { return is_inside && column + t <= tile.right; }

    // The token; one inside the tile where this one is not.
    DEVICE long long token(const Tile& tile, int t) const { return tile.token(row, min(column + t, tile.right)); }
};

// What a lane has of a token: channels 4·lane … 4·lane + 3 and as many from 4·(lane + SPLIT), so that lanes side by side
// read neighbouring words.
DEVICE int channel_of(int lane, int piece) { return 4 * (lane + piece * SPLIT); }

// A lane's share of a token in memory; zeros where channels only pad.
DEVICE void read_share(const ELEMENT* token, int lane, float factor, float (&share)[8]) {
#pragma unroll
    for (int piece = 0; piece < 2; ++piece) {
        const int channel = channel_of(lane, piece);
        if (DEPTH % 4 == 0) {
            if (channel < DEPTH) {
                const Pack<ELEMENT, 4> pack = load<4>(token + channel);
#pragma unroll
                for (int i = 0; i < 4; ++i) share[4 * piece + i] = factor * to_float(pack.at[i]);
            } else {
#pragma unroll
                for (int i = 0; i < 4; ++i) share[4 * piece + i] = 0.0f;
            }
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i)
                share[4 * piece + i] = channel + i < DEPTH ? factor * to_float(token[channel + i]) : 0.0f;
        }
    }
}

DEVICE void write_share(ELEMENT* token, int lane, float factor, const float (&share)[8]) {
#pragma unroll
    for (int piece = 0; piece < 2; ++piece) {
        const int channel = channel_of(lane, piece);
        if (DEPTH % 4 == 0) {
            if (channel < DEPTH) {
                Pack<ELEMENT, 4> pack;
#pragma unroll
                for (int i = 0; i < 4; ++i) pack.at[i] = element_of<ELEMENT>(factor * share[4 * piece + i]);
                store<4>(token + channel, pack);
            }
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i)
                if (channel + i < DEPTH) token[channel + i] = element_of<ELEMENT>(factor * share[4 * piece + i]);
        }
    }
}

// A lane's share of a staged token.
DEVICE void read_staged(const Shared<float>& staged, int place, int lane, float (&share)[8]) {
#pragma unroll
    for (int piece = 0; piece < 2; ++piece) {
        const Pack<float, 4> pack = staged.load<4>(place * STRIDE + channel_of(lane, piece));
#pragma unroll
        for (int i = 0; i < 4; ++i) share[4 * piece + i] = pack.at[i];
    }
}

// Brings a head's channels of the tokens in some rows and columns to shared memory, row by row of `pitch` places, as floats
// times a factor. `channels` is the head's first channel in the batch's first token, `step` from a token to the next.
DEVICE void stage(const ELEMENT* channels, long long step, const Tile& tile, int row, int row_count, int column,
                  int column_count, int pitch, float factor, const Shared<float>& target) {
    const int quads = PADDED / 4;
    const int count = row_count * column_count * quads;
    for (int index = threadIdx.x; index < count; index += blockDim.x) {
        const int quad = index % quads;
        const int place = index / quads;
        const int down = place / column_count, across = place % column_count;
        const ELEMENT* source = channels + tile.token(row + down, column + across) * step;
        Pack<float, 4> pack;
        if (DEPTH % 4 == 0 && 4 * quad < DEPTH) {
            const Pack<ELEMENT, 4> elements = load<4>(source + 4 * quad);
#pragma unroll
            for (int i = 0; i < 4; ++i) pack.at[i] = factor * to_float(elements.at[i]);
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) pack.at[i] = 4 * quad + i < DEPTH ? factor * to_float(source[4 * quad + i]) : 0.0f;
        }
        target.store<4>((down * pitch + across) * STRIDE + 4 * quad, pack);
    }
}

DEVICE float product(const float (&first)[8], const float (&second)[8]) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i) sum = fmaf(first[i], second[i], sum);
    return sum;
}

DEVICE void add_scaled(float (&sums)[8], float factor, const float (&terms)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[i] = fmaf(factor, terms[i], sums[i]);
}

// The largest over a warp.
DEVICE int most(int value) {
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) value = max(value, __shfl_xor_sync(ALL_LANES, value, step));
    return value;
}
