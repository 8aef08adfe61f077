// Window attention, forward, in half and bfloat16: softmax(q·kᵀ/√d + bias) · v in each window (Swin, arXiv 2103.14030, section
// 3.2), over tiles with a running maximum (FlashAttention, arXiv 2205.14135): no score leaves the multiprocessor.
//
// A block has a tile of the queries of one window and head, WARPS·TILES·16 of them, and goes over that window's keys, KEYS at
// a time; a warp has TILES·16 queries. Products are on tensor cores, in float; weights are rounded to elements for the second.
// Shared memory: queries by rows (and at last results), keys by rows, values by pairs, the places of keys, biases.
// Bound: memory for windows of some 49 tokens, which read and write 4C elements for each token; reads of shared memory, two
// words for each product of 16·TILES×16×8, for large ones.
//
// Constants: those of Window.cuh, and KEYS, a multiple of 16; WARPS; TILES.
#define THREADS (WARPS * WARP)
#include "WindowTiles.cuh"

#define QUERIES (WARPS * TILES * 16)
#define KEYS_AT TILE_BYTES(QUERIES)
#define VALUES_AT (KEYS_AT + TILE_BYTES(KEYS))
#define PLACES_AT (VALUES_AT + TILE_BYTES(KEYS))
#define BIASES_AT (PLACES_AT + KEYS * 4)

// projected [tokens, 3C]; biases [h, (2w − 1)²]; output [tokens, C]; statistics [tokens, h, 2]: of each query the largest
// score and one over the sum of weights, or null. Blocks: windows × heads × `tiles`, the last fastest.
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
    const int lane = threadIdx.x % WARP;
    const int first_row = threadIdx.x / WARP * (TILES * 16);
    const bool has_queries = begin + first_row < count;

    stage<QUERIES>(window, begin, projected + channels.query, channels.step, RowTile{0, 0});
    unsigned query[TILES][WIDTH / 16][4];
    int query_place[TILES][2];
    float sums[TILES][WIDTH / 8][4], largest[TILES][2], total[TILES][2];
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) {
        const int row = begin + first_row + tile * 16 + lane / 4;
        query_place[tile][0] = window.place(row, bias.offsets);
        query_place[tile][1] = window.place(row + 8, bias.offsets);
        clear(sums[tile]);
        largest[tile][0] = largest[tile][1] = LOWEST;
        total[tile][0] = total[tile][1] = 0.0f;
    }
    const Shared<int> places(PLACES_AT);
    for (int key = 0; key < count; key += KEYS) {
        // Until nobody reads the tile before any more.
        if (key > 0) __syncthreads();
        stage<KEYS>(window, key, projected + channels.key, channels.step, RowTile{KEYS_AT, 0}, projected + channels.value,
                    channels.step, PairTile{0, VALUES_AT});
        for (int index = threadIdx.x; index < KEYS; index += THREADS) places[index] = window.place(key + index, bias.offsets);
        __syncthreads();
        if (!has_queries) continue;
        if (key == 0) {
#pragma unroll
            for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
                for (int block = 0; block < WIDTH / 16; ++block)
                    read_left(query[tile][block], Shared<unsigned>(0), first_row + tile * 16, block);
        }

        float scores[TILES][KEYS / 8][4];
#pragma unroll
        for (int tile = 0; tile < TILES; ++tile) clear(scores[tile]);
#pragma unroll
        for (int block = 0; block < WIDTH / 16; ++block) {
#pragma unroll
            for (int n = 0; n < KEYS / 8; ++n) {
                const Shared<unsigned> keys(KEYS_AT);
                const int at = (n * 8 + lane / 4) * (PITCH / 2) + block * 8 + lane % 4;
                const unsigned right[2] = {keys[at], keys[at + 4]};
#pragma unroll
                for (int tile = 0; tile < TILES; ++tile) multiply_add(scores[tile][n], query[tile][block], right, ELEMENT{});
            }
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; ++n) {
            const Pack<int, 2> place = places.load<2>(n * 8 + lane % 4 * 2);
#pragma unroll
            for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
                for (int e = 0; e < 4; ++e)
                    scores[tile][n][e] = bias.score(scores[tile][n][e], scale, query_place[tile][e / 2], place.at[e % 2]);
        }
#pragma unroll
        for (int tile = 0; tile < TILES; ++tile) {
#pragma unroll
            for (int side = 0; side < 2; ++side) {
                float most = largest[tile][side];
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
                    most = fmaxf(most, fmaxf(scores[tile][n][2 * side], scores[tile][n][2 * side + 1]));
                // The four lanes of a row.
                most = largest_over<4>(most);
                const float shrunk = __expf(largest[tile][side] - most);
                largest[tile][side] = most;
                float weights = 0.0f;
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                    for (int e = 2 * side; e < 2 * side + 2; ++e) {
                        scores[tile][n][e] = __expf(scores[tile][n][e] - most);
                        weights += scores[tile][n][e];
                    }
                total[tile][side] = fmaf(total[tile][side], shrunk, weights);
#pragma unroll
                for (int n = 0; n < WIDTH / 8; ++n) {
                    sums[tile][n][2 * side] *= shrunk;
                    sums[tile][n][2 * side + 1] *= shrunk;
                }
            }
        }
#pragma unroll
        for (int block = 0; block < KEYS / 16; ++block) {
            const Shared<unsigned> values(VALUES_AT);
            unsigned left[TILES][4];
#pragma unroll
            for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
                for (int word = 0; word < 4; ++word) {
                    const float(&pair)[4] = scores[tile][2 * block + word / 2];
                    left[tile][word] = packed<ELEMENT>(pair[word % 2 * 2], pair[word % 2 * 2 + 1]);
                }
            const int at = (block * 8 + lane % 4) * PITCH + lane / 4;
#pragma unroll
            for (int n = 0; n < WIDTH / 8; ++n) {
                const unsigned right[2] = {values[at + n * 8], values[at + 4 * PITCH + n * 8]};
#pragma unroll
                for (int tile = 0; tile < TILES; ++tile) multiply_add(sums[tile][n], left[tile], right, ELEMENT{});
            }
        }
    }

    if (!has_queries) return;
    // Results go out through the queries' place, which only this warp has read.
    __syncwarp();
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) {
        const int row = first_row + tile * 16;
        const float reciprocal[2] = {1.0f / sum_over<4>(total[tile][0]), 1.0f / sum_over<4>(total[tile][1])};
        unsigned words[WIDTH / 8][2];
        round_rows(words, sums[tile], reciprocal[0], reciprocal[1]);
        write_rows(words, 0, row, window, begin + row, output + channels.head, channels.head_step);
#pragma unroll
        for (int side = 0; side < 2; ++side) {
            const long long token = window.token(begin + row + lane / 4 + side * 8);
            if (statistics != nullptr && lane % 4 == 0 && token != NOWHERE) {
                const Pack<float, 2> both = {{largest[tile][side], reciprocal[side]}};
                store<2>(statistics + (token * heads + head) * 2, both);
            }
        }
    }
}
