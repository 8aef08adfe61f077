// QnA's gradients, the part that windows own. With g the gradient of y, π a window's softmax, and
//
//   G[p,t,n]     = Σ_c g[p,s,n,c] · V[t,n,c]
//   δ[p,s,i,n]   = Σ_t π[p,t,i] · A[t−p,s,i,n] · G[p,t,n]
//   ∂A[o,s,i,n]  = Σ_p π[p,p+o,i] · G[p,p+o,n]
//   ∂P[o,s,i,n]  = Σ_p π[p,p+o,i] · ( A[o,s,i,n] · G[p,p+o,n] − δ[p,s,i,n] )
//
// it writes what the softmax and δ need of each window and column: its maximum, 1 / sum and δ, for QnABackwardTokens.cu;
// and sums of ∂P and ∂A over its own windows, for each block and slot apart: they are added up afterwards, in their
// order.
//
// QnA.cuh tells how a block's windows, scores and tables lie. PARTS lanes share a head of RUN neighbouring windows: each
// has DEPTH / PARTS channels of their gradients in registers, meets the values that they see once each, and the
// lanes' sums make G, in shared memory. Then threads own columns of a window for δ, and places and columns for the
// tables' gradients, over all of the tile's windows. Where G of a window does not fit, its BAND rows are taken in turn,
// for δ and again for the tables.
//
// Shared memory: as forward, with G in the weights' place, and δ. Bound by the products; by memory for 3×3.
//
// Grid: x = blocks, each of which takes every gridDim.x-th tile, y = groups of heads.
//
// Constants beside those of QnA.cuh: RUN, PARTS, SLOTS.
#include "QnA.cuh"

constexpr int width_of_part = DEPTH / PARTS;
constexpr int most = Widest<ELEMENT, width_of_part>::value;
constexpr int runs_across = TILE_WIDTH / RUN;
constexpr int lanes = GROUP * PARTS;
constexpr int owners = TILE_HEIGHT * runs_across * lanes;
constexpr int run_tokens = (RUN - 1) * STEP + WINDOW;

constexpr int products_at = own_at;
constexpr int deltas_at = products_at + bytes_of(windows * band_places * GROUP, 4);
constexpr int values_start = deltas_at + bytes_of(windows * columns, 4);

static_assert(TILE_WIDTH % RUN == 0, "a row of the tile is whole runs");
static_assert(owners <= THREADS, "a thread for each run, head and part of its channels");
static_assert(SLOTS == 1 || (one_band && SLOTS * band_places * columns <= THREADS), "a thread for each slot's entries");
static_assert(DEPTH % PARTS == 0 && WARP % PARTS == 0, "lanes of a head are neighbours in a warp");

// G of a band. By all threads; a barrier follows.
DEVICE void multiply(
    const Tile& tile, const Shared<ELEMENT>& values, const Shared<float>& products, const ELEMENT* slopes, int set,
    int first_row) {
    const bool owns = threadIdx.x < owners;
    const int part = threadIdx.x % PARTS, head = threadIdx.x / PARTS % GROUP;
    const int run = owns ? threadIdx.x / lanes : 0;
    const int row = run / runs_across, left = run % runs_across * RUN;
    const int channel = head * DEPTH + part * width_of_part;

    float slope[RUN][width_of_part];
#pragma unroll
    for (int j = 0; j < RUN; ++j) {
        const bool exists = tile.has_window(row, left + j);
        const ELEMENT* source = slopes + (exists ? tile.output(set, row, left + j) + channel : 0);
#pragma unroll
        for (int c = 0; c < width_of_part; c += most) {
            if (exists) {
                const Pack<ELEMENT, most> pack = load<most>(source + c);
#pragma unroll
                for (int i = 0; i < most; ++i) slope[j][c + i] = to_float(pack.at[i]);
            } else {
#pragma unroll
                for (int i = 0; i < most; ++i) slope[j][c + i] = 0.0f;
            }
        }
    }
    for (int y = 0; y < BAND && first_row + y < WINDOW; ++y) {
        const int token = (row * STEP + y) * halo_width + left * STEP;
        for (int x = 0; x < run_tokens; ++x) {
            float sum[RUN];
#pragma unroll
            for (int j = 0; j < RUN; ++j) sum[j] = 0.0f;
#pragma unroll
            for (int c = 0; c < width_of_part; c += most) {
                const Pack<ELEMENT, most> pack = values.template load<most>((token + x) * pitch + channel + c);
#pragma unroll
                for (int i = 0; i < most; ++i) {
                    const float value = to_float(pack.at[i]);
#pragma unroll
                    for (int j = 0; j < RUN; ++j) sum[j] = fmaf(slope[j][c + i], value, sum[j]);
                }
            }
#pragma unroll
            for (int j = 0; j < RUN; ++j) {
                const float product = sum_over<PARTS>(sum[j]);
                const int place = x - j * STEP;
                if (owns && part == 0 && place >= 0 && place < WINDOW) {
                    const int window = row * TILE_WIDTH + left + j;
                    products[(window * band_places + y * WINDOW + place) * GROUP + head] = product;
                }
            }
        }
    }
}

