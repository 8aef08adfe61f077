// Neighbourhood attention's gradients. With p_ij the weight that query i gives to key j, and δ_i = dO_i·O_i:
//   ds_ij = p_ij (dO_i·v_j − δ_i)    dq_i = scale Σ_j ds_ij k_j    dk_j = scale Σ_i ds_ij q_i    dv_j = Σ_i p_ij dO_i
// Weights are computed again from what the forward pass kept: the logarithm of each query's sum of exponentials. One kernel
// goes over the keys of each query, one over the queries of each key; both gather, so that no order of additions is open.
// The biases' gradient (NeighbourhoodBias.cu) adds up ds, which the first kernel leaves behind where it is wanted.
#include "NeighbourhoodShares.cuh"

// Keys of queries lie up to k − 1 beyond a tile; near an edge, queries of keys do so on both sides.
#define KEY_COLUMNS (TILE_COLUMNS + WINDOW - 1)
#define QUERY_COLUMNS (TILE_COLUMNS + 2 * (WINDOW - 1))
#define BYTES_OF(columns) (CHUNK * (columns) * STRIDE * 4)
#define NUMBER_BYTES ((CHUNK * QUERY_COLUMNS * 4 + 15) / 16 * 16)

// The gradient of queries, the first C channels of gradient [B, H, W, 3C]; deltas [B, H, W, h]; and by_score
// [B, h, k², H, W], the gradient of the scores, or null. Shared: 2·BYTES_OF(KEY_COLUMNS), and the biases.
KERNEL neighbourhood_query_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                                     const ELEMENT* __restrict__ output, const ELEMENT* __restrict__ slopes,
                                     const float* __restrict__ statistics, ELEMENT* __restrict__ gradient,
                                     float* __restrict__ deltas, float* __restrict__ by_score, int height, int width,
                                     int heads, int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<float> keys(0), values(BYTES_OF(KEY_COLUMNS)), table(2 * BYTES_OF(KEY_COLUMNS));
    const Own own(tile);
    const int lane = own.lane, row = own.row, column = own.column;
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;

    float query[TOKENS][8], slope[TOKENS][8], sums[TOKENS][8], statistic[TOKENS], delta[TOKENS];
    int first[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        const long long token = own.token(tile, t);
        float result[8];
        read_share(head + token * step, lane, scale, query[t]);
        read_share(slopes + token * channels + tile.head * DEPTH, lane, 1.0f, slope[t]);
        read_share(output + token * channels + tile.head * DEPTH, lane, 1.0f, result);
        delta[t] = sum_over<SPLIT>(product(slope[t], result));
        statistic[t] = statistics[token * heads + tile.head];
        first[t] = own.has(tile, t) ? tile.columns.first_key(column + t) : NOWHERE;
#pragma unroll
        for (int i = 0; i < 8; ++i) sums[t][i] = 0.0f;
    }
    stage_biases(biases, tile.head, table);

    const int first_row = tile.rows.first_key(row);
    const int begin = tile.columns.first_key(min(column, tile.right));
    const int span = most(tile.columns.first_key(min(column + TOKENS - 1, tile.right)) + WINDOW - begin);
    const Reach staged = keys_of(tile);
    const long long plane = static_cast<long long>(height) * width;

    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head + channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, 1.0f, keys);
        stage(head + 2 * channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, 1.0f, values);
        __syncthreads();
        for (int down = 0; down < rows; ++down) {
            const int key_row = chunk + down;
            const bool sees_row = key_row >= first_row && key_row < first_row + WINDOW;
            if (!__any_sync(ALL_LANES, sees_row)) continue;
            for (int across = 0; across < span; ++across) {
                const int key_column = begin + across;
                const int place = down * KEY_COLUMNS + min(key_column, staged.right) - staged.left;
                float key[8], value[8];
                read_staged(keys, place, lane, key);
                read_staged(values, place, lane, value);
#pragma unroll
                for (int t = 0; t < TOKENS; ++t) {
                    const bool sees = sees_row && key_column >= first[t] && key_column < first[t] + WINDOW;
                    float score = sum_over<SPLIT>(sees ? product(query[t], key) : 0.0f);
                    const float by_weight = sum_over<SPLIT>(sees ? product(slope[t], value) : 0.0f);
                    if (!sees) continue;
                    if (HAS_BIAS)
                        score += table[(key_row - row + WINDOW - 1) * OFFSETS + key_column - column - t + WINDOW - 1];
                    const float by_own = __expf(score - statistic[t]) * (by_weight - delta[t]);
                    add_scaled(sums[t], by_own, key);
                    if (by_score != nullptr && lane == 0) {
                        const int sample = (key_row - first_row) * WINDOW + key_column - first[t];
                        const long long map = (static_cast<long long>(tile.image) * heads + tile.head) * AREA + sample;
                        by_score[map * plane + tile.rows.token(row) * width + tile.columns.token(column + t)] = by_own;
                    }
                }
            }
        }
    }

