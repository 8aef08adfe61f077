// Neighbourhood attention on tensor cores, for half and bfloat16, forward and backward: the equations of
// NeighbourhoodForward.cu and NeighbourhoodBackward.cu.
//
// A warp owns 16 tokens, WARP_ROWS × WARP_COLUMNS, the rows of its products. What any of them meets is a rectangle of the
// map; its tokens, 16 at a time, are the columns. Scores of pairs that do not see each other are computed and left out:
// of a 4×4 square of queries and windows of 7×7, half. Weights are rounded to ELEMENT before they multiply, sums are float.
// A key that is not a number reaches every query of the warp whose rectangle has it.
//
// Constants beside those of all kernels: WARP_COLUMNS (of 16 tokens), WARPS_ACROSS (warps side by side in a tile).
#include "NeighbourhoodTile.cuh"

#define WARP_ROWS (16 / WARP_COLUMNS)
// Channels in slices of 16, as products take them, and in octets, as they give them.
#define SLICES ((DEPTH + 15) / 16)
#define OCTETS ((DEPTH + 7) / 8)
// Elements from a staged token to the next: eight more than the channels: four words of eight tokens lie in 32 banks.
#define PITCH (16 * SLICES + 8)
#define PACKED Widest<ELEMENT, DEPTH>::value
// Keys of queries lie up to k − 1 beyond a tile, queries of keys as far on both sides.
#define KEY_COLUMNS (TILE_COLUMNS + WINDOW - 1)
#define QUERY_COLUMNS (TILE_COLUMNS + 2 * (WINDOW - 1))
#define BYTES_OF(columns) (CHUNK * (columns) * PITCH * 2)
#define NUMBER_BYTES ((CHUNK * QUERY_COLUMNS * 4 + 15) / 16 * 16)

// Two neighbouring channels of a token in memory; zeros beyond the last.
DEVICE unsigned word_at(const ELEMENT* token, int channel) {
    if (DEPTH % 2 == 0) {
        if (channel >= DEPTH) return 0;
        const Pack<ELEMENT, 2> pack = load<2>(token + channel);
        return word_of(pack.at[0], pack.at[1]);
    }
    const ELEMENT zero = element_of<ELEMENT>(0.0f);
    return word_of(channel < DEPTH ? token[channel] : zero, channel + 1 < DEPTH ? token[channel + 1] : zero);
}

// Brings a head's channels of the tokens in some rows and columns to shared memory, row by row of `pitch` places.
DEVICE void stage(const ELEMENT* channels, long long step, const Tile& tile, int row, int row_count, int column,
                  int column_count, int pitch, const Shared<ELEMENT>& target) {
    const int packs = 16 * SLICES / PACKED;
    for (int index = threadIdx.x; index < row_count * column_count * packs; index += blockDim.x) {
        const int channel = index % packs * PACKED;
        const int place = index / packs;
        const int down = place / column_count, across = place % column_count;
        Pack<ELEMENT, PACKED> pack;
        if (channel < DEPTH) {
            pack = load<PACKED>(channels + tile.token(row + down, column + across) * step + channel);
        } else {
#pragma unroll
            for (int i = 0; i < PACKED; ++i) pack.at[i] = element_of<ELEMENT>(0.0f);
        }
        target.store<PACKED>((down * pitch + across) * PITCH + channel, pack);
    }
}

// The 16 tokens of a warp, and what a lane has of them: rows g and g + 8 of every product, g = lane / 4.
struct Rows {
    int lane, row, column;   // the first token
    int last_row, last_column;
    bool is_inside;          // whether the tile reaches so far; the same for all lanes

    DEVICE explicit Rows(const Tile& tile)
        : lane(threadIdx.x % WARP), row(tile.top + threadIdx.x / WARP / WARPS_ACROSS * WARP_ROWS),
          column(tile.left + threadIdx.x / WARP % WARPS_ACROSS * WARP_COLUMNS),
          last_row(min(row + WARP_ROWS - 1, tile.bottom)), last_column(min(column + WARP_COLUMNS - 1, tile.right)),
          is_inside(row <= tile.bottom && column <= tile.right) {}

