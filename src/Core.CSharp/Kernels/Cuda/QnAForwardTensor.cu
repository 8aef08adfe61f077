// QnA's middle, forward, by tensor cores: what QnAForward.cu computes, for half and bfloat16, steps of 1 and tiles that
// are 8 windows wide.
//
// Of a row of 8 windows and a row of tokens under it, the weights are a band of a matrix, [8 windows, 16 · STEPS tokens];
// two rows of windows make the 16 rows of a product with the tokens' values, [16 · STEPS tokens, 8 channels]. Weights are
// rounded to the element type, as values are: an error of a rounding of the result. What is not in the band is 0, written
// once.
//
// A warp owns a head, TILES · 8 of its channels and PAIRS pairs of rows of windows, whose sums stay in registers. It goes
// down the rows of tokens: each row's values are read once for all pairs that see it.
//
// Shared memory: as forward, with the weights as matrices in the element type. Bound by reading values and weights.
//
// Grid: x = tiles · groups of heads.
#include "QnA.cuh"

constexpr int warps = THREADS / WARP;
constexpr int pairs = TILE_HEIGHT / 2;
constexpr int pairs_at_once = pairs % 2 == 0 ? 2 : 1;
constexpr int channel_tiles = DEPTH / 8;
constexpr int tiles_at_once = channel_tiles % 4 == 0 ? 4 : channel_tiles % 3 == 0 ? 3 : channel_tiles % 2 == 0 ? 2 : 1;
constexpr int units = GROUP * (channel_tiles / tiles_at_once) * (pairs / pairs_at_once);
constexpr int steps = (halo_width + 15) / 16;
// A window's weights: for each head and row of the window, the tokens of a row. 16 bytes more: then 8 windows' words that
// are read together are in different banks.
constexpr int row_weights = 16 * steps;
constexpr int window_weights = GROUP * WINDOW * row_weights + 8;

constexpr int weights_at = own_at;
constexpr int values_start = weights_at + bytes_of(windows * window_weights, sizeof(ELEMENT));

static_assert(STEP == 1 && TILE_WIDTH == 8 && TILE_HEIGHT % 2 == 0, "two rows of 8 windows are a product's rows");
static_assert(one_band, "a window's weights are there together");
static_assert(DEPTH % 8 == 0, "whole columns of products");

// The weight of each window's places: the sum over queries, in the band. By all threads; a barrier follows.
template <bool Common>
DEVICE void weigh(const Scores& scores, const Shared<ELEMENT>& weights) {
    constexpr int places = area * GROUP;
    constexpr int side_by_side = places < THREADS ? THREADS / places : 1;
    const int slot = side_by_side > 1 ? threadIdx.x / places : 0;
    if (slot >= side_by_side) return;
    for (int item = side_by_side > 1 ? threadIdx.x % places : threadIdx.x; item < places; item += THREADS) {
        const int head = item % GROUP, x = item / GROUP % WINDOW, y = item / (GROUP * WINDOW);
        float bias[QUERIES], scale[QUERIES];
#pragma unroll
        for (int query = 0; query < QUERIES; ++query) {
            bias[query] = scores.bias(y * WINDOW + x, query, head);
            scale[query] = scores.scale(y * WINDOW + x, query, head);
        }
        for (int window = slot; window < windows; window += side_by_side) {
            const int row = window / TILE_WIDTH, column = window % TILE_WIDTH;
            float weight = 0.0f;
#pragma unroll
            for (int query = 0; query < QUERIES; ++query) {
                const int at = window * columns + query * GROUP + head;
                const float score = scores.score(row + y, column + x, query, head);
                const float power = Common ? score : __expf(score + bias[query] - scores.tops[at]);
                weight = fmaf(power * scale[query], scores.reciprocals[at], weight);
            }
            weights[window * window_weights + (head * WINDOW + y) * row_weights + column + x] = element_of<ELEMENT>(weight);
        }
    }
}

// Two weights of a window that meet tokens side by side; zeros in rows that the window does not see.
DEVICE unsigned weights_of(const Shared<ELEMENT>& weights, int window, int head, int y, int token) {
    if (y < 0 || y >= WINDOW) return 0u;
    const int row = window * window_weights + (head * WINDOW + y) * row_weights;
    const Pack<ELEMENT, 2> pack = weights.template load<2>(row + token);
    return word_of(pack.at[0], pack.at[1]);
}

// A channel of two tokens side by side; zeros behind the halo.
DEVICE unsigned values_of(const Shared<ELEMENT>& values, int row, int token, int channel) {
    const ELEMENT zero = element_of<ELEMENT>(0.0f);
    const int at = (row * halo_width + token) * pitch + channel;
    const ELEMENT first = token < halo_width ? static_cast<ELEMENT>(values[at]) : zero;
    const ELEMENT second = token + 1 < halo_width ? static_cast<ELEMENT>(values[at + pitch]) : zero;
    return word_of(first, second);
}

