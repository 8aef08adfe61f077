// Window attention, backward, in half and bfloat16, where the largest window has several tiles: WindowBackward.cu's equations,
// with deltas in memory (WindowSums.cu), in three kernels that have scores and their slopes again rather than store them. In
// each a warp has 16 rows of a block's SIDE = 16·WARPS, and the block goes over tiles of COLUMNS others:
//   window_query_gradients   rows are queries, columns keys: dq
//   window_key_gradients     rows are keys, columns queries: dk and dv
//   window_pair_sums         rows and columns one tile each, over every `parts`-th window: the sums of ds, for biases
// Bound: reads of shared memory, two words for each product of 16×16×8.
//
// Constants: those of Window.cuh, and WARPS; COLUMNS, a multiple of 16.
#define THREADS (WARPS * WARP)
#include "WindowTiles.cuh"

#define SIDE (WARPS * 16)
// Two tiles of rows, two of columns by rows, and up to two of columns by pairs.
#define FIRST_AT 0
#define SECOND_AT (FIRST_AT + TILE_BYTES(SIDE))
#define FIRST_COLUMNS_AT (SECOND_AT + TILE_BYTES(SIDE))
#define SECOND_COLUMNS_AT (FIRST_COLUMNS_AT + TILE_BYTES(COLUMNS))
#define FIRST_PAIRS_AT (SECOND_COLUMNS_AT + TILE_BYTES(COLUMNS))
#define SECOND_PAIRS_AT (FIRST_PAIRS_AT + TILE_BYTES(COLUMNS))
#define PLACES_AT (SECOND_PAIRS_AT + TILE_BYTES(COLUMNS))
#define LARGEST_AT (PLACES_AT + COLUMNS * 4)
#define RECIPROCALS_AT (LARGEST_AT + COLUMNS * 4)
#define DELTAS_AT (RECIPROCALS_AT + COLUMNS * 4)
#define BIASES_AT (DELTAS_AT + COLUMNS * 4)

DEVICE Statistics query_statistics(const float* statistics, const float* deltas, int heads, int head, long long token) {
    Statistics result = statistics_of(statistics, heads, head, token);
    if (token != NOWHERE) result.delta = deltas[token * heads + head];
    return result;
}

// projected, gradient [tokens, 3C]; biases [h, (2w − 1)²]; statistics [tokens, h, 2]; deltas [tokens, h]; slopes [tokens, C].
// Blocks: windows × heads × `tiles` of SIDE rows, the last fastest. Writes the queries' part of the gradient.
KERNEL window_query_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                              const float* __restrict__ statistics, const float* __restrict__ deltas,
                              const ELEMENT* __restrict__ slopes, ELEMENT* __restrict__ gradient, DIVISION_PARAMETERS, int heads,
                              int head_distance, int part_distance, int bias_window, int tiles, float scale) {
    const int begin = static_cast<int>(blockIdx.x % tiles) * SIDE;
    const int head = static_cast<int>(blockIdx.x / tiles % heads);
    const Window window = DIVISION.window(blockIdx.x / tiles / heads, false);
    const int count = window.count();
    if (begin >= count) return;
    const Channels channels(heads, head, head_distance, part_distance);
    const Biases bias(biases, head, bias_window, BIASES_AT);
    const Shared<int> places(PLACES_AT);
    const int first_row = threadIdx.x / WARP * 16;
    const int row = begin + first_row + threadIdx.x % WARP / 4;
    const bool has_rows = begin + first_row < count;

    stage<SIDE>(window, begin, projected + channels.query, channels.step, RowTile{FIRST_AT, 0}, slopes + channels.head,
                channels.head_step, RowTile{SECOND_AT, 0});
    const int place[2] = {window.place(row, bias.offsets), window.place(row + 8, bias.offsets)};
    const Statistics own[2] = {query_statistics(statistics, deltas, heads, head, window.token(row)),
                               query_statistics(statistics, deltas, heads, head, window.token(row + 8))};
    float sums[WIDTH / 8][4];
    clear(sums);
    for (int key = 0; key < count; key += COLUMNS) {
        // Until nobody reads the tile before any more.
        if (key > 0) __syncthreads();
        stage<COLUMNS>(window, key, projected + channels.key, channels.step, BothTile{FIRST_COLUMNS_AT, FIRST_PAIRS_AT},
                       projected + channels.value, channels.step, RowTile{SECOND_COLUMNS_AT, 0});
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS) places[index] = window.place(key + index, bias.offsets);
        __syncthreads();
        if (!has_rows) continue;
        float scores[COLUMNS / 8][4], slope[COLUMNS / 8][4];
        clear(scores);
        clear(slope);
        multiply_rows<COLUMNS>(scores, FIRST_AT, first_row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, first_row, SECOND_COLUMNS_AT);
        to_slopes_by_query<COLUMNS>(scores, slope, bias, scale, place, own, PLACES_AT);
        multiply_pairs<COLUMNS>(sums, slope, FIRST_PAIRS_AT);
    }
    if (!has_rows) return;
    // Only this warp has read these rows.
    __syncwarp();
    unsigned words[WIDTH / 8][2];
    round_rows(words, sums, scale, scale);
    write_rows(words, FIRST_AT, first_row, window, begin + first_row, gradient + channels.query, channels.step);
}