    DEVICE int row_of(int side) const { return row + (lane / 4 + 8 * side) / WARP_COLUMNS; }
    DEVICE int column_of(int side) const { return column + (lane / 4 + 8 * side) % WARP_COLUMNS; }
    DEVICE bool has(int side) const { return is_inside && row_of(side) <= last_row && column_of(side) <= last_column; }

    // The token; one inside the tile where this one is not.
    DEVICE long long token(const Tile& tile, int side) const {
        return tile.token(min(min(row_of(side), last_row), tile.bottom), min(min(column_of(side), last_column), tile.right));
    }

    // The operand A: tokens by channels.
    DEVICE void read(const ELEMENT* channels, long long step, const Tile& tile, unsigned (&words)[SLICES][4]) const {
        const ELEMENT* tokens[2] = {channels + token(tile, 0) * step, channels + token(tile, 1) * step};
#pragma unroll
        for (int slice = 0; slice < SLICES; ++slice)
#pragma unroll
            for (int i = 0; i < 4; ++i) words[slice][i] = word_at(tokens[i % 2], 16 * slice + 2 * (lane % 4) + 8 * (i / 2));
    }

    // Sums of tokens by channels, to memory.
    DEVICE void write(ELEMENT* channels, long long step, const Tile& tile, const float (&factors)[2],
                      const float (&sums)[OCTETS][4]) const {
#pragma unroll
        for (int side = 0; side < 2; ++side) {
            if (!has(side)) continue;
            ELEMENT* target = channels + token(tile, side) * step;
#pragma unroll
            for (int octet = 0; octet < OCTETS; ++octet) {
                const int channel = 8 * octet + 2 * (lane % 4);
                Pack<ELEMENT, 2> pack;
#pragma unroll
                for (int i = 0; i < 2; ++i) pack.at[i] = element_of<ELEMENT>(factors[side] * sums[octet][2 * side + i]);
                if (DEPTH % 2 == 0) {
                    if (channel < DEPTH) store<2>(target + channel, pack);
                } else {
#pragma unroll
                    for (int i = 0; i < 2; ++i)
                        if (channel + i < DEPTH) target[channel + i] = pack.at[i];
                }
            }
        }
    }
};

// The tokens that a warp meets in one chunk: a rectangle, taken row by row.
struct Columns {
    int from, left, span, count;  // its first row and column, its columns, its tokens
    int chunk, staged_left, pitch;
    unsigned inverse;

    DEVICE Columns(int first_row, int last_row, int first_column, int last_column, int chunk_row, int chunk_rows, int staged,
                   int columns)
        : from(max(first_row, chunk_row)), left(first_column), span(last_column - first_column + 1),
          count(max(0, min(last_row, chunk_row + chunk_rows - 1) - from + 1) * span), chunk(chunk_row), staged_left(staged),
          pitch(columns), inverse(65536u / static_cast<unsigned>(span) + 1u) {}

    // Rows and columns by number. The product is the exact quotient while number · span stays below 65536, which the
    // host sees to by the size of chunks.
    DEVICE int row_of(int number) const { return from + down(number); }
    DEVICE int column_of(int number) const { return left + number - down(number) * span; }

    // Where a token stands in shared memory; beyond the last, where that one does.
    DEVICE int place(int number) const {
        const int inside = min(number, count - 1);
        return (row_of(inside) - chunk) * pitch + column_of(inside) - staged_left;
    }

    DEVICE int down(int number) const { return static_cast<int>(static_cast<unsigned>(number) * inverse >> 16); }
};

