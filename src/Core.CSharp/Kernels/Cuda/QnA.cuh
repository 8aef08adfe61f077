// What QnA's kernels that own windows have in common: how a block's windows lie on the map, its scores and tables in
// shared memory, and each window's softmax.
//
// A block owns TILE_HEIGHT × TILE_WIDTH windows of one image and GROUP neighbouring heads; it takes one set of queries
// after the other. Its halo is the tokens that its windows see. A column is a query and a head of a set; columns of the
// block's heads are numbered query · GROUP + head.
//
// Scores. Exponentials are computed once for each token of the halo, relative to the halo's largest score of their
// column, and those of position biases once for each place in a window, relative to the largest bias: what a window adds
// up are products. Where a column's scores and biases together spread by more than 40, or are not finite, each window has
// its own maximum and its own exponentials, so that no finite score overflows and none is lost. Scores outside the map
// are −∞.
//
// Where the halo's scores do not fit (STAGED is 0: windows of a hundred tokens a side), scores and tables are read from
// memory, and each window has its own maximum.
//
// Constants: ELEMENT, WINDOW (k), STEP (the stride), QUERIES (Nq), DEPTH (d), GROUP, TILE_HEIGHT, TILE_WIDTH, BAND (rows
// of the window that are taken at a time), STAGED, THREADS.
#pragma once
#include "Device.cuh"

constexpr int area = WINDOW * WINDOW;
constexpr int columns = QUERIES * GROUP;
constexpr int channels = GROUP * DEPTH;
constexpr int windows = TILE_HEIGHT * TILE_WIDTH;
constexpr int halo_height = (TILE_HEIGHT - 1) * STEP + WINDOW;
constexpr int halo_width = (TILE_WIDTH - 1) * STEP + WINDOW;
constexpr int halo = halo_height * halo_width;
// Tokens under one band of all windows, and places of a window in a band.
constexpr int band_height = (TILE_HEIGHT - 1) * STEP + BAND;
constexpr int band_tokens = band_height * halo_width;
constexpr int band_places = BAND * WINDOW;
constexpr bool one_band = BAND == WINDOW;
// 16 bytes more than the channels: then tokens side by side begin in other banks.
constexpr int pitch = channels + 16 / static_cast<int>(sizeof(ELEMENT));

// Lanes that share a window's column, as many as there are threads for and the window has use for.
constexpr int lanes_of(int lanes) {
    return lanes < WARP && lanes < WINDOW && 2 * lanes * windows * columns <= THREADS ? lanes_of(2 * lanes) : lanes;
}
constexpr int softmax_lanes = lanes_of(1);

constexpr float widest_spread = 40.0f;

DEVICE float infinity() { return float_of(0x7f800000u); }

// Bytes of an array in shared memory, so that the next one begins at a multiple of 16.
constexpr int bytes_of(int count, int size) { return (count * size + 15) / 16 * 16; }

// Where each array begins. After these: a kernel's own.
constexpr int scores_at = 0;
constexpr int biases_at = scores_at + bytes_of(STAGED * halo * columns, 4);
constexpr int scales_at = biases_at + bytes_of(STAGED * area * columns, 4);
constexpr int highest_at = scales_at + bytes_of(STAGED * area * columns, 4);
constexpr int highest_biases_at = highest_at + bytes_of(columns, 4);
constexpr int spreads_at = highest_biases_at + bytes_of(columns, 4);
constexpr int tops_at = spreads_at + bytes_of(columns, 4);
constexpr int reciprocals_at = tops_at + bytes_of(windows * columns, 4);
constexpr int own_at = reciprocals_at + bytes_of(windows * columns, 4);

// The map, and what lies in a token: all sets' scores, padded to `values_at` elements, then the values.
struct Layout {
    const ELEMENT* projected;
    const float* position;  // [k², columns of all sets], or none
    const float* scale;     // [k² or 1, columns of all sets], or none
    int height, width, window_rows, window_columns, padding, heads, upsampling, values_at, scale_rows;

    DEVICE int all_columns() const { return upsampling * upsampling * QUERIES * heads; }
    DEVICE int token_width() const { return values_at + heads * DEPTH; }
};

// One block's windows.
struct Tile {
    Layout map;
    int image, first_head, first_row, first_column;  // of windows

    DEVICE Tile(const Layout& layout, int index, int group) : map(layout), first_head(group * GROUP) {
        const int across = (map.window_columns + TILE_WIDTH - 1) / TILE_WIDTH;
        const int down = (map.window_rows + TILE_HEIGHT - 1) / TILE_HEIGHT;
        first_column = index % across * TILE_WIDTH;
        first_row = index / across % down * TILE_HEIGHT;
        image = index / (across * down);
    }

    // The halo's first token; it can lie outside the map.
    DEVICE int top() const { return first_row * STEP - map.padding; }
    DEVICE int left() const { return first_column * STEP - map.padding; }

