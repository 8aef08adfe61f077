// Window attention, backward, in half and bfloat16, where a tile holds the largest window: all gradients in one pass. With
// scores s = q·kᵀ/√d + bias, weights p = softmax(s) and slopes g of the output (FlashAttention, arXiv 2205.14135, appendix B.2):
//   ds = p·(g·vᵀ − Σ_c g·output)    dq = ds·k/√d    dk = dsᵀ·q/√d    dv = pᵀ·g    dbias = Σ over windows of ds, by offset
// A block has one head and every `parts`-th window; a warp has 16 of the window's queries, then 16 of its keys, for which it
// has scores and slopes once more, by columns: so none of them leaves registers, and no sum has two owners. Where biases have
// a gradient, tokens are numbered as in the largest window, and a lane adds up ds of its pairs over all windows of the block.
// Shared memory: queries, keys, values and slopes by rows, all but values by pairs; per token its place and statistics; biases.
// Bound: memory, which reads 5C and writes 3C elements for each token.
//
// Constants: those of Window.cuh, and WARPS: a tile has SIDE = 16·WARPS rows.
#define THREADS (WARPS * WARP)
#include "WindowTiles.cuh"

#define SIDE (WARPS * 16)
#define QUERIES_AT 0
#define KEYS_AT (QUERIES_AT + TILE_BYTES(SIDE))
#define VALUES_AT (KEYS_AT + TILE_BYTES(SIDE))
#define SLOPES_AT (VALUES_AT + TILE_BYTES(SIDE))
#define QUERY_PAIRS_AT (SLOPES_AT + TILE_BYTES(SIDE))
#define KEY_PAIRS_AT (QUERY_PAIRS_AT + TILE_BYTES(SIDE))
#define SLOPE_PAIRS_AT (KEY_PAIRS_AT + TILE_BYTES(SIDE))
#define PLACES_AT (SLOPE_PAIRS_AT + TILE_BYTES(SIDE))
#define LARGEST_AT (PLACES_AT + SIDE * 4)
#define RECIPROCALS_AT (LARGEST_AT + SIDE * 4)
#define DELTAS_AT (RECIPROCALS_AT + SIDE * 4)
#define BIASES_AT (DELTAS_AT + SIDE * 4)

// projected, gradient [tokens, 3C]; biases [h, (2w − 1)²]; output, slopes [tokens, C]; statistics [tokens, h, 2];
// pairs [parts, h, L, L]: sums of ds over a block's windows, or null. Blocks: parts × heads, the last fastest.
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
    const int row = first_row + lane / 4;
    float total[SIDE / 8][4];
    clear(total);

    for (long long number = part; number < windows; number += parts) {
        const Window window = division.window(number, pairs != nullptr);
        stage<SIDE>(window, 0, projected + channels.query, channels.step, BothTile{QUERIES_AT, QUERY_PAIRS_AT},
                    slopes + channels.head, channels.head_step, BothTile{SLOPES_AT, SLOPE_PAIRS_AT});
        stage<SIDE>(window, 0, projected + channels.key, channels.step, BothTile{KEYS_AT, KEY_PAIRS_AT},
                    projected + channels.value, channels.step, RowTile{VALUES_AT, 0});
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

        unsigned query_gradient[WIDTH / 8][2];
        const int own_place[2] = {places[row], places[row + 8]};
        {
            float scores[SIDE / 8][4], slope[SIDE / 8][4], sums[WIDTH / 8][4];
            clear(scores);
            clear(slope);
            clear(sums);
            multiply_rows<SIDE>(scores, QUERIES_AT, first_row, KEYS_AT);
            multiply_rows<SIDE>(slope, SLOPES_AT, first_row, VALUES_AT);
            const Statistics own[2] = {{largest[row], reciprocals[row], deltas[row]},
                                       {largest[row + 8], reciprocals[row + 8], deltas[row + 8]}};
            to_slopes_by_query<SIDE>(scores, slope, bias, scale, own_place, own, PLACES_AT);
            if (pairs != nullptr) {
#pragma unroll
                for (int n = 0; n < SIDE / 8; ++n)
#pragma unroll
                    for (int e = 0; e < 4; ++e) total[n][e] += slope[n][e];
            }
            multiply_pairs<SIDE>(sums, slope, KEY_PAIRS_AT);
            round_rows(query_gradient, sums, scale, scale);
        }
        float key_sums[WIDTH / 8][4], value_sums[WIDTH / 8][4];
        clear(key_sums);
        clear(value_sums);
        {
            float scores[SIDE / 8][4], slope[SIDE / 8][4];
            clear(scores);
            clear(slope);
            multiply_rows<SIDE>(scores, KEYS_AT, first_row, QUERIES_AT);
            multiply_rows<SIDE>(slope, VALUES_AT, first_row, SLOPES_AT);
            to_slopes_by_key<SIDE>(scores, slope, bias, scale, own_place, PLACES_AT, LARGEST_AT, RECIPROCALS_AT, DELTAS_AT);
            multiply_pairs<SIDE>(value_sums, scores, SLOPE_PAIRS_AT);
            multiply_pairs<SIDE>(key_sums, slope, QUERY_PAIRS_AT);
        }

        // Gradients go out through the place of what they are the gradients of.
        __syncthreads();
        unsigned words[WIDTH / 8][2];
        write_rows(query_gradient, QUERIES_AT, first_row, window, first_row, gradient + channels.query, channels.step);
        round_rows(words, key_sums, scale, scale);
        write_rows(words, KEYS_AT, first_row, window, first_row, gradient + channels.key, channels.step);
        round_rows(words, value_sums, 1.0f, 1.0f);
        write_rows(words, VALUES_AT, first_row, window, first_row, gradient + channels.value, channels.step);
        __syncthreads();
    }

    if (pairs == nullptr) return;
    const int longest = division.longest();
    float* own_pairs = pairs + static_cast<long long>(blockIdx.x) * longest * longest;
#pragma unroll
    for (int n = 0; n < SIDE / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int query = row + e / 2 * 8;
            const int key = n * 8 + lane % 4 * 2 + e % 2;
            if (query < longest && key < longest) own_pairs[static_cast<long long>(query) * longest + key] = total[n][e];
        }
    }
}