#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        if (first[t] == NOWHERE) continue;
        const long long token = tile.token(row, column + t);
        write_share(gradient + token * step + tile.head * DEPTH, lane, scale, sums[t]);
        if (lane == 0) deltas[token * heads + tile.head] = delta[t];
    }
}

// The gradients of keys and values, the other channels of gradient. Here a thread's tokens are keys, and queries with their
// slopes go through shared memory. Shared: 2·BYTES_OF(QUERY_COLUMNS), 2·NUMBER_BYTES, and the biases.
KERNEL neighbourhood_key_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                                   const ELEMENT* __restrict__ slopes, const float* __restrict__ statistics,
                                   const float* __restrict__ deltas, ELEMENT* __restrict__ gradient, int height, int width,
                                   int heads, int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<float> queries(0), staged_slopes(BYTES_OF(QUERY_COLUMNS)), staged_statistics(2 * BYTES_OF(QUERY_COLUMNS)),
        staged_deltas(2 * BYTES_OF(QUERY_COLUMNS) + NUMBER_BYTES), table(2 * BYTES_OF(QUERY_COLUMNS) + 2 * NUMBER_BYTES);
    const Own own(tile);
    const int lane = own.lane, row = own.row, column = own.column;
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;
    const ELEMENT* head_slopes = slopes + tile.head * DEPTH;

    float key[TOKENS][8], value[TOKENS][8], by_key[TOKENS][8], by_value[TOKENS][8];
    int first[TOKENS], last[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        const long long token = own.token(tile, t);
        read_share(head + token * step + channels, lane, 1.0f, key[t]);
        read_share(head + token * step + 2 * channels, lane, 1.0f, value[t]);
        const bool is_key = own.has(tile, t);
        first[t] = is_key ? tile.columns.first_query(column + t) : NOWHERE;
        last[t] = is_key ? tile.columns.last_query(column + t) : -1;
#pragma unroll
        for (int i = 0; i < 8; ++i) by_key[t][i] = by_value[t][i] = 0.0f;
    }
    stage_biases(biases, tile.head, table);

    const int first_row = tile.rows.first_query(row), last_row = tile.rows.last_query(row);
    const int begin = tile.columns.first_query(min(column, tile.right));
    const int span = most(tile.columns.last_query(min(column + TOKENS - 1, tile.right)) + 1 - begin);
    const Reach staged = queries_of(tile);

    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head, step, tile, chunk, rows, staged.left, staged.width, QUERY_COLUMNS, scale, queries);
        stage(head_slopes, channels, tile, chunk, rows, staged.left, staged.width, QUERY_COLUMNS, 1.0f, staged_slopes);
        for (int index = threadIdx.x; index < rows * staged.width; index += blockDim.x) {
            const int down = index / staged.width, across = index % staged.width;
            const long long number = tile.token(chunk + down, staged.left + across) * heads + tile.head;
            staged_statistics[down * QUERY_COLUMNS + across] = statistics[number];
            staged_deltas[down * QUERY_COLUMNS + across] = deltas[number];
        }
        __syncthreads();
        for (int down = 0; down < rows; ++down) {
            const int query_row = chunk + down;
            const bool sees_row = query_row >= first_row && query_row <= last_row;
            if (!__any_sync(ALL_LANES, sees_row)) continue;
            for (int across = 0; across < span; ++across) {
                const int query_column = begin + across;
                const int place = down * QUERY_COLUMNS + min(query_column, staged.right) - staged.left;
                float query[8], slope[8];
                read_staged(queries, place, lane, query);
                read_staged(staged_slopes, place, lane, slope);
                const float statistic = staged_statistics[place], delta = staged_deltas[place];
#pragma unroll
                for (int t = 0; t < TOKENS; ++t) {
                    const bool sees = sees_row && query_column >= first[t] && query_column <= last[t];
                    float score = sum_over<SPLIT>(sees ? product(key[t], query) : 0.0f);
                    const float by_weight = sum_over<SPLIT>(sees ? product(value[t], slope) : 0.0f);
                    if (!sees) continue;
                    if (HAS_BIAS)
                        score += table[(row - query_row + WINDOW - 1) * OFFSETS + column + t - query_column + WINDOW - 1];
                    const float weight = __expf(score - statistic);
                    add_scaled(by_value[t], weight, slope);
                    add_scaled(by_key[t], weight * (by_weight - delta), query);
                }
            }
        }
    }

#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        if (first[t] == NOWHERE) continue;
        ELEMENT* target = gradient + tile.token(row, column + t) * step + tile.head * DEPTH;
        write_share(target + channels, lane, 1.0f, by_key[t]);
        write_share(target + 2 * channels, lane, 1.0f, by_value[t]);
    }
}
