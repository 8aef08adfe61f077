// Window attention, backward, in single precision, where a tile holds the largest window: WindowBackward.cu's equations, by
// products on CUDA cores, in one pass.
//
// A block has one head and every `parts`-th window; eight lanes share four of its queries, and later four of its keys. Weights
// and slopes of scores go through shared memory once, and serve dq by rows, dk and dv by columns. Where biases have a gradient,
// tokens are numbered as in the largest window, and a lane adds up ds of its pairs over all windows of the block.
// Shared memory: queries, slopes (SIDE rows), keys, values (KEYS rows), weights and slopes of scores; per token its place and
// statistics; biases. Bound: multiply-adds and reads of shared memory.
//
// Constants: those of WindowSingles.cuh with ROWS=4; WARPS, a tile has SIDE = 16·WARPS queries; KEYS, a multiple of 8 up to SIDE.
#define THREADS (WARPS * WARP)
#include "WindowSingles.cuh"

#define SIDE (WARPS * 16)
#define QUERIES_AT 0
#define SLOPES_AT (QUERIES_AT + TILE_BYTES(SIDE))
#define KEYS_AT (SLOPES_AT + TILE_BYTES(SIDE))
#define VALUES_AT (KEYS_AT + TILE_BYTES(KEYS))
#define WEIGHTS_AT (VALUES_AT + TILE_BYTES(KEYS))
#define SCORE_SLOPES_AT (WEIGHTS_AT + WEIGHT_BYTES(SIDE, KEYS))
#define PLACES_AT (SCORE_SLOPES_AT + WEIGHT_BYTES(SIDE, KEYS))
#define LARGEST_AT (PLACES_AT + SIDE * 4)
#define RECIPROCALS_AT (LARGEST_AT + SIDE * 4)
#define DELTAS_AT (RECIPROCALS_AT + SIDE * 4)
#define BIASES_AT (DELTAS_AT + SIDE * 4)

// Parameters and blocks: those of WindowBackward.cu.
KERNEL window_backward(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                       const ELEMENT* __restrict__ output, const float* __restrict__ statistics,
                       const ELEMENT* __restrict__ slopes, ELEMENT* __restrict__ gradient, float* __restrict__ pairs,
                       DIVISION_PARAMETERS, int heads, int head_distance, int part_distance, int bias_window,
                       long long windows, long long parts, float scale) {
    const int head = static_cast<int>(blockIdx.x % heads);
    const long long part = blockIdx.x / heads;
    const Division division = DIVISION;
    const Channels channels(heads, head, head_distance, part_distance);
    const Biases bias(biases, head, bias_window, BIASES_AT);
    const Shared<int> places(PLACES_AT);
    const Shared<float> largest(LARGEST_AT), reciprocals(RECIPROCALS_AT), deltas(DELTAS_AT);
    const int lane = threadIdx.x % WARP;
    const int first_row = threadIdx.x / WARP * 16;
    const int row = own_rows();
    float total[ROWS][KEYS / 8];
    clear(total);

    for (long long number = part; number < windows; number += parts) {
        const Window window = division.window(number, pairs != nullptr);
        stage<SIDE>(window, 0, projected + channels.query, channels.step, QUERIES_AT, slopes + channels.head, channels.head_step,
                    SLOPES_AT);
        stage<KEYS>(window, 0, projected + channels.key, channels.step, KEYS_AT, projected + channels.value, channels.step,
                    VALUES_AT);
        for (int index = threadIdx.x; index < SIDE; index += THREADS) {
            const Statistics own = statistics_of(statistics, heads, head, window.token(index));
            places[index] = window.place(index, bias.offsets);
            largest[index] = own.largest;
            reciprocals[index] = own.reciprocal;
        }
#pragma unroll
        for (int start = 0; start < 16; start += WARP / ROW_LANES) {
            const int number_in_window = first_row + start + lane / ROW_LANES;
            const bool is_row = start + lane / ROW_LANES < 16;
            const long long token = is_row ? window.token(number_in_window) : NOWHERE;
            const long long at = (token == NOWHERE ? 0 : token) * channels.head_step + channels.head;
            const float delta = row_product(slopes + at, output + at, token != NOWHERE);
            if (is_row && lane % ROW_LANES == 0) deltas[number_in_window] = delta;
        }
        __syncthreads();

        {
            float scores[ROWS][KEYS / 8], slope[ROWS][KEYS / 8];
            multiply_rows<KEYS>(scores, QUERIES_AT, row, KEYS_AT);
            multiply_rows<KEYS>(slope, SLOPES_AT, row, VALUES_AT);
            int place[ROWS];
            Statistics own[ROWS];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                place[i] = places[row + i];
                own[i] = {largest[row + i], reciprocals[row + i], deltas[row + i]};
            }
            to_slopes_by_query<KEYS>(scores, slope, bias, scale, place, own, PLACES_AT);
            put_weights<KEYS>(scores, WEIGHTS_AT, row);
            put_weights<KEYS>(slope, SCORE_SLOPES_AT, row);
            if (pairs != nullptr) {
#pragma unroll
                for (int i = 0; i < ROWS; ++i)
#pragma unroll
                    for (int j = 0; j < KEYS / 8; ++j) total[i][j] += slope[i][j];
            }
        }
        __syncthreads();
        float sums[ROWS][CHUNKS][4];
        clear(sums);
        multiply_weights<KEYS>(sums, SCORE_SLOPES_AT, row, KEYS_AT);
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            const long long token = window.token(row + i);
            if (token != NOWHERE) write_row(sums[i], scale, gradient + token * channels.step + channels.query);
        }
        // Now the rows are four keys.
        if (row < KEYS) {
            clear(sums);
            multiply_transposed<KEYS, SIDE>(sums, SCORE_SLOPES_AT, row, QUERIES_AT);
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                const long long token = window.token(row + i);
                if (token != NOWHERE) write_row(sums[i], scale, gradient + token * channels.step + channels.key);
            }
            clear(sums);
            multiply_transposed<KEYS, SIDE>(sums, WEIGHTS_AT, row, SLOPES_AT);
#pragma unroll
            for (int i = 0; i < ROWS; ++i) {
                const long long token = window.token(row + i);
                if (token != NOWHERE) write_row(sums[i], 1.0f, gradient + token * channels.step + channels.value);
            }
        }
        __syncthreads();
    }
    if (pairs != nullptr) {
        const int longest = division.longest();
        write_pairs<KEYS>(total, pairs + static_cast<long long>(blockIdx.x) * longest * longest, longest, row, 0);
    }
}
