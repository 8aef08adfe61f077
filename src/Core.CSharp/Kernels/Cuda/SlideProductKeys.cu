// Slide Attention, backward: the gradients of keys and values, as SlideBackwardKeys.cu has them, on tensor cores
// (SlideProduct.cuh): half and bfloat16. For each position t of the window, with s for ds or a and f for q or g,
//   G[p, c] = Σ_j s_j[p−t] · W[c,j,t]        row_c[p] += G[p, c] f_c[p−t]
//
// A block owns a tile of tokens of one image and head, for keys or for values, a warp STACK times 16 tokens of it with all
// their channels. The neighbours' factors by channel and by sample are staged with their halo, the latter rounded to the
// elements' type, a few steps of samples at a time; for half over a power of 2 for each neighbour. Tiles at an edge go once
// more over the places outside the map at which their tokens stand. Bound: reads of shared memory, as the forward kernel.
//
// Constants beside those of SlideProduct.cuh: SPREAD, the steps of samples that are staged at a time.
#include "SlideProduct.cuh"

#define NUMBERS_PITCH (SPREAD * 8 + 4)
#define NUMBERS_BYTES (PLACES * NUMBERS_PITCH * 4)

// What a place's samples are divided by.
DEVICE float range_of_samples(const float* samples, half) {
    float largest = 0.0f;
    for (int sample = 0; sample < AREA; ++sample) largest = fmaxf(largest, fabsf(samples[sample]));
    return range_of(largest, half{});
}

DEVICE float range_of_samples(const float*, bfloat16) { return 1.0f; }

// SPREAD steps of samples from `first` on, [token of the map][k²], as [place][NUMBERS_PITCH words]; zeros where there are
// none.
DEVICE void stage_numbers(const float* source, int first, int top, int left, int height, int width,
                          const Shared<float>& ranges, const Shared<unsigned>& numbers) {
    for (int index = threadIdx.x; index < PLACES * SPREAD * 8; index += THREADS) {
        const int word = index % (SPREAD * 8);
        const int place = index / (SPREAD * 8);
        const int row = inside(top + place / HALO_COLUMNS, height);
        const int column = inside(left + place % HALO_COLUMNS, width);
        float values[2] = {0.0f, 0.0f};
        if (row >= 0 && column >= 0) {
            const float inverse = inverse_of(ranges[place]);
            const float* token = source + (static_cast<long long>(row) * width + column) * AREA;
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const int sample = first * 16 + word * 2 + i;
                if (sample < AREA) values[i] = token[sample] * inverse;
            }
        }
        numbers[place * NUMBERS_PITCH + word] = packed<ELEMENT>(values[0], values[1]);
    }
}