// Scores of a warp's tokens with 16 staged ones: products over channels. `sums[tile][i]` is that of row g + 8·(i / 2) and
// token 8·tile + 2·(lane % 4) + i % 2.
DEVICE void multiply_channels(const unsigned (&rows)[SLICES][4], const Shared<ELEMENT>& staged, const int (&places)[2],
                              int lane, float (&sums)[2][4]) {
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[tile][i] = 0.0f;
#pragma unroll
        for (int slice = 0; slice < SLICES; ++slice) {
            const int channel = places[tile] * PITCH + 16 * slice + 2 * (lane % 4);
            const Pack<ELEMENT, 2> lower = staged.load<2>(channel), upper = staged.load<2>(channel + 8);
            const unsigned words[2] = {word_of(lower.at[0], lower.at[1]), word_of(upper.at[0], upper.at[1])};
            multiply_add(sums[tile], rows[slice], words, ELEMENT());
        }
    }
}

// Adds weights times 16 staged tokens' channels: products over tokens. `places` are those of tokens 2t, 2t+1, 2t+8, 2t+9.
DEVICE void multiply_tokens(const float (&weights)[2][4], const Shared<ELEMENT>& staged, const int (&places)[4], int lane,
                            float (&sums)[OCTETS][4]) {
    unsigned rows[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float* pair = &weights[i / 2][2 * (i % 2)];
        rows[i] = word_of(element_of<ELEMENT>(pair[0]), element_of<ELEMENT>(pair[1]));
    }
#pragma unroll
    for (int octet = 0; octet < OCTETS; ++octet) {
        const int channel = 8 * octet + lane / 4;
        const unsigned words[2] = {
            word_of<ELEMENT>(staged[places[0] * PITCH + channel], staged[places[1] * PITCH + channel]),
            word_of<ELEMENT>(staged[places[2] * PITCH + channel], staged[places[3] * PITCH + channel])};
        multiply_add(sums[octet], rows, words, ELEMENT());
    }
}

// The numbers of the four tokens whose scores a lane has: `i` of multiply_tokens' places.
DEVICE int number_of(int base, int lane, int i) { return base + 2 * (lane % 4) + i % 2 + 8 * (i / 2); }

// As neighbourhood_forward of NeighbourhoodForward.cu. Shared: 2·BYTES_OF(KEY_COLUMNS), and the biases.
KERNEL neighbourhood_forward(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                             ELEMENT* __restrict__ output, float* __restrict__ statistics, int height, int width, int heads,
                             int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<ELEMENT> keys(0), values(BYTES_OF(KEY_COLUMNS));
    const Shared<float> table(2 * BYTES_OF(KEY_COLUMNS));
    const Rows own(tile);
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;

    unsigned query[SLICES][4];
    own.read(head, step, tile, query);
    float sums[OCTETS][4], largest[2], total[2];
    int first_row[2], first_column[2];
#pragma unroll
    for (int octet = 0; octet < OCTETS; ++octet)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[octet][i] = 0.0f;
#pragma unroll
    for (int side = 0; side < 2; ++side) {
        largest[side] = LOWEST;
        total[side] = 0.0f;
        first_row[side] = own.has(side) ? tile.rows.first_key(own.row_of(side)) : NOWHERE;
        first_column[side] = tile.columns.first_key(own.column_of(side));
    }
    stage_biases(biases, tile.head, table);

    const Reach staged = keys_of(tile);
    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head + channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, keys);
        stage(head + 2 * channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, values);
        __syncthreads();
        if (!own.is_inside) continue;
        const Columns met(tile.rows.first_key(own.row), tile.rows.first_key(own.last_row) + WINDOW - 1,
                          tile.columns.first_key(own.column), tile.columns.first_key(own.last_column) + WINDOW - 1, chunk,
                          rows, staged.left, KEY_COLUMNS);
        for (int base = 0; base < met.count; base += 16) {
            const int key_places[2] = {met.place(base + own.lane / 4), met.place(base + 8 + own.lane / 4)};
            float score[2][4];
            multiply_channels(query, keys, key_places, own.lane, score);
            int places[4];
            float most_now[2] = {largest[0], largest[1]};
            bool sees[2][4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int number = number_of(base, own.lane, i);
                const int row = met.row_of(number), column = met.column_of(number);
                places[i] = met.place(number);
#pragma unroll
                for (int side = 0; side < 2; ++side) {
                    const int at = 2 * side + i % 2;
                    sees[i / 2][at] = number < met.count && row >= first_row[side] && row < first_row[side] + WINDOW &&
                                      column >= first_column[side] && column < first_column[side] + WINDOW;
                    if (!sees[i / 2][at]) continue;
                    score[i / 2][at] *= scale;
                    if (HAS_BIAS)
                        score[i / 2][at] += table[(row - own.row_of(side) + WINDOW - 1) * OFFSETS + column -
                                                  own.column_of(side) + WINDOW - 1];
                    most_now[side] = fmaxf(most_now[side], score[i / 2][at]);
                }
            }
            float factor[2];
#pragma unroll
            for (int side = 0; side < 2; ++side) {
                most_now[side] = largest_over<4>(most_now[side]);
                factor[side] = __expf(largest[side] - most_now[side]);
                largest[side] = most_now[side];
                total[side] *= factor[side];
            }
#pragma unroll
            for (int part = 0; part < 2; ++part)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    score[part][i] = sees[part][i] ? __expf(score[part][i] - largest[i / 2]) : 0.0f;
                    total[i / 2] += score[part][i];
                }