// A band's part of δ. By all threads.
template <bool Common>
DEVICE void add_deltas(const Scores& scores, const Shared<float>& products, const Shared<float>& deltas, int first_row) {
    constexpr int at_once = THREADS / softmax_lanes;
    const int lane = threadIdx.x % softmax_lanes;
    for (int first = 0; first < windows * columns; first += at_once) {
        const int item = first + threadIdx.x / softmax_lanes;
        const bool exists = item < windows * columns;
        const int column = exists ? item % columns : 0, window = exists ? item / columns : 0;
        const int head = column % GROUP, query = column / GROUP;
        const int row = window / TILE_WIDTH * STEP + first_row, left = window % TILE_WIDTH * STEP;
        const float top = scores.tops[window * columns + column];
        float sum = 0.0f;
        for (int y = 0; y < BAND && first_row + y < WINDOW; ++y) {
            for (int x = lane; x < WINDOW; x += softmax_lanes) {
                const float product = products[(window * band_places + y * WINDOW + x) * GROUP + head];
                const int place = (first_row + y) * WINDOW + x;
                sum = fmaf(scores.scaled_power<Common>(row + y, left + x, place, query, head, top), product, sum);
            }
        }
        sum = sum_over<softmax_lanes>(sum) * scores.reciprocals[window * columns + column];
        if (exists && lane == 0) {
            if (first_row == 0) deltas[item] = sum;
            else deltas[item] += sum;
        }
    }
}

// A band's part of the tables' gradients, over the tile's windows. Where places and columns are few, SLOTS threads share
// each: every SLOTS-th window, into sums of their own. By all threads; a barrier follows.
template <bool Common>
DEVICE void add_tables(
    const Scores& scores, const Shared<float>& products, const Shared<float>& deltas, float* tables, bool is_first,
    int first_row) {
    const Tile& tile = scores.tile;
    const int all_columns = tile.map.all_columns();
    constexpr int entries = band_places * columns;
    const int slot = SLOTS > 1 ? threadIdx.x / entries : 0;
    if (slot >= SLOTS) return;
    tables += slot * (2LL * area * all_columns);
    for (int item = SLOTS > 1 ? threadIdx.x % entries : threadIdx.x; item < entries; item += THREADS) {
        const int head = item % GROUP, query = item / GROUP % QUERIES, within = item / columns;
        const int y = first_row + within / WINDOW, x = within % WINDOW, place = y * WINDOW + x;
        if (y >= WINDOW) continue;
        float of_bias = 0.0f, of_scale = 0.0f;
        for (int window = slot; window < windows; window += SLOTS) {
            const int row = window / TILE_WIDTH, column = window % TILE_WIDTH, at = window * columns + query * GROUP + head;
            // A tile's windows behind the map's last can see tokens, and count for nothing.
            if (!tile.has_window(row, column)) continue;
            const float product = products[(window * band_places + within) * GROUP + head];
            const float top = scores.tops[at], reciprocal = scores.reciprocals[at];
            const float share =
                scores.power<Common>(row * STEP + y, column * STEP + x, place, query, head, top) * reciprocal;
            const float scaled =
                scores.scaled_power<Common>(row * STEP + y, column * STEP + x, place, query, head, top) * reciprocal;
            of_scale = fmaf(share, product, of_scale);
            of_bias += scaled * product - share * deltas[at];
        }
        float* target = tables + static_cast<long long>(place) * all_columns + tile.column(scores.set, query, head);
        float* scale_target = target + static_cast<long long>(area) * all_columns;
        *target = is_first ? of_bias : *target + of_bias;
        *scale_target = is_first ? of_scale : *scale_target + of_scale;
    }
}

