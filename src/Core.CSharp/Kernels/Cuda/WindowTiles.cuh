// Tiles of tokens in shared memory and their products on tensor cores, for window attention in half and bfloat16.
//
// A tile's channels are padded with zeros to a multiple of 16, WIDTH. It stands in shared memory by rows, as the left operand
// of a product and as the right one of A·Bᵀ; or by pairs, a word for each channel of two rows that follow one another, as the
// right one of A·B. PITCH, eight more than WIDTH, puts the words that a warp reads at once, (g, t) of Device.cuh's fragments,
// into 32 different banks in both.
#pragma once
#include "Window.cuh"

#define WIDTH ((DEPTH + 15) / 16 * 16)
#define PITCH (WIDTH + 8)
// Bytes of a tile of so many rows, by rows and by pairs alike.
#define TILE_BYTES(rows) ((rows) * PITCH * 2)

#define PACK Widest<ELEMENT, DEPTH>::value
#define PACKS (WIDTH / PACK)

typedef Pack<ELEMENT, PACK> Elements;

// ---- From and to memory -------------------------------------------------------------------------------------------

// A tile in shared memory by rows, `Rows`, by pairs, or both.
template <bool Rows, bool Pairs>
struct Tile {
    int rows_at, pairs_at;

    // Two rows' elements at a column; the upper row has an even number.
    DEVICE void set(int row, int column, const Elements& upper, const Elements& lower) const {
        if (Rows) {
            const Shared<ELEMENT> rows(rows_at);
            rows.template store<PACK>(row * PITCH + column, upper);
            rows.template store<PACK>((row + 1) * PITCH + column, lower);
        }
        if (Pairs) {
            constexpr int Words = PACK < 4 ? PACK : 4;
            const Shared<unsigned> pairs(pairs_at);
#pragma unroll
            for (int start = 0; start < PACK; start += Words) {
                Pack<unsigned, Words> words;
#pragma unroll
                for (int i = 0; i < Words; ++i) words.at[i] = word_of(upper.at[start + i], lower.at[start + i]);
                pairs.template store<Words>(row / 2 * PITCH + column + start, words);
            }
        }
    }
};

typedef Tile<true, false> RowTile;
typedef Tile<false, true> PairTile;
typedef Tile<true, true> BothTile;

// The tokens' elements at a column; zeros beyond the window and beyond the head.
DEVICE Elements fetch(const ELEMENT* source, int step, long long token, int column) {
    if (token != NOWHERE && column < DEPTH) return load<PACK>(source + token * step + column);
    Elements zeros;
#pragma unroll
    for (int i = 0; i < PACK; ++i) zeros.at[i] = element_of<ELEMENT>(0.0f);
    return zeros;
}

// Brings the tokens `begin` to `begin + Rows` of a window from two tensors to shared memory, by the whole block. `step` is from
// a token's channels to the next one's.
template <int Rows, typename First, typename Second>
DEVICE void stage(const Window& window, int begin, const ELEMENT* first, int first_step, const First& first_tile,
                  const ELEMENT* second, int second_step, const Second& second_tile) {
    for (int index = threadIdx.x; index < Rows / 2 * PACKS; index += THREADS) {
        const int row = index / PACKS * 2;
        const int column = index % PACKS * PACK;
        const long long upper = window.token(begin + row);
        const long long lower = window.token(begin + row + 1);
        const Elements first_upper = fetch(first, first_step, upper, column);
        const Elements first_lower = fetch(first, first_step, lower, column);
        const Elements second_upper = fetch(second, second_step, upper, column);
        const Elements second_lower = fetch(second, second_step, lower, column);
        first_tile.set(row, column, first_upper, first_lower);
        second_tile.set(row, column, second_upper, second_lower);
    }
}

// One tensor's.
template <int Rows, typename Only>
DEVICE void stage(const Window& window, int begin, const ELEMENT* source, int step, const Only& tile) {
    for (int index = threadIdx.x; index < Rows / 2 * PACKS; index += THREADS) {
        const int row = index / PACKS * 2;
        const int column = index % PACKS * PACK;
        const Elements upper = fetch(source, step, window.token(begin + row), column);
        const Elements lower = fetch(source, step, window.token(begin + row + 1), column);
        tile.set(row, column, upper, lower);
    }
}

// Writes 16 rows of products, one warp's, as the elements of the tokens from `begin` on: through rows of shared memory that no
// other warp uses meanwhile, so that whole packs go to memory.
DEVICE void write_rows(const unsigned (&words)[WIDTH / 8][2], int rows_at, int row, const Window& window, int begin,
                       ELEMENT* target, int step) {
    const int lane = threadIdx.x % WARP;
    const int g = lane / 4;
    const int t = lane % 4;
    const Shared<unsigned> staged(rows_at);
#pragma unroll
    for (int n = 0; n < WIDTH / 8; ++n) {
        staged[(row + g) * (PITCH / 2) + n * 4 + t] = words[n][0];
        staged[(row + g + 8) * (PITCH / 2) + n * 4 + t] = words[n][1];
    }
    __syncwarp();
    const Shared<ELEMENT> rows(rows_at);
    for (int index = lane; index < 16 * (DEPTH / PACK); index += WARP) {
        const int number = index / (DEPTH / PACK);
        const int column = index % (DEPTH / PACK) * PACK;
        const long long token = window.token(begin + number);
        if (token != NOWHERE)
            store<PACK>(target + token * step + column, rows.template load<PACK>((row + number) * PITCH + column));
    }
}

// ---- Products -----------------------------------------------------------------------------------------------------

