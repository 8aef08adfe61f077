// How neighbourhood attention's kernels divide a map, and what they read of it.
//
// Tokens whose row and column have one residue modulo the dilation attend to each other alone: they are a small map of their
// own, in which a window is k neighbouring tokens each way. A block owns TILE_ROWS × TILE_COLUMNS tokens of one such map, of
// one image and head. SPLIT lanes share TOKENS neighbouring tokens of a row: each lane has 8 of the padded channels, so that
// queries and sums of all its tokens stay in registers. What the tokens meet goes through shared memory, CHUNK rows at a time.
//
// Constants: ELEMENT, WINDOW (k, odd), DEPTH (d), SPLIT (lanes of a token, 8·SPLIT >= d), TOKENS, TILE_ROWS, TILE_COLUMNS,
// CHUNK, HAS_BIAS. Threads of a block: TILE_ROWS · TILE_COLUMNS / TOKENS · SPLIT.
#pragma once
#include "Device.cuh"

#define RADIUS (WINDOW / 2)
#define OFFSETS (2 * WINDOW - 1)
#define PADDED (8 * SPLIT)
// Four words more than the channels: then rows do not begin in the same bank.
#define STRIDE (PADDED + 4)
#define GROUPS_ACROSS (TILE_COLUMNS / TOKENS)
#define NOWHERE 0x3fffffff

// One side of the small map.
struct Side {
    int residue, dilation, length;

    DEVICE Side(int tokens, int step, int remainder)
        : residue(remainder), dilation(step), length((tokens - remainder + step - 1) / step) {}

    DEVICE long long token(int place) const { return static_cast<long long>(place) * dilation + residue; }

    // The first key that a query sees: windows that reach over the edge are shifted inwards.
    DEVICE int first_key(int query) const { return min(max(query - RADIUS, 0), length - WINDOW); }

    // The first and last query that see a key: at the edges those of shifted windows too.
    DEVICE int first_query(int key) const { return key < WINDOW ? 0 : key - RADIUS; }
    DEVICE int last_query(int key) const { return key >= length - WINDOW ? length - 1 : key + RADIUS; }
};

// The block's tokens.
struct Tile {
    int image, head, heads, width, height;
    Side rows, columns;
    int top, left, bottom, right;  // the last two belong to it

    DEVICE Tile(int map_height, int map_width, int map_heads, int dilation)
        : image(0), head(blockIdx.y), heads(map_heads), width(map_width), height(map_height),
          rows(map_height, dilation, 0), columns(map_width, dilation, 0) {
        const int down = (rows.length + TILE_ROWS - 1) / TILE_ROWS;
        const int across = (columns.length + TILE_COLUMNS - 1) / TILE_COLUMNS;
        int index = blockIdx.x;
        left = index % across * TILE_COLUMNS;
        index /= across;
        top = index % down * TILE_ROWS;
        index /= down;
        columns = Side(map_width, dilation, index % dilation);
        index /= dilation;
        rows = Side(map_height, dilation, index % dilation);
        image = index / dilation;
        bottom = min(top + TILE_ROWS, rows.length) - 1;
        right = min(left + TILE_COLUMNS, columns.length) - 1;
    }

    // Maps of the larger residues can be a tile shorter.
    DEVICE bool is_empty() const { return bottom < top || right < left; }

    // A token of the small map, counted from the batch's first.
    DEVICE long long token(int row, int column) const {
        return (static_cast<long long>(image) * height + rows.token(row)) * width + columns.token(column);
    }
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