    DEVICE bool holds(int row, int column) const {
        return static_cast<unsigned>(row) < static_cast<unsigned>(map.height)
            && static_cast<unsigned>(column) < static_cast<unsigned>(map.width);
    }

    DEVICE const ELEMENT* token(int row, int column) const {
        return map.projected + ((static_cast<long long>(image) * map.height + row) * map.width + column) * map.token_width();
    }

    DEVICE bool has_window(int row, int column) const {
        return first_row + row < map.window_rows && first_column + column < map.window_columns;
    }

    // A window, counted from the batch's first.
    DEVICE long long window(int row, int column) const {
        const long long window_row = static_cast<long long>(image) * map.window_rows + first_row + row;
        return window_row * map.window_columns + first_column + column;
    }

    // Where a window's output of a set begins, this block's channels of it: pixel shuffle.
    DEVICE long long output(int set, int row, int column) const {
        const int up = map.upsampling;
        const long long out_row = static_cast<long long>(first_row + row) * up + set / up;
        const long long out_column = static_cast<long long>(first_column + column) * up + set % up;
        const long long out_rows = static_cast<long long>(image) * map.window_rows * up + out_row;
        const long long place = out_rows * map.window_columns * up + out_column;
        return place * map.heads * DEPTH + first_head * DEPTH;
    }

    // A column among those of all sets.
    DEVICE int column(int set, int query, int head) const { return (set * QUERIES + query) * map.heads + first_head + head; }
};

// The scores of one set, and the tables that meet them.
struct Scores {
    const Tile& tile;
    int set;
    Shared<float> scores{scores_at};          // [queries][halo][GROUP]
    Shared<float> biases{biases_at};          // [queries][area][GROUP]
    Shared<float> scales{scales_at};          // [queries][area][GROUP]
    Shared<float> highest{highest_at};        // [columns]
    Shared<float> highest_biases{highest_biases_at};
    Shared<float> spreads{spreads_at};
    Shared<float> tops{tops_at};              // [windows][columns]: a window's maximum, or what stands for it
    Shared<float> reciprocals{reciprocals_at};  // [windows][columns]: 1 / Σ e^(S + P − top)

    DEVICE Scores(const Tile& owner, int which) : tile(owner), set(which) {}

    DEVICE float read_score(int row, int column, int query, int head) const {
        const int y = tile.top() + row, x = tile.left() + column;
        return tile.holds(y, x) ? to_float(tile.token(y, x)[tile.column(set, query, head)]) : -infinity();
    }

    DEVICE float read_bias(int place, int query, int head) const {
        const long long at = static_cast<long long>(place) * tile.map.all_columns() + tile.column(set, query, head);
        return tile.map.position ? tile.map.position[at] : 0.0f;
    }

    DEVICE float read_scale(int place, int query, int head) const {
        const long long row = tile.map.scale_rows == 1 ? 0 : place;
        return tile.map.scale ? tile.map.scale[row * tile.map.all_columns() + tile.column(set, query, head)] : 1.0f;
    }

    // A token of the halo by its row and column, a place of the window by its number.
    DEVICE float score(int row, int column, int query, int head) const {
        return STAGED ? static_cast<float>(scores[(query * halo + row * halo_width + column) * GROUP + head])
                      : read_score(row, column, query, head);
    }

    DEVICE float bias(int place, int query, int head) const {
        return STAGED ? static_cast<float>(biases[(query * area + place) * GROUP + head]) : read_bias(place, query, head);
    }

    DEVICE float scale(int place, int query, int head) const {
        return STAGED ? static_cast<float>(scales[(query * area + place) * GROUP + head]) : read_scale(place, query, head);
    }

    // Brings scores and tables; then decides whether exponentials are common to all windows, and computes them. By all
    // threads.
    DEVICE bool prepare() const {
        if (!STAGED) return false;
        for (int item = threadIdx.x; item < columns * halo; item += THREADS) {
            const int head = item % GROUP, query = item / GROUP % QUERIES, token = item / columns;
            scores[(query * halo + token) * GROUP + head] = read_score(token / halo_width, token % halo_width, query, head);
        }
        for (int item = threadIdx.x; item < columns * area; item += THREADS) {
            const int head = item % GROUP, query = item / GROUP % QUERIES, place = item / columns;
            biases[(query * area + place) * GROUP + head] = read_bias(place, query, head);
            scales[(query * area + place) * GROUP + head] = read_scale(place, query, head);
        }
        __syncthreads();
        for (int column = threadIdx.x / WARP; column < columns; column += THREADS / WARP) measure(column);
        __syncthreads();
        bool common = true;
        for (int column = 0; column < columns; ++column) common = common && spreads[column] <= widest_spread;
        if (common) {
            for (int item = threadIdx.x; item < columns * halo; item += THREADS) {
                const int column = item / (GROUP * halo) * GROUP + item % GROUP;
                scores[item] = __expf(scores[item] - highest[column]);
            }
            // Biases become e^P, scales e^P · A.
            for (int item = threadIdx.x; item < columns * area; item += THREADS) {
                const int column = item / (GROUP * area) * GROUP + item % GROUP;
                const float power = __expf(biases[item] - highest_biases[column]);
                scales[item] = power * scales[item];
                biases[item] = power;
            }
        }
        __syncthreads();
        return common;
    }

