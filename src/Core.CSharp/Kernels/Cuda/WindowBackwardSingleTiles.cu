// Window attention, backward, in single precision, where the largest window has several tiles: what WindowBackwardTiles.cu
// computes, by products on CUDA cores, in the same three kernels over the same blocks. Eight lanes share four rows of SIDE.
// Bound: multiply-adds and reads of shared memory.
//
// Constants: those of WindowSingles.cuh with ROWS=4; WARPS; COLUMNS, a multiple of 8.
#define THREADS (WARPS * WARP)
#include "WindowSingles.cuh"

#define SIDE (WARPS * 16)
#define FIRST_AT 0
#define SECOND_AT (FIRST_AT + TILE_BYTES(SIDE))
#define FIRST_COLUMNS_AT (SECOND_AT + TILE_BYTES(SIDE))
#define SECOND_COLUMNS_AT (FIRST_COLUMNS_AT + TILE_BYTES(COLUMNS))
#define WEIGHTS_AT (SECOND_COLUMNS_AT + TILE_BYTES(COLUMNS))
#define PLACES_AT (WEIGHTS_AT + WEIGHT_BYTES(SIDE, COLUMNS))
#define LARGEST_AT (PLACES_AT + (COLUMNS + 3) / 4 * 16)
#define RECIPROCALS_AT (LARGEST_AT + (COLUMNS + 3) / 4 * 16)
#define DELTAS_AT (RECIPROCALS_AT + (COLUMNS + 3) / 4 * 16)
#define BIASES_AT (DELTAS_AT + (COLUMNS + 3) / 4 * 16)

DEVICE Statistics query_statistics(const float* statistics, const float* deltas, int heads, int head, long long token) {
    Statistics result = statistics_of(statistics, heads, head, token);
    if (token != NOWHERE) result.delta = deltas[token * heads + head];
    return result;
}

// A lane's rows: their places, and where they are queries their statistics.
DEVICE void read_queries(int (&place)[ROWS], Statistics (&own)[ROWS], const Window& window, int first, const Biases& bias,
                         const float* statistics, const float* deltas, int heads, int head) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        place[i] = window.place(first + i, bias.offsets);
        own[i] = query_statistics(statistics, deltas, heads, head, window.token(first + i));
    }
}