// The same, for the keys' and the values' parts of the gradient.
KERNEL window_key_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                            const float* __restrict__ statistics, const float* __restrict__ deltas,
                            const ELEMENT* __restrict__ slopes, ELEMENT* __restrict__ gradient, DIVISION_PARAMETERS, int heads,
                            int head_distance, int part_distance, int bias_window, int tiles, float scale) {
    const int begin = static_cast<int>(blockIdx.x % tiles) * SIDE;
    const int head = static_cast<int>(blockIdx.x / tiles % heads);
    const Window window = DIVISION.window(blockIdx.x / tiles / heads, false);
    const int count = window.count();
    if (begin >= count) return;
    const Channels channels(heads, head, head_distance, part_distance);
    const Biases bias(biases, head, bias_window, BIASES_AT);
    const Shared<int> places(PLACES_AT);
    const Shared<float> largest(LARGEST_AT), reciprocals(RECIPROCALS_AT), query_deltas(DELTAS_AT);
    const int first_row = threadIdx.x / WARP * 16;
    const int row = begin + first_row + threadIdx.x % WARP / 4;
    const bool has_rows = begin + first_row < count;

    stage<SIDE>(window, begin, projected + channels.key, channels.step, RowTile{FIRST_AT, 0}, projected + channels.value,
                channels.step, RowTile{SECOND_AT, 0});
    const int place[2] = {window.place(row, bias.offsets), window.place(row + 8, bias.offsets)};
    float key_sums[WIDTH / 8][4], value_sums[WIDTH / 8][4];
    clear(key_sums);
    clear(value_sums);
    for (int query = 0; query < count; query += COLUMNS) {
        // Until nobody reads the tile before any more.
        if (query > 0) __syncthreads();
        stage<COLUMNS>(window, query, projected + channels.query, channels.step, BothTile{FIRST_COLUMNS_AT, FIRST_PAIRS_AT},
                       slopes + channels.head, channels.head_step, BothTile{SECOND_COLUMNS_AT, SECOND_PAIRS_AT});
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS) {
            const Statistics own = query_statistics(statistics, deltas, heads, head, window.token(query + index));
            places[index] = window.place(query + index, bias.offsets);
            largest[index] = own.largest;
            reciprocals[index] = own.reciprocal;
            query_deltas[index] = own.delta;
        }
        __syncthreads();
        if (!has_rows) continue;
        float scores[COLUMNS / 8][4], slope[COLUMNS / 8][4];
        clear(scores);
        clear(slope);
        multiply_rows<COLUMNS>(scores, FIRST_AT, first_row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, first_row, SECOND_COLUMNS_AT);
        to_slopes_by_key<COLUMNS>(scores, slope, bias, scale, place, PLACES_AT, LARGEST_AT, RECIPROCALS_AT, DELTAS_AT);
        multiply_pairs<COLUMNS>(value_sums, scores, SECOND_PAIRS_AT);
        multiply_pairs<COLUMNS>(key_sums, slope, FIRST_PAIRS_AT);
    }
    if (!has_rows) return;
    // Only this warp has read these rows.
    __syncwarp();
    unsigned words[WIDTH / 8][2];
    round_rows(words, key_sums, scale, scale);
    write_rows(words, FIRST_AT, first_row, window, begin + first_row, gradient + channels.key, channels.step);
    round_rows(words, value_sums, 1.0f, 1.0f);
    write_rows(words, SECOND_AT, first_row, window, begin + first_row, gradient + channels.value, channels.step);
}