template <int Columns>
DEVICE void clear(float (&sums)[Columns][4]) {
#pragma unroll
    for (int n = 0; n < Columns; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[n][e] = 0.0f;
}

// The left operand of 16 rows from `row` on and 16 channels.
DEVICE void read_left(unsigned (&left)[4], const Shared<unsigned>& tile, int row, int block) {
    const int lane = threadIdx.x % WARP;
    const int at = (row + lane / 4) * (PITCH / 2) + block * 8 + lane % 4;
    left[0] = tile[at];
    left[1] = tile[at + 8 * (PITCH / 2)];
    left[2] = tile[at + 4];
    left[3] = tile[at + 8 * (PITCH / 2) + 4];
}

// sums += A·Bᵀ over 16 channels: A a left operand, B the first Columns rows of a tile by rows.
template <int Columns>
DEVICE void multiply_block(float (&sums)[Columns / 8][4], const unsigned (&left)[4], const Shared<unsigned>& tile, int block) {
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int n = 0; n < Columns / 8; ++n) {
        const int at = (n * 8 + lane / 4) * (PITCH / 2) + block * 8 + lane % 4;
        const unsigned right[2] = {tile[at], tile[at + 4]};
        multiply_add(sums[n], left, right, ELEMENT{});
    }
}

// sums += A·Bᵀ: A 16 rows of a tile from `row` on, B the first Columns rows of another, both by rows.
template <int Columns>
DEVICE void multiply_rows(float (&sums)[Columns / 8][4], int left_at, int row, int right_at) {
    const Shared<unsigned> left_tile(left_at), right_tile(right_at);
#pragma unroll
    for (int block = 0; block < WIDTH / 16; ++block) {
        unsigned left[4];
        read_left(left, left_tile, row, block);
        multiply_block<Columns>(sums, left, right_tile, block);
    }
}

// sums += A·B: A 16×Rows, what a product left in registers, rounded to elements; B the first Rows rows of a tile by pairs.
template <int Rows>
DEVICE void multiply_pairs(float (&sums)[WIDTH / 8][4], const float (&weights)[Rows / 8][4], int pairs_at) {
    const int lane = threadIdx.x % WARP;
    const Shared<unsigned> pairs(pairs_at);
#pragma unroll
    for (int block = 0; block < Rows / 16; ++block) {
        const float(&low)[4] = weights[2 * block];
        const float(&high)[4] = weights[2 * block + 1];
        const unsigned left[4] = {packed<ELEMENT>(low[0], low[1]), packed<ELEMENT>(low[2], low[3]),
                                  packed<ELEMENT>(high[0], high[1]), packed<ELEMENT>(high[2], high[3])};
        const int at = (block * 8 + lane % 4) * PITCH + lane / 4;
#pragma unroll
        for (int n = 0; n < WIDTH / 8; ++n) {
            const unsigned right[2] = {pairs[at + n * 8], pairs[at + 4 * PITCH + n * 8]};
            multiply_add(sums[n], left, right, ELEMENT{});
        }
    }
}

// Sums times a factor for each of a lane's two rows, as elements.
DEVICE void round_rows(unsigned (&words)[WIDTH / 8][2], const float (&sums)[WIDTH / 8][4], float upper, float lower) {
#pragma unroll
    for (int n = 0; n < WIDTH / 8; ++n) {
        words[n][0] = packed<ELEMENT>(sums[n][0] * upper, sums[n][1] * upper);
        words[n][1] = packed<ELEMENT>(sums[n][2] * lower, sums[n][3] * lower);
    }
}

// ---- Scores backward ----------------------------------------------------------------------------------------------

// Makes of products q·k and slope·v their weights, and the slopes of their scores, weight·(slope·v − delta). Rows are queries:
// a lane has two of them.
template <int Columns>
DEVICE void to_slopes_by_query(float (&scores)[Columns / 8][4], float (&slopes)[Columns / 8][4], const Biases& bias, float scale,
                               const int (&query_place)[2], const Statistics (&query)[2], int places_at) {
    const Shared<int> places(places_at);
#pragma unroll
    for (int n = 0; n < Columns / 8; ++n) {
        const Pack<int, 2> place = places.load<2>(n * 8 + threadIdx.x % 4 * 2);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const Statistics& own = query[e / 2];
            scores[n][e] = own.weight(bias.score(scores[n][e], scale, query_place[e / 2], place.at[e % 2]));
            slopes[n][e] = scores[n][e] * (slopes[n][e] - own.delta);
        }
    }
}

// The same where rows are keys and columns are queries, whose statistics stand in shared memory: [rows] of each.
template <int Columns>
DEVICE void to_slopes_by_key(float (&scores)[Columns / 8][4], float (&slopes)[Columns / 8][4], const Biases& bias, float scale,
                             const int (&key_place)[2], int places_at, int largest_at, int reciprocals_at, int deltas_at) {
    const Shared<int> places(places_at);
    const Shared<float> largest(largest_at), reciprocals(reciprocals_at), deltas(deltas_at);
#pragma unroll
    for (int n = 0; n < Columns / 8; ++n) {
        const int column = n * 8 + threadIdx.x % 4 * 2;
        const Pack<int, 2> place = places.load<2>(column);
        const Pack<float, 2> most = largest.load<2>(column);
        const Pack<float, 2> reciprocal = reciprocals.load<2>(column);
        const Pack<float, 2> delta = deltas.load<2>(column);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const Statistics query = {most.at[e % 2], reciprocal.at[e % 2], delta.at[e % 2]};
            scores[n][e] = query.weight(bias.score(scores[n][e], scale, place.at[e % 2], key_place[e / 2]));
            slopes[n][e] = scores[n][e] * (slopes[n][e] - query.delta);
        }
    }
}
