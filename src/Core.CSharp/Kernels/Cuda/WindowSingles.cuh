// Tiles of tokens in shared memory and their products on CUDA cores, for window attention in single precision.
//
// Eight lanes, `across`, share ROWS rows of a product; a warp has four such groups, 4·ROWS rows. Of a product with columns of
// its own, a lane has every eighth; of one whose columns are a head's channels, four of every 32. A tile's channels are padded
// with zeros to a multiple of 4, SPAN. PITCH is an odd multiple of 4, so that eight rows' packs lie in 32 different banks.
//
// Constants: those of Window.cuh, and ROWS.
#pragma once
#include "Window.cuh"

#define SPAN ((DEPTH + 3) / 4 * 4)
#define PITCH (SPAN / 4 % 2 == 0 ? SPAN + 4 : SPAN)
#define CHUNKS ((SPAN + 31) / 32)
// Bytes of a tile of so many rows, and of weights of so many rows and columns, a multiple of 8.
#define TILE_BYTES(rows) ((rows) * PITCH * 4)
#define WEIGHT_PITCH(columns) ((columns) + 4)
#define WEIGHT_BYTES(rows, columns) ((rows) * WEIGHT_PITCH(columns) * 4)

#define PACK Widest<ELEMENT, DEPTH>::value
#define PACKS (SPAN / PACK)

DEVICE int across() { return threadIdx.x % 8; }

// The first of a lane's rows.
DEVICE int own_rows() { return threadIdx.x / 8 * ROWS; }

// The first of the four channels that a lane has of a chunk of 32; beyond SPAN: none.
DEVICE int channel_of(int chunk) { return chunk * 32 + across() * 4; }

// ---- From and to memory -------------------------------------------------------------------------------------------

DEVICE Pack<float, PACK> fetch(const float* source, int step, long long token, int column) {
    if (token != NOWHERE && column < DEPTH) return load<PACK>(source + token * step + column);
    Pack<float, PACK> zeros;
#pragma unroll
    for (int i = 0; i < PACK; ++i) zeros.at[i] = 0.0f;
    return zeros;
}

// Brings the tokens `begin` to `begin + Count` of a window from two tensors to shared memory, by the whole block. `step` is
// from a token's channels to the next one's.
template <int Count>
DEVICE void stage(const Window& window, int begin, const float* first, int first_step, int first_at, const float* second,
                  int second_step, int second_at) {
    const Shared<float> first_tile(first_at), second_tile(second_at);
    for (int index = threadIdx.x; index < Count * PACKS; index += THREADS) {
        const int row = index / PACKS;
        const int column = index % PACKS * PACK;
        const long long token = window.token(begin + row);
        const Pack<float, PACK> one = fetch(first, first_step, token, column);
        const Pack<float, PACK> other = fetch(second, second_step, token, column);
        first_tile.store<PACK>(row * PITCH + column, one);
        second_tile.store<PACK>(row * PITCH + column, other);
    }
}

// One tensor's.
template <int Count>
DEVICE void stage(const Window& window, int begin, const float* source, int step, int at) {
    const Shared<float> tile(at);
    for (int index = threadIdx.x; index < Count * PACKS; index += THREADS) {
        const int row = index / PACKS;
        const int column = index % PACKS * PACK;
        tile.store<PACK>(row * PITCH + column, fetch(source, step, window.token(begin + row), column));
    }
}

// Writes a lane's share of one row of a head, times a factor.
DEVICE void write_row(const float (&sums)[CHUNKS][4], float factor, float* target) {
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; ++chunk) {
#pragma unroll
        for (int start = 0; start < 4; start += PACK) {
            if (channel_of(chunk) + start < DEPTH) {
                Pack<float, PACK> pack;
#pragma unroll
                for (int i = 0; i < PACK; ++i) pack.at[i] = sums[chunk][start + i] * factor;
                store<PACK>(target + channel_of(chunk) + start, pack);
            }
        }
    }
}

// ---- Products -----------------------------------------------------------------------------------------------------

template <int Rows, int Columns>
DEVICE void clear(float (&sums)[Rows][Columns]) {
#pragma unroll
    for (int i = 0; i < Rows; ++i)
#pragma unroll
        for (int j = 0; j < Columns; ++j) sums[i][j] = 0.0f;
}

template <int Rows>
DEVICE void clear(float (&sums)[Rows][CHUNKS][4]) {
#pragma unroll
    for (int i = 0; i < Rows; ++i) clear(sums[i]);
}

// sums = A·Bᵀ: a lane's ROWS rows of A from `row` on, and its columns, every eighth row of B.
template <int Columns>
DEVICE void multiply_rows(float (&sums)[ROWS][Columns / 8], int left_at, int row, int right_at) {
    const Shared<float> left_tile(left_at), right_tile(right_at);
    clear(sums);
#pragma unroll 2
    for (int c = 0; c < SPAN; c += 4) {
        Pack<float, 4> left[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; ++i) left[i] = left_tile.load<4>((row + i) * PITCH + c);
#pragma unroll
        for (int j = 0; j < Columns / 8; ++j) {
            const Pack<float, 4> right = right_tile.load<4>((across() + 8 * j) * PITCH + c);
#pragma unroll
            for (int i = 0; i < ROWS; ++i)
#pragma unroll
                for (int e = 0; e < 4; ++e) sums[i][j] = fmaf(left[i].at[e], right.at[e], sums[i][j]);
        }
    }
}