#pragma unroll
            for (int octet = 0; octet < OCTETS; ++octet)
#pragma unroll
                for (int i = 0; i < 4; ++i) sums[octet][i] *= factor[i / 2];
            multiply_tokens(score, values, places, own.lane, sums);
        }
    }
    if (!own.is_inside) return;

    float factors[2];
#pragma unroll
    for (int side = 0; side < 2; ++side) {
        total[side] = sum_over<4>(total[side]);
        factors[side] = 1.0f / total[side];
        if (statistics != nullptr && own.lane % 4 == 0 && own.has(side))
            statistics[own.token(tile, side) * heads + tile.head] = largest[side] + __logf(total[side]);
    }
    own.write(output + tile.head * DEPTH, channels, tile, factors, sums);
}

// As neighbourhood_query_gradients of NeighbourhoodBackward.cu. Shared: 2·BYTES_OF(KEY_COLUMNS), and the biases.
KERNEL neighbourhood_query_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                                     const ELEMENT* __restrict__ output, const ELEMENT* __restrict__ slopes,
                                     const float* __restrict__ statistics, ELEMENT* __restrict__ gradient,
                                     float* __restrict__ deltas, float* __restrict__ by_score, int height, int width,
                                     int heads, int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<ELEMENT> keys(0), values(BYTES_OF(KEY_COLUMNS));
    const Shared<float> table(2 * BYTES_OF(KEY_COLUMNS));
    const Rows own(tile);
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;

    unsigned query[SLICES][4], slope[SLICES][4];
    own.read(head, step, tile, query);
    own.read(slopes + tile.head * DEPTH, channels, tile, slope);
    float sums[OCTETS][4], statistic[2], delta[2];
    int first_row[2], first_column[2];
#pragma unroll
    for (int octet = 0; octet < OCTETS; ++octet)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[octet][i] = 0.0f;