template <bool Common>
DEVICE void differentiate(
    const Scores& scores, const Shared<ELEMENT>& values, const ELEMENT* slopes, float* tables, bool is_first) {
    const Tile& tile = scores.tile;
    const Shared<float> products(products_at), deltas(deltas_at);
    scores.normalise<Common>();
    for (int pass = 0; pass < (tables ? 2 : 1); ++pass) {
        for (int first_row = 0; first_row < WINDOW; first_row += BAND) {
            if (!one_band || pass == 0) {
                if (!one_band || scores.set == 0) bring_values(tile, values, first_row);
                __syncthreads();
                multiply(tile, values, products, slopes, scores.set, first_row);
            }
            __syncthreads();
            if (pass == 0) add_deltas<Common>(scores, products, deltas, first_row);
            else add_tables<Common>(scores, products, deltas, tables, is_first, first_row);
            __syncthreads();
        }
    }
}

KERNEL qna_backward_windows(
    const ELEMENT* __restrict__ projected, const float* __restrict__ position, const float* __restrict__ scale,
    const ELEMENT* __restrict__ slopes, float* __restrict__ statistics, float* __restrict__ tables, int height, int width,
    int window_rows, int window_columns, int padding, int heads, int upsampling, int values_at, int scale_rows, int tiles) {
    const Layout map{projected, position, scale, height, width, window_rows, window_columns,
                     padding, heads, upsampling, values_at, scale_rows};
    const Shared<ELEMENT> values(values_start);
    const Shared<float> deltas(deltas_at);
    const int all_columns = map.all_columns();
    float* own_tables = tables ? tables + blockIdx.x * (SLOTS * 2LL * area * all_columns) : tables;
    // Maxima of all windows of the batch, then 1 / sums, then δ.
    const int down = (window_rows + TILE_HEIGHT - 1) / TILE_HEIGHT, across = (window_columns + TILE_WIDTH - 1) / TILE_WIDTH;
    const long long images = tiles / (down * across);
    const long long distance = images * window_rows * window_columns * all_columns;

    for (int index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(map, index, blockIdx.y);
        for (int set = 0; set < upsampling * upsampling; ++set) {
            const Scores scores(tile, set);
            const bool is_first = index == static_cast<int>(blockIdx.x);
            if (scores.prepare()) differentiate<true>(scores, values, slopes, own_tables, is_first);
            else differentiate<false>(scores, values, slopes, own_tables, is_first);

            for (int item = threadIdx.x; item < windows * columns; item += THREADS) {
                const int head = item % GROUP, query = item / GROUP % QUERIES, window = item / columns;
                const int row = window / TILE_WIDTH, column = window % TILE_WIDTH;
                if (tile.has_window(row, column)) {
                    float* target = statistics + tile.window(row, column) * all_columns + tile.column(set, query, head);
                    target[0] = scores.tops[item];
                    target[distance] = scores.reciprocals[item];
                    target[2 * distance] = deltas[item];
                }
            }
            // The next set, or tile, is written over this one.
            __syncthreads();
        }
    }
}
