// Slide Attention, backward: the gradients of the weight and the bias. With a the attention, ds the gradient of the logits,
// and g that of the output, summed over the tokens p of all images and heads:
//   dW[c,j,t] = Σ_p scale · ds_j q_c K[c,p+t] + a_j g_c V[c,p+t]        db[c,j] = Σ_p scale · ds_j q_c + a_j g_c
// The bias is one more position of the window, where K and V are 1.
//
// Blocks along x take tiles of tokens in turn, those along y have chunks of channels, groups of pairs (channel, position)
// and blocks of samples. A thread owns a pair and keeps the sums of its samples in registers; the factors of the samples are
// words that all lanes read. Each block along x writes its own sums, which are added in order afterwards.
// Bound: reads of shared memory, 4 and half a word for each sample, for 2 multiply-adds a sample.
//
// Here SHIFTS says that only the bias is wanted.
#include "Slide.cuh"

#define PAIRS (CHUNK * TAPS)
#define GROUPS ((PAIRS + THREADS - 1) / THREADS)

#define CHUNK_ROWS_BYTES ((CHUNK * ROW + 3) / 4 * 16)

// A block of samples of the tile's tokens, [token of the map][k²], as [token][SAMPLES_PADDED]; zeros where there are none.
DEVICE void stage_factors(const float* source, int block, const Tile& tile, int height, int width,
                          const Shared<float>& factors) {
    for (int index = threadIdx.x; index < TOKENS * SAMPLES_PADDED; index += THREADS) {
        const int place = index % SAMPLES_PADDED;
        const int sample = block * SAMPLES + place;
        const int row = tile.top + index / SAMPLES_PADDED / TILE_COLUMNS;
        const int column = tile.left + index / SAMPLES_PADDED % TILE_COLUMNS;
        float value = 0.0f;
        if (place < SAMPLES && sample < AREA && row < height && column < width)
            value = source[(static_cast<long long>(row) * width + column) * AREA + sample];
        factors[index] = value;
    }
}

// projected [B, H, W, h, 3, d]; slope [B, H, W, h, d], the gradient of the output; logits and attention [B, h, H, W, k²]: ds
// and a; sums [parts, d, TAPS, AREA_PADDED] is written whole. `tiles` counts those of all images and heads.
// Shared: rows, rows, factors, factors, and where positions count planes, planes.
KERNEL __launch_bounds__(THREADS) slide_backward_weight(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const float* __restrict__ logits,
    const float* __restrict__ attention, float* __restrict__ sums, long long tiles, int height, int width, int heads,
    float scale) {
    constexpr int factors_bytes = TOKENS * SAMPLES_PADDED * 4;
    const Shared<float> queries(0), slopes(CHUNK_ROWS_BYTES), for_keys(2 * CHUNK_ROWS_BYTES),
        for_values(2 * CHUNK_ROWS_BYTES + factors_bytes);
    const Shared<float> keys(2 * CHUNK_ROWS_BYTES + 2 * factors_bytes),
        values(2 * CHUNK_ROWS_BYTES + 2 * factors_bytes + (SHIFTS ? 0 : PLANES_BYTES));
    const int block = blockIdx.y % BLOCKS;
    const int pair = static_cast<int>(blockIdx.y) / BLOCKS % GROUPS * THREADS + static_cast<int>(threadIdx.x);
    const int first = static_cast<int>(blockIdx.y) / (BLOCKS * GROUPS) * CHUNK;
    const int channel = pair / TAPS;
    const int tap = pair % TAPS;
    const bool is_bias = tap == TAPS - 1;
    const int corner = is_bias ? 0 : channel * PLANE + tap / WINDOW * STRIDE + tap % WINDOW;
    const long long step = 3LL * heads * DEPTH;
    const long long slope_step = static_cast<long long>(heads) * DEPTH;

    float own[SAMPLES_PADDED];
#pragma unroll
    for (int j = 0; j < SAMPLES_PADDED; ++j) own[j] = 0.0f;
    for (long long index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(index, height, width, heads);
        const long long image = tile.image * height * width;
        const ELEMENT* source = projected + image * step + tile.head * 3 * DEPTH + first;
        const long long samples = (image * heads + static_cast<long long>(tile.head) * height * width) * AREA;
        __syncthreads();
        stage_tokens<CHUNK>(source, step, tile, height, width, queries);
        stage_tokens<CHUNK>(slope + (image * heads + tile.head) * DEPTH + first, slope_step, tile, height, width, slopes);
        stage_factors(logits + samples, block, tile, height, width, for_keys);
        stage_factors(attention + samples, block, tile, height, width, for_values);
        if (!SHIFTS) {
            stage_halo<true>(source + DEPTH, step, tile.top - RADIUS, tile.left - RADIUS, height, width, keys);
            stage_halo<true>(source + 2 * DEPTH, step, tile.top - RADIUS, tile.left - RADIUS, height, width, values);
        }
        __syncthreads();
        if (pair >= PAIRS) continue;
#pragma unroll 2
        for (int token = 0; token < TOKENS; ++token) {
            float by_key = queries[channel * ROW + token] * scale;
            float by_value = slopes[channel * ROW + token];
            if (!is_bias) {
                const int place = corner + token / TILE_COLUMNS * STRIDE + token % TILE_COLUMNS;
                by_key *= keys[place];
                by_value *= values[place];
            }
#pragma unroll
            for (int j = 0; j < SAMPLES_PADDED; j += 4) {
                const auto key_factors = for_keys.load<4>(token * SAMPLES_PADDED + j);
                const auto value_factors = for_values.load<4>(token * SAMPLES_PADDED + j);
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    own[j + i] = fmaf(by_value, value_factors.at[i], fmaf(by_key, key_factors.at[i], own[j + i]));
            }
        }
    }
    if (pair >= PAIRS) return;
    float* target = sums + ((static_cast<long long>(blockIdx.x) * DEPTH + first + channel) * TAPS + tap) * AREA_PADDED
        + block * SAMPLES_PADDED;
#pragma unroll
    for (int j = 0; j < SAMPLES_PADDED; j += 4) {
        Pack<float, 4> pack;
#pragma unroll
        for (int i = 0; i < 4; ++i) pack.at[i] = own[j + i];
        store<4>(target + j, pack);
    }
}