// Parameters and blocks of all three: those of WindowBackwardTiles.cu.
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
    const int row = own_rows();

    stage<SIDE>(window, begin, projected + channels.query, channels.step, FIRST_AT, slopes + channels.head, channels.head_step,
                SECOND_AT);
    int place[ROWS];
    Statistics own[ROWS];
    read_queries(place, own, window, begin + row, bias, statistics, deltas, heads, head);
    float sums[ROWS][CHUNKS][4];
    clear(sums);
    for (int key = 0; key < count; key += COLUMNS) {
        // Until nobody reads the tile before any more.
        if (key > 0) __syncthreads();
        stage<COLUMNS>(window, key, projected + channels.key, channels.step, FIRST_COLUMNS_AT, projected + channels.value,
                       channels.step, SECOND_COLUMNS_AT);
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS) places[index] = window.place(key + index, bias.offsets);
        __syncthreads();
        float scores[ROWS][COLUMNS / 8], slope[ROWS][COLUMNS / 8];
        multiply_rows<COLUMNS>(scores, FIRST_AT, row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, row, SECOND_COLUMNS_AT);
        to_slopes_by_query<COLUMNS>(scores, slope, bias, scale, place, own, PLACES_AT);
        put_weights<COLUMNS>(slope, WEIGHTS_AT, row);
        __syncwarp();
        multiply_weights<COLUMNS>(sums, WEIGHTS_AT, row, FIRST_COLUMNS_AT);
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        const long long token = window.token(begin + row + i);
        if (token != NOWHERE) write_row(sums[i], scale, gradient + token * channels.step + channels.query);
    }
}

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
    const int row = own_rows();

    stage<SIDE>(window, begin, projected + channels.key, channels.step, FIRST_AT, projected + channels.value, channels.step,
                SECOND_AT);
    int place[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; ++i) place[i] = window.place(begin + row + i, bias.offsets);
    float key_sums[ROWS][CHUNKS][4], value_sums[ROWS][CHUNKS][4];
    clear(key_sums);
    clear(value_sums);
    for (int query = 0; query < count; query += COLUMNS) {
        // Until nobody reads the tile before any more.
        if (query > 0) __syncthreads();
        stage<COLUMNS>(window, query, projected + channels.query, channels.step, FIRST_COLUMNS_AT, slopes + channels.head,
                       channels.head_step, SECOND_COLUMNS_AT);
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS) {
            const Statistics own = query_statistics(statistics, deltas, heads, head, window.token(query + index));
            places[index] = window.place(query + index, bias.offsets);
            largest[index] = own.largest;
            reciprocals[index] = own.reciprocal;
            query_deltas[index] = own.delta;
        }
        __syncthreads();
        float scores[ROWS][COLUMNS / 8], slope[ROWS][COLUMNS / 8];
        multiply_rows<COLUMNS>(scores, FIRST_AT, row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, row, SECOND_COLUMNS_AT);
        to_slopes_by_key<COLUMNS>(scores, slope, bias, scale, place, PLACES_AT, LARGEST_AT, RECIPROCALS_AT, DELTAS_AT);
        put_weights<COLUMNS>(scores, WEIGHTS_AT, row);
        __syncwarp();
        multiply_weights<COLUMNS>(value_sums, WEIGHTS_AT, row, SECOND_COLUMNS_AT);
        __syncwarp();
        put_weights<COLUMNS>(slope, WEIGHTS_AT, row);
        __syncwarp();
        multiply_weights<COLUMNS>(key_sums, WEIGHTS_AT, row, FIRST_COLUMNS_AT);
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        const long long token = window.token(begin + row + i);
        if (token != NOWHERE) {
            write_row(key_sums[i], scale, gradient + token * channels.step + channels.key);
            write_row(value_sums[i], 1.0f, gradient + token * channels.step + channels.value);
        }
    }
}

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
    const int row = own_rows();
    float total[ROWS][COLUMNS / 8];
    clear(total);

    for (long long number = item / heads; number < windows; number += parts) {
        const Window window = division.window(number, true);
        // The same for the whole block.
        if (begin >= window.count() || first_key >= window.count()) continue;
        __syncthreads();
        stage<SIDE>(window, begin, projected + channels.query, channels.step, FIRST_AT, slopes + channels.head,
                    channels.head_step, SECOND_AT);
        stage<COLUMNS>(window, first_key, projected + channels.key, channels.step, FIRST_COLUMNS_AT,
                       projected + channels.value, channels.step, SECOND_COLUMNS_AT);
        for (int index = threadIdx.x; index < COLUMNS; index += THREADS)
            places[index] = window.place(first_key + index, bias.offsets);
        int place[ROWS];
        Statistics own[ROWS];
        read_queries(place, own, window, begin + row, bias, statistics, deltas, heads, head);
        __syncthreads();
        float scores[ROWS][COLUMNS / 8], slope[ROWS][COLUMNS / 8];
        multiply_rows<COLUMNS>(scores, FIRST_AT, row, FIRST_COLUMNS_AT);
        multiply_rows<COLUMNS>(slope, SECOND_AT, row, SECOND_COLUMNS_AT);
        to_slopes_by_query<COLUMNS>(scores, slope, bias, scale, place, own, PLACES_AT);
#pragma unroll
        for (int i = 0; i < ROWS; ++i)
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; ++j) total[i][j] += slope[i][j];
    }
    const int longest = division.longest();
    write_pairs<COLUMNS>(total, pairs + item * longest * longest, longest, begin + row, first_key);
}