// Puts a lane's share of rows of weights where its warp reads them. The caller keeps the warp's lanes in step.
template <int Columns>
DEVICE void put_weights(const float (&weights)[ROWS][Columns / 8], int at, int row) {
    const Shared<float> target(at);
#pragma unroll
    for (int i = 0; i < ROWS; ++i)
#pragma unroll
        for (int j = 0; j < Columns / 8; ++j) target[(row + i) * WEIGHT_PITCH(Columns) + across() + 8 * j] = weights[i][j];
}

// sums += A·B: a lane's ROWS rows of weights A from `row` on, B the first Columns rows of a tile; a lane's channels.
template <int Columns>
DEVICE void multiply_weights(float (&sums)[ROWS][CHUNKS][4], int weights_at, int row, int tile_at) {
    const Shared<float> weights(weights_at), tile(tile_at);
#pragma unroll 2
    for (int k = 0; k < Columns; k += 4) {
        Pack<float, 4> left[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; ++i) left[i] = weights.load<4>((row + i) * WEIGHT_PITCH(Columns) + k);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
            for (int chunk = 0; chunk < CHUNKS; ++chunk) {
                if (channel_of(chunk) < SPAN) {
                    const Pack<float, 4> right = tile.load<4>((k + e) * PITCH + channel_of(chunk));
#pragma unroll
                    for (int i = 0; i < ROWS; ++i)
#pragma unroll
                        for (int c = 0; c < 4; ++c)
                            sums[i][chunk][c] = fmaf(left[i].at[e], right.at[c], sums[i][chunk][c]);
                }
            }
        }
    }
}

// sums += Aᵀ·B: four columns of weights A from `column` on, Count rows of them and of the tile B; a lane's channels.
template <int Columns, int Count>
DEVICE void multiply_transposed(float (&sums)[4][CHUNKS][4], int weights_at, int column, int tile_at) {
    const Shared<float> weights(weights_at), tile(tile_at);
#pragma unroll 4
    for (int k = 0; k < Count; ++k) {
        const Pack<float, 4> left = weights.load<4>(k * WEIGHT_PITCH(Columns) + column);
#pragma unroll
        for (int chunk = 0; chunk < CHUNKS; ++chunk) {
            if (channel_of(chunk) < SPAN) {
                const Pack<float, 4> right = tile.load<4>(k * PITCH + channel_of(chunk));
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int c = 0; c < 4; ++c) sums[i][chunk][c] = fmaf(left.at[i], right.at[c], sums[i][chunk][c]);
            }
        }
    }
}

// ---- Scores backward ----------------------------------------------------------------------------------------------

// Makes of products q·k and slope·v their weights, and the slopes of their scores, weight·(slope·v − delta). Rows are queries.
template <int Columns>
DEVICE void to_slopes_by_query(float (&scores)[ROWS][Columns / 8], float (&slopes)[ROWS][Columns / 8], const Biases& bias,
                               float scale, const int (&query_place)[ROWS], const Statistics (&query)[ROWS], int places_at) {
    const Shared<int> places(places_at);
#pragma unroll
    for (int j = 0; j < Columns / 8; ++j) {
        const int place = places[across() + 8 * j];
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            scores[i][j] = query[i].weight(bias.score(scores[i][j], scale, query_place[i], place));
            slopes[i][j] = scores[i][j] * (slopes[i][j] - query[i].delta);
        }
    }
}

// The same where rows are keys and columns are queries, whose statistics stand in shared memory: [rows] of each.
template <int Columns>
DEVICE void to_slopes_by_key(float (&scores)[ROWS][Columns / 8], float (&slopes)[ROWS][Columns / 8], const Biases& bias,
                             float scale, const int (&key_place)[ROWS], int places_at, int largest_at, int reciprocals_at,
                             int deltas_at) {
    const Shared<int> places(places_at);
    const Shared<float> largest(largest_at), reciprocals(reciprocals_at), deltas(deltas_at);
#pragma unroll
    for (int j = 0; j < Columns / 8; ++j) {
        const int column = across() + 8 * j;
        const int place = places[column];
        const Statistics query = {largest[column], reciprocals[column], deltas[column]};
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            scores[i][j] = query.weight(bias.score(scores[i][j], scale, place, key_place[i]));
            slopes[i][j] = scores[i][j] * (slopes[i][j] - query.delta);
        }
    }
}

// Writes a lane's sums over windows of slopes of scores, those of pairs of tokens: pairs [L, L].
template <int Columns>
DEVICE void write_pairs(const float (&total)[ROWS][Columns / 8], float* pairs, int longest, int first_query, int first_key) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
#pragma unroll
        for (int j = 0; j < Columns / 8; ++j) {
            const int query = first_query + i;
            const int key = first_key + across() + 8 * j;
            if (query < longest && key < longest) pairs[static_cast<long long>(query) * longest + key] = total[i][j];
        }
    }
}
