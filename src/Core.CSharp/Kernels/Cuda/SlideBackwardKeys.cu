// Slide Attention, backward: the gradients of keys and values. With a the attention, ds the gradient of the logits and g
// that of the output, at a token e of the extended map:
//   dK[c,e] = scale · Σ_t q_c[e−t] Σ_j ds_j[e−t] W[c,j,t]        dV[c,e] = Σ_t g_c[e−t] Σ_j a_j[e−t] W[c,j,t]
// where e − t goes over the tokens of the map that see e; a token's gradient is the sum over the places e at which it
// stands: its own, and those outside the map where the padding repeats it.
//
// A block owns a tile of tokens of one image and head (Slide.cuh), for keys or for values. Both factors are staged with
// their halo; a thread keeps its tokens' sums of its channels in registers, and takes a neighbour's k² numbers to them all.
// Tiles at an edge go once more over the places outside that stand for their tokens: by nothing but a gather, so that the
// sums have one order. Bound: d·k⁴ multiply-adds for a token, twice.
#include "Slide.cuh"

// Channels of a thread.
#define OWN ((CHUNK + SLICES - 1) / SLICES)

// A block of samples [token of the map][k²] as planes, zeros outside the map.
DEVICE void stage_samples(const float* source, int block, int top, int left, int height, int width,
                          const Shared<float>& planes) {
    for (int index = threadIdx.x; index < HALO_ROWS * HALO_COLUMNS * SAMPLES; index += THREADS) {
        const int sample = index % SAMPLES;
        const int down = index / SAMPLES / HALO_COLUMNS;
        const int across = index / SAMPLES % HALO_COLUMNS;
        const int row = inside(top + down, height);
        const int column = inside(left + across, width);
        float value = 0.0f;
        if (row >= 0 && column >= 0 && block * SAMPLES + sample < AREA)
            value = source[(static_cast<long long>(row) * width + column) * AREA + block * SAMPLES + sample];
        planes[sample * PLANE + down * STRIDE + across] = value;
    }
}

// Blocks along y: 0 for keys, 1 for values. projected [B, H, W, h, 3, d]; slope [B, H, W, h, d], the gradient of the output;
// logits and attention [B, h, H, W, k²]: ds and a; table as SlideForward.cu has it; gradient [B, H, W, h, 3, d] is given
// its second and third parts. Shared: planes of a chunk of channels and of a block of samples.
KERNEL __launch_bounds__(THREADS) slide_backward_keys(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const float* __restrict__ logits,
    const float* __restrict__ attention, const float* __restrict__ table, ELEMENT* __restrict__ gradient, int height,
    int width, int heads, float scale) {
    const Shared<float> planes(0), numbers(PLANES_BYTES);
    const Tile tile(blockIdx.x, height, width, heads);
    const Share share;
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

#pragma unroll 1
    for (int first = 0; first < DEPTH; first += CHUNK) {
        float sums[OWN][TALL];
#pragma unroll
        for (int own = 0; own < OWN; ++own)
#pragma unroll
            for (int i = 0; i < TALL; ++i) sums[own][i] = 0.0f;
#pragma unroll 1
        for (int row_role = 0; row_role < ROLES; ++row_role) {
            const Places rows(row_role, tile.top, TILE_ROWS, height);
            if (rows.first == NOWHERE) continue;
#pragma unroll 1
            for (int column_role = 0; column_role < ROLES; ++column_role) {
                const Places columns(column_role, tile.left, TILE_COLUMNS, width);
                if (columns.first == NOWHERE) continue;
                const int top = rows.first, left = columns.first;

                // A token's place among the staged ones: the corner of the tokens that see it.
                const int column = place_of(column_role, tile.left + share.column, width);
                bool is_there[TALL];
                int corner[TALL];
#pragma unroll
                for (int i = 0; i < TALL; ++i) {
                    const int row = place_of(row_role, tile.top + share.row + i, height);
                    is_there[i] = row != NOWHERE && column != NOWHERE;
                    corner[i] = is_there[i] ? (row - top) * STRIDE + column - left : 0;
                }
#pragma unroll 1
                for (int block = 0; block < BLOCKS; ++block) {
                    __syncthreads();
                    if (block == 0)
                        stage_halo<false>(source + first, source_step, top - RADIUS, left - RADIUS, height, width, planes);
                    stage_samples(samples, block, top - RADIUS, left - RADIUS, height, width, numbers);
                    __syncthreads();
#pragma unroll 1
                    for (int tap = SHIFTS ? block * SAMPLES : 0; tap < (SHIFTS ? min((block + 1) * SAMPLES, AREA) : AREA);
                         ++tap) {
                        // The token that sees this one at position `tap` of its window.
                        const int down = tap / WINDOW, across = tap % WINDOW;
                        if (down < rows.first_tap || down > rows.last_tap) continue;
                        if (across < columns.first_tap || across > columns.last_tap) continue;
                        const int offset = (WINDOW - 1 - down) * STRIDE + WINDOW - 1 - across;
#if SHIFTS
                        float mixed[TALL];
#pragma unroll
                        for (int i = 0; i < TALL; ++i)
                            mixed[i] = numbers[(tap - block * SAMPLES) * PLANE + corner[i] + offset];
#else
                        float factors[SAMPLES][TALL];
#pragma unroll
                        for (int j = 0; j < SAMPLES; ++j)
#pragma unroll
                            for (int i = 0; i < TALL; ++i) factors[j][i] = numbers[j * PLANE + corner[i] + offset];
#endif
#pragma unroll
                        for (int own = 0; own < OWN; ++own) {
                            const int channel = share.slice + own * SLICES;
                            if (channel >= CHUNK) continue;
#if !SHIFTS
                            float weights[SAMPLES], mixed[TALL];
                            read_samples(table + ((first + channel) * TAPS + tap) * AREA_PADDED + block * SAMPLES_PADDED,
                                         weights);
#pragma unroll
                            for (int i = 0; i < TALL; ++i) {
                                mixed[i] = 0.0f;
#pragma unroll
                                for (int j = 0; j < SAMPLES; ++j) mixed[i] = fmaf(factors[j][i], weights[j], mixed[i]);
                            }
#endif
#pragma unroll
                            for (int i = 0; i < TALL; ++i)
                                if (is_there[i])
                                    sums[own][i] = fmaf(
                                        mixed[i], planes[channel * PLANE + corner[i] + offset], sums[own][i]);
                        }
                    }
                }
            }
        }

        // Through shared memory, so that neighbouring threads write neighbouring channels.
        __syncthreads();
#pragma unroll
        for (int own = 0; own < OWN; ++own) {
            const int channel = share.slice + own * SLICES;
            if (channel >= CHUNK) continue;
#pragma unroll
            for (int i = 0; i < TALL; ++i) planes[channel * ROW + share.token + i * TILE_COLUMNS] = sums[own][i];
        }
        __syncthreads();
        write_tokens<CHUNK>(planes, factor, tile, height, width, target + first, step);
    }
}
