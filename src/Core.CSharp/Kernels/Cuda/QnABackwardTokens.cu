// QnA's gradients, the part that tokens own. With π, G and δ as in QnABackwardWindows.cu, w = Σ_i π · A, and p over the
// windows that see a token t:
//
//   ∂S[t,s,i,n] = Σ_p π[p,t,i] · ( A[t−p,s,i,n] · G[p,t,n] − δ[p,s,i,n] )
//   ∂V[t,n,:]   = Σ_s Σ_p w[p,t,s,n] · g[p,s,n,:]
//
// A sum over windows for each token: nothing is scattered. A token that no window sees has gradients of 0.
//
// A block owns TILE_HEIGHT × TILE_WIDTH tokens of one image and GROUP neighbouring heads. PARTS lanes share a head of a
// token: each has DEPTH / PARTS channels of its value and of that value's gradient in registers, as well as the
// gradients of its scores. They go through the places that the token has in windows, BAND rows of places at a time; at
// each, a product with the window's gradient, summed over the lanes, is G, and the same gradient, read once, is added to
// ∂V.
//
// Shared memory: gradients of the band's windows as they are stored, three numbers for each of these windows and columns,
// tables. Bound by what is read from shared memory, for 3×3 by memory.
//
// Grid: x = tiles · groups of heads.
//
// Constants: ELEMENT, WINDOW, STEP, QUERIES, DEPTH, GROUP, PARTS, TILE_HEIGHT, TILE_WIDTH, BAND, THREADS.
#include "Device.cuh"

constexpr int area = WINDOW * WINDOW;
constexpr int columns = QUERIES * GROUP;
constexpr int channels = GROUP * DEPTH;
constexpr int width_of_part = DEPTH / PARTS;
constexpr int most = Widest<ELEMENT, width_of_part>::value;
constexpr int owners = TILE_HEIGHT * TILE_WIDTH * GROUP * PARTS;
// Windows that see the tile's tokens at places of one band.
constexpr int seen_height = (TILE_HEIGHT + BAND - 2) / STEP + 1;
constexpr int seen_width = (TILE_WIDTH + WINDOW - 2) / STEP + 1;
constexpr int seen = seen_height * seen_width;
constexpr int band_places = BAND * WINDOW;
// 16 bytes more than the channels: then windows side by side begin in other banks.
constexpr int pitch = channels + 16 / static_cast<int>(sizeof(ELEMENT));

constexpr int bytes_of(int count, int size) { return (count * size + 15) / 16 * 16; }
constexpr int slopes_at = 0;
constexpr int tops_at = slopes_at + bytes_of(seen * pitch, sizeof(ELEMENT));
constexpr int reciprocals_at = tops_at + bytes_of(seen * columns, 4);
constexpr int deltas_at = reciprocals_at + bytes_of(seen * columns, 4);
constexpr int biases_at = deltas_at + bytes_of(seen * columns, 4);
constexpr int scales_at = biases_at + bytes_of(band_places * columns, 4);

static_assert(owners <= THREADS, "a thread for each token, head and part of its channels");
static_assert(DEPTH % PARTS == 0 && WARP % PARTS == 0, "lanes of a head are neighbours in a warp");

// The first number not below a / b, for b > 0.
DEVICE int divide_up(int a, int b) { return a > 0 ? (a + b - 1) / b : a / b; }

// a modulo b, never negative.
DEVICE int residue_of(int a, int b) { return (a % b + b) % b; }

