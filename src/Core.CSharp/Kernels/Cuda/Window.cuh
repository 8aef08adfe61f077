// Windows of a map, for the kernels of window attention: which tokens a window has, where queries, keys and values stand, and
// the bias of a pair. A shift and padding cut a map's sides into plain segments (WindowAxis), so no kernel knows a mask.
//
// Constants: ELEMENT; DEPTH, the width of a head; BIAS, 0 without biases, 1 with those of a head in shared memory, 2 with
// them read through the cache.
#pragma once
#include "Device.cuh"

// No token: a place of a tile beyond its window.
#define NOWHERE (-1)

#define MINUS_INFINITY float_of(0xff800000u)

// ---- Where windows stand ------------------------------------------------------------------------------------------

// The parameters by which every kernel is told how the map is divided: of each side its tokens, tokens of a window, the end
// of the first segment where that is a shorter one, else 0, and how many segments there are.
#define DIVISION_PARAMETERS                                                                                                 \
    int height, int row_window, int row_first, int row_count, int width, int column_window, int column_first, int column_count
#define DIVISION \
    Division { {height, row_window, row_first, row_count}, {width, column_window, column_first, column_count} }

struct Axis {
    int length, window, first, count;

    DEVICE int start(int segment) const {
        return first == 0 ? segment * window : segment == 0 ? 0 : first + (segment - 1) * window;
    }
    DEVICE int end(int segment) const { return min(length, first == 0 ? (segment + 1) * window : first + segment * window); }
    DEVICE int longest() const { return min(window, length); }
};

// The tokens of a window, numbered row by row, `pitch` numbers to a row: of those, the first `columns` are tokens.
struct Window {
    long long first;
    int stride, rows, columns, pitch;

    DEVICE int count() const { return rows * pitch; }

    // A token, counted from the batch's first.
    DEVICE long long token(int number) const {
        const int y = number / pitch;
        const int x = number - y * pitch;
        return y < rows && x < columns ? first + static_cast<long long>(y) * stride + x : NOWHERE;
    }

    // Where it stands in a table of biases, whose rows are `offsets` long: the difference of two places is an offset.
    DEVICE int place(int number, int offsets) const {
        const int y = number / pitch;
        const int x = number - y * pitch;
        return y < rows && x < columns ? y * offsets + x : NOWHERE;
    }
};

struct Division {
    Axis rows, columns;

    // A window, counted from the batch's first. Its rows are numbered without gaps, or `full`y: as in the largest window, so
    // that a number means the same place in all of them.
    DEVICE Window window(long long number, bool full) const {
        const int windows = rows.count * columns.count;
        const long long image = number / windows;
        const int within = static_cast<int>(number - image * windows);
        const int row = within / columns.count;
        const int column = within - row * columns.count;
        const int top = rows.start(row);
        const int left = columns.start(column);
        Window result;
        result.first = (image * rows.length + top) * columns.length + left;
        result.stride = columns.length;
        result.rows = rows.end(row) - top;
        result.columns = columns.end(column) - left;
        result.pitch = full ? columns.longest() : result.columns;
        return result;
    }

    // Tokens of the largest window.
    DEVICE int longest() const { return rows.longest() * columns.longest(); }
};

// Where the parts of a head stand in the tokens of a projected map, 3C channels each, and of one of C channels.
struct Channels {
    int step, query, key, value, head_step, head;

    DEVICE Channels(int heads, int number, int head_distance, int part_distance)
        : step(3 * heads * DEPTH),
          query(number * head_distance),
          key(query + part_distance),
          value(key + part_distance),
          head_step(heads * DEPTH),
          head(number * DEPTH) {}
};

// ---- Biases -------------------------------------------------------------------------------------------------------

// The biases of one head by offset, (2w − 1)² of them.
struct Biases {
#if BIAS == 1
    Shared<float> table;
#elif BIAS == 2
    const float* table;
#endif
    int offsets, centre;

    // `all`: [h, (2w − 1)²]; `at`: where they go in shared memory. A barrier stands between this and the first use.
    DEVICE Biases(const float* all, int head, int window, int at)
#if BIAS == 1
        : table(at), offsets(2 * window - 1), centre((window - 1) * 2 * window) {
        const float* source = all + static_cast<long long>(head) * offsets * offsets;
        for (int index = threadIdx.x; index < offsets * offsets; index += THREADS) table[index] = source[index];
    }
#elif BIAS == 2
        : table(all + static_cast<long long>(head) * (2 * window - 1) * (2 * window - 1)),
          offsets(2 * window - 1),
          centre((window - 1) * 2 * window) {
    }
#else
        : offsets(1), centre(0) {
    }
#endif

    // The score of a query and a key, by their places: minus infinity where there is no key. Without a branch, for what
    // follows is often a whole warp's.
    DEVICE float score(float product, float scale, int query, int key) const {
        float sum = product * scale;
#if BIAS > 0
        sum += table[max(query, 0) - max(key, 0) + centre];
#endif
        return key == NOWHERE ? MINUS_INFINITY : sum;
    }
};

// ---- Queries of the backward pass ---------------------------------------------------------------------------------

// What a query needs to have its weights back, and their slopes: the largest score, one over the sum of weights, and
// Σ_c slope_c · output_c. A query that is none has weights of zero.
struct Statistics {
    float largest, reciprocal, delta;

    DEVICE float weight(float score) const { return __expf(score - largest) * reciprocal; }
};

DEVICE Statistics no_statistics() { return {-LOWEST, 0.0f, 0.0f}; }

// `statistics` [tokens, h, 2]: the first two. The third comes from elsewhere.
DEVICE Statistics statistics_of(const float* statistics, int heads, int head, long long token) {
    if (token == NOWHERE) return no_statistics();
    const Pack<float, 2> both = load<2>(statistics + (token * heads + head) * 2);
    return {both.at[0], both.at[1], 0.0f};
}

// Neighbouring lanes that share a row of a head, one pack of elements each, or several where there are too many packs.
#define ROW_PACK Widest<ELEMENT, DEPTH>::value
#define ROW_PACKS (DEPTH / ROW_PACK)
#define ROW_LANES (ROW_PACKS > 16 ? 32 : ROW_PACKS > 8 ? 16 : ROW_PACKS > 4 ? 8 : ROW_PACKS > 2 ? 4 : ROW_PACKS > 1 ? 2 : 1)

// Σ_c a_c · b_c over a head's channels; the same in each of ROW_LANES lanes. Called by whole warps.
DEVICE float row_product(const ELEMENT* a, const ELEMENT* b, bool is_token) {
    float sum = 0.0f;
    if (is_token) {
        for (int pack = threadIdx.x % ROW_LANES; pack < ROW_PACKS; pack += ROW_LANES) {
            const auto left = load<ROW_PACK>(a + pack * ROW_PACK);
            const auto right = load<ROW_PACK>(b + pack * ROW_PACK);
#pragma unroll
            for (int i = 0; i < ROW_PACK; ++i) sum = fmaf(to_float(left.at[i]), to_float(right.at[i]), sum);
        }
    }
    return sum_over<ROW_LANES>(sum);
}