#pragma unroll
    for (int side = 0; side < 2; ++side) {
        const long long token = own.token(tile, side);
        const ELEMENT* first = slopes + token * channels + tile.head * DEPTH;
        const ELEMENT* second = output + token * channels + tile.head * DEPTH;
        float sum = 0.0f;
        for (int channel = own.lane % 4; channel < DEPTH; channel += 4)
            sum = fmaf(to_float(first[channel]), to_float(second[channel]), sum);
        delta[side] = sum_over<4>(sum);
        statistic[side] = statistics[token * heads + tile.head];
        first_row[side] = own.has(side) ? tile.rows.first_key(own.row_of(side)) : NOWHERE;
        first_column[side] = tile.columns.first_key(own.column_of(side));
    }
    stage_biases(biases, tile.head, table);

    const Reach staged = keys_of(tile);
    const long long plane = static_cast<long long>(height) * width;
    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head + channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, keys);
        stage(head + 2 * channels, step, tile, chunk, rows, staged.left, staged.width, KEY_COLUMNS, values);
        __syncthreads();
        if (!own.is_inside) continue;
        const Columns met(tile.rows.first_key(own.row), tile.rows.first_key(own.last_row) + WINDOW - 1,
                          tile.columns.first_key(own.column), tile.columns.first_key(own.last_column) + WINDOW - 1, chunk,
                          rows, staged.left, KEY_COLUMNS);
        for (int base = 0; base < met.count; base += 16) {
            const int key_places[2] = {met.place(base + own.lane / 4), met.place(base + 8 + own.lane / 4)};
            float score[2][4], by_weight[2][4];
            multiply_channels(query, keys, key_places, own.lane, score);
            multiply_channels(slope, values, key_places, own.lane, by_weight);
            int places[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int number = number_of(base, own.lane, i);
                const int row = met.row_of(number), column = met.column_of(number);
                places[i] = met.place(number);
#pragma unroll
                for (int side = 0; side < 2; ++side) {
                    const int at = 2 * side + i % 2;
                    const int down = row - first_row[side], across = column - first_column[side];
                    float by_own = 0.0f;
                    if (number < met.count && down >= 0 && down < WINDOW && across >= 0 && across < WINDOW) {
                        float exponent = scale * score[i / 2][at] - statistic[side];
                        if (HAS_BIAS)
                            exponent += table[(row - own.row_of(side) + WINDOW - 1) * OFFSETS + column -
                                              own.column_of(side) + WINDOW - 1];
                        by_own = __expf(exponent) * (by_weight[i / 2][at] - delta[side]);
                        if (by_score != nullptr) {
                            const long long image = static_cast<long long>(tile.image) * heads + tile.head;
                            const long long map = image * AREA + down * WINDOW + across;
                            by_score[map * plane + tile.rows.token(own.row_of(side)) * width +
                                     tile.columns.token(own.column_of(side))] = by_own;
                        }
                    }
                    score[i / 2][at] = by_own;
                }
            }
            multiply_tokens(score, keys, places, own.lane, sums);
        }
    }
    if (!own.is_inside) return;

    const float factors[2] = {scale, scale};
    own.write(gradient + tile.head * DEPTH, step, tile, factors, sums);
#pragma unroll
    for (int side = 0; side < 2; ++side)
        if (own.lane % 4 == 0 && own.has(side)) deltas[own.token(tile, side) * heads + tile.head] = delta[side];
}