KERNEL qna_backward_tokens(
    const ELEMENT* __restrict__ projected, const float* __restrict__ position, const float* __restrict__ scale,
    const ELEMENT* __restrict__ slopes, const float* __restrict__ statistics, ELEMENT* __restrict__ gradient, int height,
    int width, int window_rows, int window_columns, int padding, int heads, int upsampling, int values_at, int scale_rows,
    int images) {
    const Shared<ELEMENT> staged(slopes_at);
    const Shared<float> tops(tops_at), reciprocals(reciprocals_at), deltas(deltas_at), biases(biases_at), scales(scales_at);

    const int groups = heads / GROUP, sets = upsampling * upsampling, all_columns = sets * QUERIES * heads;
    const int token_width = values_at + heads * DEPTH;
    const int first_head = blockIdx.x % groups * GROUP;
    const int tile = blockIdx.x / groups;
    const int across = (width + TILE_WIDTH - 1) / TILE_WIDTH, down = (height + TILE_HEIGHT - 1) / TILE_HEIGHT;
    const int left = tile % across * TILE_WIDTH, top = tile / across % down * TILE_HEIGHT, image = tile / (across * down);
    const long long distance = static_cast<long long>(images) * window_rows * window_columns * all_columns;

    const int part = threadIdx.x % PARTS, head = threadIdx.x / PARTS % GROUP, token = threadIdx.x / (PARTS * GROUP);
    // The token's row and column on the extended map, where windows begin at multiples of the step.
    const int row = top + token / TILE_WIDTH, column = left + token % TILE_WIDTH;
    const bool owns = threadIdx.x < owners && row < height && column < width;
    const long long token_start = ((static_cast<long long>(image) * height + row) * width + column) * token_width;
    const int channel = head * DEPTH + part * width_of_part;
    const long long value_start = token_start + values_at + first_head * DEPTH + channel;

    float value[width_of_part], of_value[width_of_part];
#pragma unroll
    for (int c = 0; c < width_of_part; c += most) {
        if (owns) {
            const Pack<ELEMENT, most> pack = load<most>(projected + value_start + c);
#pragma unroll
            for (int i = 0; i < most; ++i) value[c + i] = to_float(pack.at[i]);
        } else {
#pragma unroll
            for (int i = 0; i < most; ++i) value[c + i] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < most; ++i) of_value[c + i] = 0.0f;
    }

    for (int set = 0; set < sets; ++set) {
        float score[QUERIES], of_score[QUERIES];
#pragma unroll
        for (int query = 0; query < QUERIES; ++query) {
            const int at = (set * QUERIES + query) * heads + first_head + head;
            score[query] = owns ? to_float(projected[token_start + at]) : 0.0f;
            of_score[query] = 0.0f;
        }
        const int first_column = divide_up(left + padding - (WINDOW - 1), STEP);
        for (int first_place = 0; first_place < WINDOW; first_place += BAND) {
            const int first_row = divide_up(top + padding - (first_place + BAND - 1), STEP);
            __syncthreads();
            // Only windows that exist are brought, and only they are read.
            constexpr int widest = Widest<ELEMENT, DEPTH>::value;
            constexpr int packs = channels / widest;
            constexpr int items = seen * packs;
            // So many reads of a thread are on their way at once.
            constexpr int batch = 4;
            for (int first = threadIdx.x; first < items; first += batch * THREADS) {
                Pack<ELEMENT, widest> brought[batch];
                bool exists[batch];
#pragma unroll
                for (int j = 0; j < batch; ++j) {
                    const int item = first + j * THREADS, at = item % packs * widest, window = item / packs;
                    const int y = first_row + window / seen_width, x = first_column + window % seen_width;
                    exists[j] = item < items && y >= 0 && y < window_rows && x >= 0 && x < window_columns;
                    if (exists[j]) {
                        const long long window_row = static_cast<long long>(image) * window_rows + y;
                        const long long out_row = window_row * upsampling + set / upsampling;
                        const long long out_column = static_cast<long long>(x) * upsampling + set % upsampling;
                        const long long place = out_row * window_columns * upsampling + out_column;
                        brought[j] = load<widest>(slopes + place * heads * DEPTH + first_head * DEPTH + at);
                    }
                }
#pragma unroll
                for (int j = 0; j < batch; ++j) {
                    const int item = first + j * THREADS;
                    if (exists[j]) staged.template store<widest>(item / packs * pitch + item % packs * widest, brought[j]);
                }
            }
            for (int item = threadIdx.x; item < seen * columns; item += THREADS) {
                const int of_head = item % GROUP, query = item / GROUP % QUERIES, window = item / columns;
                const int y = first_row + window / seen_width, x = first_column + window % seen_width;
                if (y >= 0 && y < window_rows && x >= 0 && x < window_columns) {
                    const int of_column = (set * QUERIES + query) * heads + first_head + of_head;
                    const float* source = statistics
                        + ((static_cast<long long>(image) * window_rows + y) * window_columns + x) * all_columns + of_column;
                    const int at = (query * seen + window) * GROUP + of_head;
                    tops[at] = source[0];
                    reciprocals[at] = source[distance];
                    deltas[at] = source[2 * distance];
                }
            }
            for (int item = threadIdx.x; item < band_places * columns; item += THREADS) {
                const int of_head = item % GROUP, query = item / GROUP % QUERIES;
                const int place = first_place * WINDOW + item / columns;
                const int at = (query * band_places + item / columns) * GROUP + of_head;
                const int of_column = (set * QUERIES + query) * heads + first_head + of_head;
                if (place < area) {
                    biases[at] = position ? position[static_cast<long long>(place) * all_columns + of_column] : 0.0f;
                    scales[at] =
                        scale ? scale[(scale_rows == 1 ? 0LL : place) * all_columns + of_column] : 1.0f;
                }
            }
            __syncthreads();

            // Places whose windows begin at a multiple of the step. All lanes take as many turns.
            const int phase_y = residue_of(row + padding - first_place, STEP), phase_x = residue_of(column + padding, STEP);
            for (int turn_y = 0; turn_y < (BAND + STEP - 1) / STEP; ++turn_y) {
                const int within = phase_y + turn_y * STEP, place_y = first_place + within;
                const int window_y = (row + padding - place_y) / STEP;
                const bool sees_row = owns && within < BAND && place_y < WINDOW
                    && row + padding >= place_y && window_y < window_rows;
                for (int turn_x = 0; turn_x < (WINDOW + STEP - 1) / STEP; ++turn_x) {
                    const int place_x = phase_x + turn_x * STEP;
                    const int window_x = (column + padding - place_x) / STEP;
                    const bool sees =
                        sees_row && place_x < WINDOW && column + padding >= place_x && window_x < window_columns;
                    const int window = (window_y - first_row) * seen_width + window_x - first_column;

                    float slope[width_of_part];
                    float product = 0.0f;
                    if (sees) {
#pragma unroll
                        for (int c = 0; c < width_of_part; c += most) {
                            const Pack<ELEMENT, most> pack = staged.template load<most>(window * pitch + channel + c);
#pragma unroll
                            for (int i = 0; i < most; ++i) {
                                slope[c + i] = to_float(pack.at[i]);
                                product = fmaf(slope[c + i], value[c + i], product);
                            }
                        }
                    }
                    product = sum_over<PARTS>(product);
                    if (sees) {
                        float weight = 0.0f;
#pragma unroll
                        for (int query = 0; query < QUERIES; ++query) {
                            const int at = (query * seen + window) * GROUP + head;
                            const int table = (query * band_places + within * WINDOW + place_x) * GROUP + head;
                            const float share = __expf(score[query] + biases[table] - tops[at]) * reciprocals[at];
                            const float scaled = share * scales[table];
                            weight += scaled;
                            of_score[query] += scaled * product - share * deltas[at];
                        }
#pragma unroll
                        for (int c = 0; c < width_of_part; ++c) of_value[c] = fmaf(weight, slope[c], of_value[c]);
                    }
                }
            }
        }
        if (owns && part == 0) {
#pragma unroll
            for (int query = 0; query < QUERIES; ++query) {
                const int at = (set * QUERIES + query) * heads + first_head + head;
                gradient[token_start + at] = element_of<ELEMENT>(of_score[query]);
            }
        }
    }
    if (owns) {
#pragma unroll
        for (int c = 0; c < width_of_part; c += most) {
            Pack<ELEMENT, most> pack;
#pragma unroll
            for (int i = 0; i < most; ++i) pack.at[i] = element_of<ELEMENT>(of_value[c + i]);
            store<most>(gradient + value_start + c, pack);
        }
        // What pads the columns.
        if (first_head == 0 && head == 0 && part == 0)
            for (int at = all_columns; at < values_at; ++at) gradient[token_start + at] = element_of<ELEMENT>(0.0f);
    }
}