    // Each window's maximum and 1 / sum. By all threads; a barrier follows.
    template <bool Common>
    DEVICE void normalise() const {
        constexpr int at_once = THREADS / softmax_lanes;
        const int lane = threadIdx.x % softmax_lanes;
        for (int first = 0; first < windows * columns; first += at_once) {
            const int item = first + threadIdx.x / softmax_lanes;
            const bool exists = item < windows * columns;
            const int column = exists ? item % columns : 0, window = exists ? item / columns : 0;
            const int head = column % GROUP, query = column / GROUP;
            const int row = window / TILE_WIDTH * STEP, left = window % TILE_WIDTH * STEP;
            float top = 0.0f;
            if (Common) {
                top = highest[column] + highest_biases[column];
            } else {
                top = -infinity();
                for (int y = 0; y < WINDOW; ++y)
                    for (int x = lane; x < WINDOW; x += softmax_lanes)
                        top = fmaxf(top, score(row + y, left + x, query, head) + bias(y * WINDOW + x, query, head));
                top = largest_over<softmax_lanes>(top);
                // A tile's window behind the map's last sees nothing.
                if (top == -infinity()) top = 0.0f;
            }
            float sum = 0.0f;
            for (int y = 0; y < WINDOW; ++y)
                for (int x = lane; x < WINDOW; x += softmax_lanes)
                    sum += power<Common>(row + y, left + x, y * WINDOW + x, query, head, top);
            sum = sum_over<softmax_lanes>(sum);
            if (exists && lane == 0) {
                tops[item] = top;
                reciprocals[item] = sum > 0.0f ? 1.0f / sum : 0.0f;
            }
        }
    }

    // e^(S + P − top): a softmax's numerator.
    template <bool Common>
    DEVICE float power(int row, int column, int place, int query, int head, float top) const {
        const float s = score(row, column, query, head), p = bias(place, query, head);
        return Common ? s * p : __expf(s + p - top);
    }

    // The same times A.
    template <bool Common>
    DEVICE float scaled_power(int row, int column, int place, int query, int head, float top) const {
        const float s = score(row, column, query, head), a = scale(place, query, head);
        return Common ? s * a : __expf(s + bias(place, query, head) - top) * a;
    }

private:
    // How far a column's scores and biases spread, by a warp.
    DEVICE void measure(int column) const {
        const int head = column % GROUP, query = column / GROUP, lane = threadIdx.x % WARP;
        float high = -infinity(), low = infinity(), high_bias = -infinity(), low_bias = infinity();
        for (int token = lane; token < halo; token += WARP) {
            const float value = scores[(query * halo + token) * GROUP + head];
            high = fmaxf(high, value);
            low = fminf(low, value == -infinity() ? infinity() : value);
        }
        for (int place = lane; place < area; place += WARP) {
            const float value = biases[(query * area + place) * GROUP + head];
            high_bias = fmaxf(high_bias, value);
            low_bias = fminf(low_bias, value);
        }
        high = largest_over<WARP>(high);
        low = -largest_over<WARP>(-low);
        high_bias = largest_over<WARP>(high_bias);
        low_bias = -largest_over<WARP>(-low_bias);
        if (lane == 0) {
            highest[column] = high;
            highest_biases[column] = high_bias;
            spreads[column] = (high - low) + (high_bias - low_bias);
        }
    }
};

// Brings the values of the tokens under a band of windows, zeros outside the map. By all threads; a barrier follows.
DEVICE void bring_values(const Tile& tile, const Shared<ELEMENT>& values, int first_place_row) {
    constexpr int most = Widest<ELEMENT, DEPTH>::value;
    constexpr int packs = channels / most;
    constexpr int items = band_tokens * packs;
    // So many reads of a thread are on their way at once.
    constexpr int batch = 4;
    for (int first = threadIdx.x; first < items; first += batch * THREADS) {
        Pack<ELEMENT, most> brought[batch];
#pragma unroll
        for (int j = 0; j < batch; ++j) {
            const int item = first + j * THREADS, channel = item % packs * most, token = item / packs;
            const int row = tile.top() + first_place_row + token / halo_width, column = tile.left() + token % halo_width;
            if (item < items && tile.holds(row, column)) {
                brought[j] = load<most>(tile.token(row, column) + tile.map.values_at + tile.first_head * DEPTH + channel);
            } else {
#pragma unroll
                for (int i = 0; i < most; ++i) brought[j].at[i] = element_of<ELEMENT>(0.0f);
            }
        }
#pragma unroll
        for (int j = 0; j < batch; ++j) {
            const int item = first + j * THREADS;
            if (item < items) values.template store<most>(item / packs * pitch + item % packs * most, brought[j]);
        }
    }
}
