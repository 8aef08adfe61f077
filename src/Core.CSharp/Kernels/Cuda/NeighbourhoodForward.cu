// Neighbourhood attention (NAT, arXiv 2204.07143, section 3.1; dilated: DiNAT, arXiv 2209.15001, section 3.1), forward:
//   score[j] = scale · q·K[window_j] + rpb[offset_j]    out = Σ_j softmax_j(score) V[window_j]
// A thread goes over the keys of its tokens' windows once, with a running maximum; a key's channels in registers serve all
// its tokens. Bound: reads of shared memory, 2·8 words for 16·TOKENS multiply-adds.
#include "NeighbourhoodShares.cuh"

#define STAGED_COLUMNS (TILE_COLUMNS + WINDOW - 1)
#define STAGED_BYTES (CHUNK * STAGED_COLUMNS * STRIDE * 4)

// projected [B, H, W, 3C]: all queries, all keys, all values; biases [h, 2k−1, 2k−1] where HAS_BIAS; output [B, H, W, C];
// statistics [B, H, W, h]: the logarithm of each sum of exponentials, or null. Shared: 2·STAGED_BYTES, and the biases.
KERNEL neighbourhood_forward(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                             ELEMENT* __restrict__ output, float* __restrict__ statistics, int height, int width, int heads,
                             int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<float> keys(0), values(STAGED_BYTES), table(2 * STAGED_BYTES);
    const Own own(tile);
    const int lane = own.lane, row = own.row, column = own.column;
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;

    float query[TOKENS][8], sums[TOKENS][8], largest[TOKENS], total[TOKENS];
    int first[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        read_share(head + own.token(tile, t) * step, lane, scale, query[t]);
        first[t] = own.has(tile, t) ? tile.columns.first_key(column + t) : NOWHERE;
        largest[t] = LOWEST;
        total[t] = 0.0f;
#pragma unroll
        for (int i = 0; i < 8; ++i) sums[t][i] = 0.0f;
    }
    stage_biases(biases, tile.head, table);

    const int first_row = tile.rows.first_key(row);
    const int begin = tile.columns.first_key(min(column, tile.right));
    const int span = most(tile.columns.first_key(min(column + TOKENS - 1, tile.right)) + WINDOW - begin);
    const Reach staged = keys_of(tile);

    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head + channels, step, tile, chunk, rows, staged.left, staged.width, STAGED_COLUMNS, 1.0f, keys);
        stage(head + 2 * channels, step, tile, chunk, rows, staged.left, staged.width, STAGED_COLUMNS, 1.0f, values);
        __syncthreads();
        for (int down = 0; down < rows; ++down) {
            const int key_row = chunk + down;
            const bool sees_row = key_row >= first_row && key_row < first_row + WINDOW;
            if (!__any_sync(ALL_LANES, sees_row)) continue;
            for (int across = 0; across < span; ++across) {
                const int key_column = begin + across;
                const int place = down * STAGED_COLUMNS + min(key_column, staged.right) - staged.left;
                float key[8], value[8], score[TOKENS];
                read_staged(keys, place, lane, key);
                read_staged(values, place, lane, value);
                bool sees[TOKENS];
#pragma unroll
                for (int t = 0; t < TOKENS; ++t) {
                    sees[t] = sees_row && key_column >= first[t] && key_column < first[t] + WINDOW;
                    // Whether a token sees the key differs between lanes at the map's edges alone: a branch, not a select.
                    score[t] = sees[t] ? product(query[t], key) : 0.0f;
                    score[t] = sum_over<SPLIT>(score[t]);
                }
#pragma unroll
                for (int t = 0; t < TOKENS; ++t) {
                    if (!sees[t]) continue;
                    if (HAS_BIAS)
                        score[t] += table[(key_row - row + WINDOW - 1) * OFFSETS + key_column - column - t + WINDOW - 1];
                    if (score[t] > largest[t]) {
                        const float factor = __expf(largest[t] - score[t]);
                        largest[t] = score[t];
                        total[t] *= factor;
#pragma unroll
                        for (int i = 0; i < 8; ++i) sums[t][i] *= factor;
                    }
                    const float weight = __expf(score[t] - largest[t]);
                    total[t] += weight;
                    add_scaled(sums[t], weight, value);
                }
            }
        }
    }

#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        if (first[t] == NOWHERE) continue;
        const long long token = tile.token(row, column + t);
        write_share(output + token * channels + tile.head * DEPTH, lane, 1.0f / total[t], sums[t]);
        if (statistics != nullptr && lane == 0) statistics[token * heads + tile.head] = largest[t] + __logf(total[t]);
    }
}