// A unit's sums, and their way to memory.
DEVICE void multiply(
    const Tile& tile, const Shared<ELEMENT>& weights, const Shared<ELEMENT>& values, int set, int unit, ELEMENT* output) {
    const int lane = threadIdx.x % WARP, g = lane / 4, t = lane % 4;
    const int first_pair = unit % (pairs / pairs_at_once) * pairs_at_once;
    const int first_channel = unit / (pairs / pairs_at_once) * tiles_at_once * 8;
    const int head = first_channel / DEPTH;

    float sums[pairs_at_once][tiles_at_once][4];
#pragma unroll
    for (int p = 0; p < pairs_at_once; ++p)
#pragma unroll
        for (int n = 0; n < tiles_at_once; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[p][n][i] = 0.0f;

    for (int y = 0; y < 2 * pairs_at_once + WINDOW - 1; ++y) {
#pragma unroll
        for (int step = 0; step < steps; ++step) {
            const int token = 16 * step + 2 * t;
            unsigned b[tiles_at_once][2];
#pragma unroll
            for (int n = 0; n < tiles_at_once; ++n) {
                b[n][0] = values_of(values, 2 * first_pair + y, token, first_channel + 8 * n + g);
                b[n][1] = values_of(values, 2 * first_pair + y, token + 8, first_channel + 8 * n + g);
            }
#pragma unroll
            for (int p = 0; p < pairs_at_once; ++p) {
                // The row of tokens in the windows of the pair's upper row; in those of its lower row it is one less.
                const int upper = y - 2 * p, window = (2 * (first_pair + p)) * TILE_WIDTH + g;
                if (upper >= 0 && upper <= WINDOW) {
                    const unsigned a[4] = {
                        weights_of(weights, window, head, upper, token),
                        weights_of(weights, window + TILE_WIDTH, head, upper - 1, token),
                        weights_of(weights, window, head, upper, token + 8),
                        weights_of(weights, window + TILE_WIDTH, head, upper - 1, token + 8),
                    };
#pragma unroll
                    for (int n = 0; n < tiles_at_once; ++n) multiply_add(sums[p][n], a, b[n], ELEMENT());
                }
            }
        }
    }
#pragma unroll
    for (int p = 0; p < pairs_at_once; ++p) {
#pragma unroll
        for (int half_pair = 0; half_pair < 2; ++half_pair) {
            const int row = 2 * (first_pair + p) + half_pair;
            if (tile.has_window(row, g)) {
                ELEMENT* target = output + tile.output(set, row, g) + first_channel + 2 * t;
#pragma unroll
                for (int n = 0; n < tiles_at_once; ++n) {
                    Pack<ELEMENT, 2> pack;
                    pack.at[0] = element_of<ELEMENT>(sums[p][n][2 * half_pair]);
                    pack.at[1] = element_of<ELEMENT>(sums[p][n][2 * half_pair + 1]);
                    store<2>(target + 8 * n, pack);
                }
            }
        }
    }
}

KERNEL qna_forward_tensor(
    const ELEMENT* __restrict__ projected, const float* __restrict__ position, const float* __restrict__ scale,
    ELEMENT* __restrict__ output, int height, int width, int window_rows, int window_columns, int padding, int heads,
    int upsampling, int values_at, int scale_rows) {
    const Layout map{projected, position, scale, height, width, window_rows, window_columns,
                     padding, heads, upsampling, values_at, scale_rows};
    const int groups = heads / GROUP;
    const Tile tile(map, blockIdx.x / groups, blockIdx.x % groups);
    const Shared<ELEMENT> weights(weights_at), values(values_start);

    bring_values(tile, values, 0);
    // What lies outside the band stays 0 for all sets.
    constexpr int most = 16 / sizeof(ELEMENT);
    Pack<ELEMENT, most> zeros;
#pragma unroll
    for (int i = 0; i < most; ++i) zeros.at[i] = element_of<ELEMENT>(0.0f);
    for (int item = threadIdx.x; item < windows * window_weights / most; item += THREADS)
        weights.template store<most>(item * most, zeros);

    for (int set = 0; set < upsampling * upsampling; ++set) {
        const Scores scores(tile, set);
        const bool common = scores.prepare();
        if (common) scores.normalise<true>();
        else scores.normalise<false>();
        __syncthreads();
        if (common) weigh<true>(scores, weights);
        else weigh<false>(scores, weights);
        __syncthreads();
        for (int unit = threadIdx.x / WARP; unit < units; unit += warps) multiply(tile, weights, values, set, unit, output);
        // The next set is written over this one.
        __syncthreads();
    }
}
