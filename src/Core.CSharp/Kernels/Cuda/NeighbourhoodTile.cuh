// How neighbourhood attention's kernels divide a map.
//
// Tokens whose row and column have one residue modulo the dilation attend to each other alone: they are a small map of their
// own, in which a window is k neighbouring tokens each way. A block owns TILE_ROWS × TILE_COLUMNS tokens of one such map, of
// one image and head; what they meet goes through shared memory, CHUNK rows at a time.
//
// Constants of all kernels: ELEMENT, WINDOW (k, odd), DEPTH (d), TILE_ROWS, TILE_COLUMNS, CHUNK, HAS_BIAS, THREADS.
#pragma once
#include "NeighbourhoodSide.cuh"

#define NOWHERE 0x3fffffff

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

// The part of the small map that a block's tokens meet: first and last row and column, and how many columns.
struct Reach {
    int top, bottom, left, right, width;

    DEVICE Reach(int first_row, int last_row, int first_column, int last_column)
        : top(first_row), bottom(last_row), left(first_column), right(last_column), width(last_column - first_column + 1) {}
};

// Where the keys of a tile's queries are.
DEVICE Reach keys_of(const Tile& tile) {
    return Reach(tile.rows.first_key(tile.top), tile.rows.first_key(tile.bottom) + WINDOW - 1,
                 tile.columns.first_key(tile.left), tile.columns.first_key(tile.right) + WINDOW - 1);
}

// Where the queries are that see a tile's keys.
DEVICE Reach queries_of(const Tile& tile) {
    return Reach(tile.rows.first_query(tile.top), tile.rows.last_query(tile.bottom), tile.columns.first_query(tile.left),
                 tile.columns.last_query(tile.right));
}

// The biases of a head, to shared memory.
DEVICE void stage_biases(const float* biases, int head, const Shared<float>& table) {
    if (HAS_BIAS)
        for (int index = threadIdx.x; index < OFFSETS * OFFSETS; index += blockDim.x)
            table[index] = biases[static_cast<long long>(head) * OFFSETS * OFFSETS + index];
}