// pairs [parts, h, L, L]: the sums of ds over every `parts`-th window, L the tokens of the largest one, whose numbers tokens of
// all windows have. Blocks: parts × heads × `tiles` of SIDE rows × `column_tiles` of COLUMNS columns, the last fastest.
KERNEL window_pair_sums(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                        const float* __restrict__ statistics, const float* __restrict__ deltas,
                        const ELEMENT* __restrict__ slopes, float* __restrict__ pairs, DIVISION_PARAMETERS, int heads,
                        int head_distance, int part_distance, int bias_window, int tiles, int column_tiles, long long windows,
                        long long parts, float scale) {
    const int first_key = static_cast<int>(blockIdx.x % column_tiles) * COLUMNS;
    const int begin = static_cast<int>(blockIdx.x / column_tiles % tiles) * SIDE;
    const long long item = blockIdx.x / column_tiles / tiles;
    const int head = static_cast<int>(item % heads);
    const Division division = DIVISION;
    const Channels channels(heads, head, head_distance, part_distance);
    const Biases bias(biases, head, bias_window, BIASES_AT);
    const Shared<int> places(PLACES_AT);
    const int lane = threadIdx.x % WARP;
    const int first_row = threadIdx.x / WARP * 16;
    const int row = begin + first_row + lane / 4;
    float total[COLUMNS / 8][4];
    clear(total);

    for (long long number = item / heads; number < windows; number += parts) {
        const Window window = division.window(number, true);
        // The same for the whole block.
        if (begin >= window.count() || first_key >= window.count()) continue;
        __syncthreads();
        stage<SIDE>(window, begin, projected + channels.query, channels.step, RowTile{FIRST_AT, 0}, slopes + channels.head,
                    channels.head_step, RowTile{SECOND_AT, 0});
        stage<COLUMNS>(window, first_key, projected + channels.key, channels.step, RowTile{FIRST_COLUMNS_AT, 0},
                       projected + channels.value, channels.step, RowTile{SECOND_COLUMNS_AT, 0});
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS)
            places[index] = window.place(first_key + index, bias.offsets);
        const int place[2] = {window.place(row, bias.offsets), window.place(row + 8, bias.offsets)};
        const Statistics own[2] = {query_statistics(statistics, deltas, heads, head, window.token(row)),
                                   query_statistics(statistics, deltas, heads, head, window.token(row + 8))};
        __syncthreads();
        float scores[COLUMNS / 8][4], slope[COLUMNS / 8][4];
        clear(scores);
        clear(slope);
        multiply_rows<COLUMNS>(scores, FIRST_AT, first_row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, first_row, SECOND_COLUMNS_AT);
        to_slopes_by_query<COLUMNS>(scores, slope, bias, scale, place, own, PLACES_AT);
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) total[n][e] += slope[n][e];
    }

    const int longest = division.longest();
    float* own_pairs = pairs + item * longest * longest;
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int query = row + e / 2 * 8;
            const int key = first_key + n * 8 + lane % 4 * 2 + e % 2;
            if (query < longest && key < longest) own_pairs[static_cast<long long>(query) * longest + key] = total[n][e];
        }
    }
}
