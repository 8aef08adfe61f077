// Window attention, forward, in single precision: what WindowForward.cu computes, by products on CUDA cores.
//
// A block has a tile of the queries of one window and head, WARPS·4·ROWS of them, and goes over that window's keys, KEYS at a
// time, with a running maximum; eight lanes share ROWS queries. Weights go through shared memory, inside a warp.
// Shared memory: queries, keys and values by rows, weights, the places of keys, biases.
// Bound: multiply-adds and reads of shared memory, ROWS + KEYS/8 packs for each 4·ROWS·KEYS/8 of them.
//
// Constants: those of WindowSingles.cuh, and KEYS, a multiple of 8; WARPS.
#define THREADS (WARPS * WARP)
#include "WindowSingles.cuh"

#define QUERIES (WARPS * 4 * ROWS)
#define KEYS_AT TILE_BYTES(QUERIES)
#define VALUES_AT (KEYS_AT + TILE_BYTES(KEYS))
#define WEIGHTS_AT (VALUES_AT + TILE_BYTES(KEYS))
#define PLACES_AT (WEIGHTS_AT + WEIGHT_BYTES(QUERIES, KEYS))
#define BIASES_AT (PLACES_AT + (KEYS + 3) / 4 * 16)

// Parameters and blocks: those of WindowForward.cu.
KERNEL window_forward(const ELEMENT* __restrict__ projected, const float* __restrict__ biases, ELEMENT* __restrict__ output,
                      float* __restrict__ statistics, DIVISION_PARAMETERS, int heads, int head_distance, int part_distance,
                      int bias_window, int tiles, float scale) {
    const int begin = static_cast<int>(blockIdx.x % tiles) * QUERIES;
    const int head = static_cast<int>(blockIdx.x / tiles % heads);
    const Window window = DIVISION.window(blockIdx.x / tiles / heads, false);
    const int count = window.count();
    // A window that an edge has cut may have fewer tiles: the same for the whole block.
    if (begin >= count) return;

    const Channels channels(heads, head, head_distance, part_distance);
    const Biases bias(biases, head, bias_window, BIASES_AT);
    const Shared<int> places(PLACES_AT);
    const int row = own_rows();
    stage<QUERIES>(window, begin, projected + channels.query, channels.step, 0);
    int query_place[ROWS];
    float sums[ROWS][CHUNKS][4], largest[ROWS], total[ROWS];
    clear(sums);
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        query_place[i] = window.place(begin + row + i, bias.offsets);
        largest[i] = LOWEST;
        total[i] = 0.0f;
    }
    for (int key = 0; key < count; key += KEYS) {
        // Until nobody reads the tile before any more.
        if (key > 0) __syncthreads();
        stage<KEYS>(window, key, projected + channels.key, channels.step, KEYS_AT, projected + channels.value, channels.step,
                    VALUES_AT);
        for (int index = threadIdx.x; index < KEYS; index += THREADS) places[index] = window.place(key + index, bias.offsets);
        __syncthreads();

        float scores[ROWS][KEYS / 8];
        multiply_rows<KEYS>(scores, 0, row, KEYS_AT);
#pragma unroll
        for (int j = 0; j < KEYS / 8; ++j) {
            const int place = places[across() + 8 * j];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) scores[i][j] = bias.score(scores[i][j], scale, query_place[i], place);
        }
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
            float most = largest[i];
#pragma unroll
            for (int j = 0; j < KEYS / 8; ++j) most = fmaxf(most, scores[i][j]);
            most = largest_over<8>(most);
            const float shrunk = __expf(largest[i] - most);
            largest[i] = most;
            float weights = 0.0f;
#pragma unroll
            for (int j = 0; j < KEYS / 8; ++j) {
                scores[i][j] = __expf(scores[i][j] - most);
                weights += scores[i][j];
            }
            total[i] = fmaf(total[i], shrunk, weights);
#pragma unroll
            for (int chunk = 0; chunk < CHUNKS; ++chunk)
#pragma unroll
                for (int c = 0; c < 4; ++c) sums[i][chunk][c] *= shrunk;
        }
        put_weights<KEYS>(scores, WEIGHTS_AT, row);
        __syncwarp();
        multiply_weights<KEYS>(sums, WEIGHTS_AT, row, VALUES_AT);
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        const float reciprocal = 1.0f / sum_over<8>(total[i]);
        const long long token = window.token(begin + row + i);
        if (token != NOWHERE) {
            write_row(sums[i], reciprocal, output + token * channels.head_step + channels.head);
            if (statistics != nullptr && across() == 0) {
                const Pack<float, 2> both = {{largest[i], reciprocal}};
                store<2>(statistics + (token * heads + head) * 2, both);
            }
        }
    }
}