// As neighbourhood_key_gradients of NeighbourhoodBackward.cu. Shared: 2·BYTES_OF(QUERY_COLUMNS), 2·NUMBER_BYTES, and the
// biases.
KERNEL neighbourhood_key_gradients(const ELEMENT* __restrict__ projected, const float* __restrict__ biases,
                                   const ELEMENT* __restrict__ slopes, const float* __restrict__ statistics,
                                   const float* __restrict__ deltas, ELEMENT* __restrict__ gradient, int height, int width,
                                   int heads, int dilation, float scale) {
    const Tile tile(height, width, heads, dilation);
    if (tile.is_empty()) return;
    const Shared<ELEMENT> queries(0), staged_slopes(BYTES_OF(QUERY_COLUMNS));
    const Shared<float> staged_statistics(2 * BYTES_OF(QUERY_COLUMNS)),
        staged_deltas(2 * BYTES_OF(QUERY_COLUMNS) + NUMBER_BYTES), table(2 * BYTES_OF(QUERY_COLUMNS) + 2 * NUMBER_BYTES);
    const Rows own(tile);
    const int channels = heads * DEPTH;
    const long long step = 3LL * channels;
    const ELEMENT* head = projected + tile.head * DEPTH;

    unsigned key[SLICES][4], value[SLICES][4];
    own.read(head + channels, step, tile, key);
    own.read(head + 2 * channels, step, tile, value);
    float by_key[OCTETS][4], by_value[OCTETS][4];
    int first_row[2], last_row[2], first_column[2], last_column[2];
#pragma unroll
    for (int octet = 0; octet < OCTETS; ++octet)
#pragma unroll
        for (int i = 0; i < 4; ++i) by_key[octet][i] = by_value[octet][i] = 0.0f;
#pragma unroll
    for (int side = 0; side < 2; ++side) {
        first_row[side] = own.has(side) ? tile.rows.first_query(own.row_of(side)) : NOWHERE;
        last_row[side] = tile.rows.last_query(own.row_of(side));
        first_column[side] = tile.columns.first_query(own.column_of(side));
        last_column[side] = tile.columns.last_query(own.column_of(side));
    }
    stage_biases(biases, tile.head, table);

    const Reach staged = queries_of(tile);
    for (int chunk = staged.top; chunk <= staged.bottom; chunk += CHUNK) {
        const int rows = min(CHUNK, staged.bottom - chunk + 1);
        __syncthreads();
        stage(head, step, tile, chunk, rows, staged.left, staged.width, QUERY_COLUMNS, queries);
        stage(slopes + tile.head * DEPTH, channels, tile, chunk, rows, staged.left, staged.width, QUERY_COLUMNS,
              staged_slopes);
        for (int index = threadIdx.x; index < rows * staged.width; index += blockDim.x) {
            const int down = index / staged.width, across = index % staged.width;
            const long long number = tile.token(chunk + down, staged.left + across) * heads + tile.head;
            staged_statistics[down * QUERY_COLUMNS + across] = statistics[number];
            staged_deltas[down * QUERY_COLUMNS + across] = deltas[number];
        }
        __syncthreads();
        if (!own.is_inside) continue;
        const Columns met(tile.rows.first_query(own.row), tile.rows.last_query(own.last_row),
                          tile.columns.first_query(own.column), tile.columns.last_query(own.last_column), chunk, rows,
                          staged.left, QUERY_COLUMNS);
        for (int base = 0; base < met.count; base += 16) {
            const int query_places[2] = {met.place(base + own.lane / 4), met.place(base + 8 + own.lane / 4)};
            float score[2][4], by_weight[2][4];
            multiply_channels(key, queries, query_places, own.lane, score);
            multiply_channels(value, staged_slopes, query_places, own.lane, by_weight);
            int places[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int number = number_of(base, own.lane, i);
                const int row = met.row_of(number), column = met.column_of(number);
                places[i] = met.place(number);
                const float statistic = staged_statistics[places[i]], delta = staged_deltas[places[i]];
#pragma unroll
                for (int side = 0; side < 2; ++side) {
                    const int at = 2 * side + i % 2;
                    float weight = 0.0f, by_own = 0.0f;
                    if (number < met.count && row >= first_row[side] && row <= last_row[side] &&
                        column >= first_column[side] && column <= last_column[side]) {
                        float exponent = scale * score[i / 2][at] - statistic;
                        if (HAS_BIAS)
                            exponent += table[(own.row_of(side) - row + WINDOW - 1) * OFFSETS + own.column_of(side) -
                                              column + WINDOW - 1];
                        weight = __expf(exponent);
                        by_own = weight * (by_weight[i / 2][at] - delta);
                    }
                    score[i / 2][at] = weight;
                    by_weight[i / 2][at] = by_own;
                }
            }
            multiply_tokens(score, staged_slopes, places, own.lane, by_value);
            multiply_tokens(by_weight, queries, places, own.lane, by_key);
        }
    }
    if (!own.is_inside) return;

    const float of_key[2] = {scale, scale}, of_value[2] = {1.0f, 1.0f};
    own.write(gradient + channels + tile.head * DEPTH, step, tile, of_key, by_key);
    own.write(gradient + 2 * channels + tile.head * DEPTH, step, tile, of_value, by_value);
}
