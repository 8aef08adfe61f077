// QnA's middle, forward:
//
//   y[p,s,n,:] = Σ_i Σ_t softmax_t( S[t,s,i,n] + P[t−p,s,i,n] ) · A[t−p,s,i,n] · V[t,n,:]
//
// with t over the window at p, inside the map. QnA.cuh tells how a block's windows, scores and tables lie.
//
// The queries' weights of a token are summed before they meet its value: one number for each window, place and head,
// computed once into shared memory and used by all channels. A thread then owns RUN neighbouring windows of a row and a
// pack of channels, and slides over the values: each is read from shared memory once for all the windows of the run that
// see it, and sums stay in registers. Values and weights are taken BAND rows of the window at a time where all of them
// would not fit.
//
// Shared memory: scores of the halo and tables (floats), two numbers for each window and column, the band's values as
// they are stored, the band's weights. Bound by memory for small windows, from 7×7 on by the products.
//
// Grid: x = tiles · groups of heads, groups side by side so that they share what the cache holds of a token.
//
// Constants beside those of QnA.cuh: RUN.
#include "QnA.cuh"

constexpr int most = Widest<ELEMENT, DEPTH>::value;
constexpr int lanes = channels / most;
constexpr int runs_across = TILE_WIDTH / RUN;
constexpr int owners = TILE_HEIGHT * runs_across * lanes;
constexpr int run_tokens = (RUN - 1) * STEP + WINDOW;
constexpr int unrolled = WINDOW <= 15 ? run_tokens : 1;

constexpr int weights_at = own_at;
constexpr int values_start = weights_at + bytes_of(windows * band_places * GROUP, 4);

static_assert(TILE_WIDTH % RUN == 0, "a row of the tile is whole runs");
static_assert(owners <= THREADS, "a thread for each run and pack of channels");

// The weight of each window's places in a band: the sum over queries. A thread keeps a place and a head, whose table
// entries stay in registers, and goes through windows. By all threads; a barrier follows.
template <bool Common>
DEVICE void weigh(const Scores& scores, const Shared<float>& weights, int first_row) {
    constexpr int pairs = band_places * GROUP;
    constexpr int side_by_side = pairs < THREADS ? THREADS / pairs : 1;
    const int slot = side_by_side > 1 ? threadIdx.x / pairs : 0;
    if (slot >= side_by_side) return;
    for (int pair = side_by_side > 1 ? threadIdx.x % pairs : threadIdx.x; pair < pairs; pair += THREADS) {
        const int head = pair % GROUP, x = pair / GROUP % WINDOW, y = first_row + pair / (GROUP * WINDOW);
        // The last band can reach over the window.
        if (y >= WINDOW) continue;
        float bias[QUERIES], scale[QUERIES];
#pragma unroll
        for (int query = 0; query < QUERIES; ++query) {
            bias[query] = scores.bias(y * WINDOW + x, query, head);
            scale[query] = scores.scale(y * WINDOW + x, query, head);
        }
        for (int window = slot; window < windows; window += side_by_side) {
            const int row = window / TILE_WIDTH * STEP + y, column = window % TILE_WIDTH * STEP + x;
            float weight = 0.0f;
#pragma unroll
            for (int query = 0; query < QUERIES; ++query) {
                const int at = window * columns + query * GROUP + head;
                const float score = scores.score(row, column, query, head);
                const float power = Common ? score : __expf(score + bias[query] - scores.tops[at]);
                weight = fmaf(power * scale[query], scores.reciprocals[at], weight);
            }
            weights[window * pairs + pair] = weight;
        }
    }
}

KERNEL qna_forward(
    const ELEMENT* __restrict__ projected, const float* __restrict__ position, const float* __restrict__ scale,
    ELEMENT* __restrict__ output, int height, int width, int window_rows, int window_columns, int padding, int heads,
    int upsampling, int values_at, int scale_rows) {
    const Layout map{projected, position, scale, height, width, window_rows, window_columns,
                     padding, heads, upsampling, values_at, scale_rows};
    const int groups = heads / GROUP;
    const Tile tile(map, blockIdx.x / groups, blockIdx.x % groups);
    const Shared<float> weights(weights_at);
    const Shared<ELEMENT> values(values_start);

    const bool owns = threadIdx.x < owners;
    const int channel = threadIdx.x % lanes * most, head = channel / DEPTH;
    const int run_row = threadIdx.x / lanes / runs_across, run_left = threadIdx.x / lanes % runs_across * RUN;

    // Where all values fit they are asked for first, and are there when the weights are.
    if (one_band) bring_values(tile, values, 0);
    for (int set = 0; set < upsampling * upsampling; ++set) {
        const Scores scores(tile, set);
        const bool common = scores.prepare();
        if (common) scores.normalise<true>();
        else scores.normalise<false>();

        float sums[RUN][most];
#pragma unroll
        for (int j = 0; j < RUN; ++j)
#pragma unroll
            for (int i = 0; i < most; ++i) sums[j][i] = 0.0f;

        for (int first_row = 0; first_row < WINDOW; first_row += BAND) {
            if (!one_band) bring_values(tile, values, first_row);
            // The softmax's numbers are written by other threads.
            __syncthreads();
            if (common) weigh<true>(scores, weights, first_row);
            else weigh<false>(scores, weights, first_row);
            __syncthreads();
            if (owns) {
                for (int y = 0; y < BAND && first_row + y < WINDOW; ++y) {
                    const int token = (run_row * STEP + y) * halo_width + run_left * STEP;
                    const int weight = (run_row * TILE_WIDTH + run_left) * band_places + y * WINDOW;
#pragma unroll unrolled
                    for (int x = 0; x < run_tokens; ++x) {
                        const Pack<ELEMENT, most> pack = values.template load<most>((token + x) * pitch + channel);
                        float value[most];
#pragma unroll
                        for (int i = 0; i < most; ++i) value[i] = to_float(pack.at[i]);
#pragma unroll
                        for (int j = 0; j < RUN; ++j) {
                            const int place = x - j * STEP;
                            if (place >= 0 && place < WINDOW) {
                                const float w = weights[(weight + j * band_places + place) * GROUP + head];
#pragma unroll
                                for (int i = 0; i < most; ++i) sums[j][i] = fmaf(w, value[i], sums[j][i]);
                            }
                        }
                    }
                }
            }
            // The next band, or set, is written over this one.
            __syncthreads();
        }
        if (owns) {
#pragma unroll
            for (int j = 0; j < RUN; ++j) {
                if (tile.has_window(run_row, run_left + j)) {
                    Pack<ELEMENT, most> pack;
#pragma unroll
                    for (int i = 0; i < most; ++i) pack.at[i] = element_of<ELEMENT>(sums[j][i]);
                    store<most>(output + tile.output(set, run_row, run_left + j) + channel, pack);
                }
            }
        }
    }
}