// Blocks along y: 0 for keys, 1 for values. projected [B, H, W, h, 3, d]; slope [B, H, W, h, d], the gradient of the output;
// logits and attention [B, h, H, W, k²]: ds and a; for_mixing as SlideProductTable.cu lays it out; gradient
// [B, H, W, h, 3, d] is given its second and third parts. Shared: PLACES_BYTES, NUMBERS_BYTES, and a float for each place.
KERNEL __launch_bounds__(THREADS) slide_product_keys(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const float* __restrict__ logits,
    const float* __restrict__ attention, const ELEMENT* __restrict__ for_mixing, ELEMENT* __restrict__ gradient, int height,
    int width, int heads, float scale) {
    const Shared<ELEMENT> staged(0);
    const Shared<unsigned> places(0), numbers(PLACES_BYTES);
    const Shared<float> ranges(PLACES_BYTES + NUMBERS_BYTES);
    const Tile tile(blockIdx.x, height, width, heads);
    const Lane lane;
    const bool of_values = blockIdx.y == 1;
    const long long image = tile.image * height * width;
    const long long step = 3LL * heads * DEPTH;
    const ELEMENT* source = of_values ? slope + (image * heads + tile.head) * DEPTH
                                      : projected + image * step + tile.head * 3 * DEPTH;
    const long long source_step = of_values ? static_cast<long long>(heads) * DEPTH : step;
    const float* samples = (of_values ? attention : logits)
        + (image * heads + static_cast<long long>(tile.head) * height * width) * AREA;
    const float factor = of_values ? 1.0f : scale;
    ELEMENT* target = gradient + image * step + (tile.head * 3 + (of_values ? 2 : 1)) * DEPTH;
    const unsigned* table = reinterpret_cast<const unsigned*>(for_mixing);

#pragma unroll 1
    for (int first = 0; first < CHANNEL_STEPS; first += CHUNK_STEPS) {
        float rows[STACK][2 * CHUNK_STEPS][4];
#pragma unroll
        for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
            for (int n = 0; n < 2 * CHUNK_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) rows[stack][n][i] = 0.0f;
#pragma unroll 1
        for (int row_role = 0; row_role < ROLES; ++row_role) {
            const Places downs(row_role, tile.top, TILE_ROWS, height);
            if (downs.first == NOWHERE) continue;
#pragma unroll 1
            for (int column_role = 0; column_role < ROLES; ++column_role) {
                const Places acrosses(column_role, tile.left, TILE_COLUMNS, width);
                if (acrosses.first == NOWHERE) continue;
                const int top = downs.first - RADIUS, left = acrosses.first - RADIUS;

                // A token's place among the staged ones: the corner of the tokens that see it.
                const int column = place_of(column_role, tile.left + lane.column, width);
                bool is_there[STACK][2];
                int corner[STACK][2];
#pragma unroll
                for (int i = 0; i < 2 * STACK; ++i) {
                    const int row = place_of(row_role, tile.top + lane.row + i, height);
                    is_there[i / 2][i % 2] = row != NOWHERE && column != NOWHERE;
                    corner[i / 2][i % 2] = is_there[i / 2][i % 2]
                        ? (row - downs.first) * HALO_COLUMNS + column - acrosses.first : 0;
                }
                __syncthreads();
                stage_places<false>(source, source_step, first * 16, top, left, height, width, staged);
                for (int place = threadIdx.x; place < PLACES; place += THREADS) {
                    const int row = inside(top + place / HALO_COLUMNS, height);
                    const int across = inside(left + place % HALO_COLUMNS, width);
                    const float* token = samples + (static_cast<long long>(row) * width + across) * AREA;
                    ranges[place] = row >= 0 && across >= 0 ? range_of_samples(token, ELEMENT{}) : 1.0f;
                }
#pragma unroll 1
                for (int spread = 0; spread < SAMPLE_STEPS; spread += SPREAD) {
                    __syncthreads();
                    stage_numbers(samples, spread, top, left, height, width, ranges, numbers);
                    __syncthreads();
#pragma unroll 1
                    for (int tap = 0; tap < AREA; ++tap) {
                        const int down = tap / WINDOW, across = tap % WINDOW;
                        if (down < downs.first_tap || down > downs.last_tap) continue;
                        if (across < acrosses.first_tap || across > acrosses.last_tap) continue;
                        // The token that sees this one at position `tap` of its window.
                        const int offset = (WINDOW - 1 - down) * HALO_COLUMNS + WINDOW - 1 - across;
                        unsigned factors[STACK][SPREAD][4];
                        float multipliers[STACK][2];
#pragma unroll
                        for (int stack = 0; stack < STACK; ++stack) {
#pragma unroll
                            for (int second = 0; second < 2; ++second)
                                multipliers[stack][second] =
                                    is_there[stack][second] ? ranges[corner[stack][second] + offset] : 0.0f;
#pragma unroll
                            for (int i = 0; i < 4 * SPREAD; ++i)
                                factors[stack][i / 4][i % 4] = numbers[
                                    (corner[stack][i % 2] + offset) * NUMBERS_PITCH + i / 4 * 8 + i / 2 % 2 * 4 + lane.part];
                        }
#pragma unroll
                        for (int channels = 0; channels < CHUNK_STEPS; ++channels) {
                            const int line = (tap * CHANNEL_STEPS + first + channels) * SAMPLE_STEPS + spread;
                            float mixed[STACK][2][4];
#pragma unroll
                            for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
                                for (int i = 0; i < 8; ++i) mixed[stack][i / 4][i % 4] = 0.0f;
#pragma unroll
                            for (int part = 0; part < SPREAD; ++part) {
                                // The last steps may be fewer.
                                if (SAMPLE_STEPS % SPREAD != 0 && spread + part >= SAMPLE_STEPS) continue;
                                unsigned near[2], far[2];
                                read_step(table, line + part, near, far);
#pragma unroll
                                for (int stack = 0; stack < STACK; ++stack) {
                                    multiply_add(mixed[stack][0], factors[stack][part], near, ELEMENT{});
                                    multiply_add(mixed[stack][1], factors[stack][part], far, ELEMENT{});
                                }
                            }
#pragma unroll
                            for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
                                for (int i = 0; i < 4; ++i) {
                                    const int half_step = i / 2, second = i % 2;
                                    if (!is_there[stack][second]) continue;
                                    float* row = &rows[stack][2 * channels + half_step][second * 2];
                                    const float* from = &mixed[stack][half_step][second * 2];
                                    const unsigned word = places[
                                        (corner[stack][second] + offset) * PITCH + channels * 8 + half_step * 4 + lane.part];
                                    const float multiplier = multipliers[stack][second];
                                    row[0] = fmaf(from[0] * multiplier, first_of(word), row[0]);
                                    row[1] = fmaf(from[1] * multiplier, second_of(word), row[1]);
                                }
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
            for (int second = 0; second < 2; ++second) {
                const int row = tile.top + lane.row + 2 * stack + second;
                const int column = tile.left + lane.column;
                if (row >= height || column >= width) continue;
                ELEMENT* token = target + (static_cast<long long>(row) * width + column) * step;
#pragma unroll
                for (int n = 0; n < 2 * CHUNK_STEPS; ++n)
                    write_word(token, first * 16 + n * 8 + lane.part * 2, rows[stack][n][second * 2] * factor,
                               rows[stack][n][second * 2 + 1] * factor);
            }
    }
}
