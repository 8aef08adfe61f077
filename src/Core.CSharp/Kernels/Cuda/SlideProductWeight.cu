// Slide Attention, backward: the gradients of the weight and the bias, as SlideBackwardWeight.cu has them, on tensor cores:
// half and bfloat16. For each position t of the window, and with 1 for X for the bias,
//   dW[j, (t,c)] = Σ_p s_j[p] · (f_c[p] X[c,p+t]),   s, f, X being scale · ds, q, K and a, g, V
// is a product whose depth are the tokens. Its right side is made in registers from two words, each of two neighbouring
// tokens; for that, K and V are staged by channel and twice, beginning at even and at odd columns. Factors are rounded to
// bfloat16, for half as well: its range is too small for gradients of unknown size.
//
// Blocks along x take tiles of 8×8 tokens in turn, those along y have chunks of channels, groups of positions and groups of
// samples. A warp has 8 channels and OWN positions, and SPREAD times 16 samples, whose sums stay in registers. Each block
// along x writes its own sums, which are added in order afterwards. Bound: reads of shared memory, a word for each half of a
// product's right side, which SPREAD products share.
//
// Constants: ELEMENT, half or bfloat16; WINDOW; DEPTH; PADDING as Slide.cuh has them; WARPS of a block; CHUNK, channels of a
// block, 8, 16 or 32, so that its eights divide the warps; OWN; SPREAD.
#include "Device.cuh"

#define AREA (WINDOW * WINDOW)
#define RADIUS (WINDOW / 2)
#define THREADS (WARPS * WARP)
#define TILE_COLUMNS 8
#define TILE_ROWS 8
#define TOKENS 64
#define HALO_ROWS (TILE_ROWS + WINDOW - 1)
#define HALO_COLUMNS (TILE_COLUMNS + WINDOW - 1)

#define SAMPLE_STEPS ((AREA + 15) / 16)
#define SAMPLE_GROUPS ((SAMPLE_STEPS + SPREAD - 1) / SPREAD)
#define EIGHTS (CHUNK / 8)
#define TAPS (AREA + 1)
#define TAP_GROUPS ((TAPS + WARPS / EIGHTS * OWN - 1) / (WARPS / EIGHTS * OWN))

// Words of a line of the tile's tokens, and of a channel's plane: odd multiples of 4, for the banks.
#define LINE (TOKENS / 2 + 4)
#define PLANE_ROW ((HALO_COLUMNS + 1) / 2)
#define PLANE ((HALO_ROWS * PLANE_ROW + 3) / 8 * 8 + 4)

#define LINES_BYTES (CHUNK * LINE * 4)
#define NUMBERS_BYTES (SPREAD * 16 * LINE * 4)
#define PLANES_BYTES (CHUNK * PLANE * 4)

#define PACK (Widest<ELEMENT, DEPTH>::value)

#include "SlidePlaces.cuh"

// Two products of elements, rounded to bfloat16.
#if !defined(EMULATED)
DEVICE unsigned product_of(unsigned left, unsigned right, bfloat16) {
    unsigned word;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(word) : "r"(left), "r"(right), "r"(0x80008000u));
    return word;
}
#endif

template <typename T>
DEVICE float part_of(unsigned word, int shift) {
    T element;
    element.bits = static_cast<unsigned short>(word >> shift);
    return to_float(element);
}

template <typename T>
DEVICE unsigned product_of(unsigned left, unsigned right, T) {
    return packed<bfloat16>(part_of<T>(left, 0) * part_of<T>(right, 0), part_of<T>(left, 16) * part_of<T>(right, 16));
}

DEVICE unsigned as_factor(unsigned word, bfloat16) { return word; }
DEVICE unsigned as_factor(unsigned word, half) { return packed<bfloat16>(part_of<half>(word, 0), part_of<half>(word, 16)); }

// A chunk's channels of the tile's tokens by channel, two tokens a word; zeros where there are none. `source` is at the
// chunk's first.
DEVICE void stage_lines(const ELEMENT* source, long long step, int channels, const Tile& tile, int height, int width,
                        const Shared<ELEMENT>& lines) {
    for (int index = threadIdx.x; index < TOKENS * (CHUNK / PACK); index += THREADS) {
        const int channel = index % (CHUNK / PACK) * PACK;
        const int token = index / (CHUNK / PACK);
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        Pack<ELEMENT, PACK> pack;
        if (row < height && column < width && channel < channels) {
            pack = load<PACK>(source + (static_cast<long long>(row) * width + column) * step + channel);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; ++i) pack.at[i].bits = 0;
        }
#pragma unroll
        for (int i = 0; i < PACK; ++i) lines[(channel + i) * 2 * LINE + token] = pack.at[i];
    }
}

// The same of the tile and the window's reach around it, twice: columns from 0 on, and from 1 on.
DEVICE void stage_planes(const ELEMENT* source, long long step, int channels, const Tile& tile, int height, int width,
                         const Shared<ELEMENT>& even, const Shared<ELEMENT>& odd) {
    for (int index = threadIdx.x; index < HALO_ROWS * HALO_COLUMNS * (CHUNK / PACK); index += THREADS) {
        const int channel = index % (CHUNK / PACK) * PACK;
        const int down = index / (CHUNK / PACK) / HALO_COLUMNS;
        const int across = index / (CHUNK / PACK) % HALO_COLUMNS;
        const int row = resolved(tile.top - RADIUS + down, height);
        const int column = resolved(tile.left - RADIUS + across, width);
        Pack<ELEMENT, PACK> pack;
        if (row >= 0 && column >= 0 && channel < channels) {
            pack = load<PACK>(source + (static_cast<long long>(row) * width + column) * step + channel);
        } else {
#pragma unroll
            for (int i = 0; i < PACK; ++i) pack.at[i].bits = 0;
        }
        const int target = channel * 2 * PLANE + down * 2 * PLANE_ROW + across;
#pragma unroll
        for (int i = 0; i < PACK; ++i) {
            even[target + i * 2 * PLANE] = pack.at[i];
            if (across > 0) odd[target - 1 + i * 2 * PLANE] = pack.at[i];
        }
    }
}

// SPREAD steps of samples of the tile's tokens from `first` on, [token of the map][k²], by sample, times a factor.
DEVICE void stage_numbers(const float* source, int first, float factor, const Tile& tile, int height, int width,
                          const Shared<bfloat16>& numbers) {
    for (int index = threadIdx.x; index < TOKENS * SPREAD * 16; index += THREADS) {
        const int place = index % (SPREAD * 16);
        const int token = index / (SPREAD * 16);
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        float value = 0.0f;
        if (row < height && column < width && first * 16 + place < AREA)
            value = source[(static_cast<long long>(row) * width + column) * AREA + first * 16 + place] * factor;
        numbers[place * 2 * LINE + token] = element_of<bfloat16>(value);
    }
}

// projected [B, H, W, h, 3, d]; slope [B, H, W, h, d], the gradient of the output; logits and attention [B, h, H, W, k²]: ds
// and a; sums [parts, d, k² + 1, 16·SAMPLE_STEPS] is written whole. `tiles` counts those of all images and heads.
// Shared: numbers twice, lines twice, planes four times.
KERNEL __launch_bounds__(THREADS) slide_product_weight(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const float* __restrict__ logits,
    const float* __restrict__ attention, float* __restrict__ sums, long long tiles, int height, int width, int heads,
    float scale) {
    constexpr int lines_at = 2 * NUMBERS_BYTES, planes_at = lines_at + 2 * LINES_BYTES;
    const int lane = threadIdx.x % WARP;
    const int group = lane / 4, part = lane % 4;
    const int eight = threadIdx.x / WARP % EIGHTS;
    const int first_sample = static_cast<int>(blockIdx.y) % SAMPLE_GROUPS * SPREAD;
    const int tap_group = static_cast<int>(blockIdx.y) / SAMPLE_GROUPS % TAP_GROUPS;
    const int first_tap = (tap_group * (WARPS / EIGHTS) + static_cast<int>(threadIdx.x) / WARP / EIGHTS) * OWN;
    const int first_channel = static_cast<int>(blockIdx.y) / (SAMPLE_GROUPS * TAP_GROUPS) * CHUNK;
    const int channels = min(CHUNK, DEPTH - first_channel);
    const long long step = 3LL * heads * DEPTH;
    const long long slope_step = static_cast<long long>(heads) * DEPTH;

    float own[OWN][SPREAD][4];
    // Where a position's words are from the token's: in the planes of even columns or of odd ones.
    int offset[OWN];
#pragma unroll
    for (int i = 0; i < OWN; ++i) {
        const int tap = min(first_tap + i, AREA - 1);
        const int across = tap % WINDOW;
        offset[i] = across % 2 * CHUNK * PLANE + (eight * 8 + group) * PLANE + tap / WINDOW * PLANE_ROW + across / 2 + part;
#pragma unroll
        for (int n = 0; n < SPREAD * 4; ++n) own[i][n / 4][n % 4] = 0.0f;
    }

    for (long long index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(index, height, width, heads);
        const long long image = tile.image * height * width;
        const ELEMENT* source = projected + image * step + tile.head * 3 * DEPTH + first_channel;
        const long long samples = (image * heads + static_cast<long long>(tile.head) * height * width) * AREA;
        __syncthreads();
        stage_numbers(logits + samples, first_sample, scale, tile, height, width, Shared<bfloat16>(0));
        stage_numbers(attention + samples, first_sample, 1.0f, tile, height, width, Shared<bfloat16>(NUMBERS_BYTES));
        stage_lines(source, step, channels, tile, height, width, Shared<ELEMENT>(lines_at));
        stage_lines(slope + (image * heads + tile.head) * DEPTH + first_channel, slope_step, channels, tile, height, width,
                    Shared<ELEMENT>(lines_at + LINES_BYTES));
        stage_planes(source + DEPTH, step, channels, tile, height, width, Shared<ELEMENT>(planes_at),
                     Shared<ELEMENT>(planes_at + PLANES_BYTES));
        stage_planes(source + 2 * DEPTH, step, channels, tile, height, width, Shared<ELEMENT>(planes_at + 2 * PLANES_BYTES),
                     Shared<ELEMENT>(planes_at + 3 * PLANES_BYTES));
        __syncthreads();
#pragma unroll 1
        for (int kind = 0; kind < 2; ++kind) {
            const Shared<unsigned> numbers(kind * NUMBERS_BYTES), lines(lines_at + kind * LINES_BYTES),
                planes(planes_at + 2 * kind * PLANES_BYTES);
#pragma unroll 1
            for (int row = 0; row < TILE_ROWS; row += 2) {
                unsigned left[SPREAD][4], words[2];
#pragma unroll
                for (int n = 0; n < SPREAD * 4; ++n)
                    left[n / 4][n % 4] =
                        numbers[(n / 4 * 16 + n % 2 * 8 + group) * LINE + (row + n / 2 % 2) * 4 + part];
#pragma unroll
                for (int i = 0; i < 2; ++i) words[i] = lines[(eight * 8 + group) * LINE + (row + i) * 4 + part];
#pragma unroll
                for (int i = 0; i < OWN; ++i) {
                    unsigned right[2];
#pragma unroll
                    for (int second = 0; second < 2; ++second)
                        right[second] = first_tap + i < AREA
                            ? product_of(words[second], planes[offset[i] + (row + second) * PLANE_ROW], ELEMENT{})
                            : as_factor(words[second], ELEMENT{});
#pragma unroll
                    for (int n = 0; n < SPREAD; ++n) multiply_add(own[i][n], left[n], right, bfloat16{});
                }
            }
        }
    }

#pragma unroll
    for (int i = 0; i < OWN; ++i) {
        if (first_tap + i > AREA) continue;
#pragma unroll
        for (int n = 0; n < SPREAD * 4; ++n) {
            const int channel = eight * 8 + part * 2 + n % 2;
            const int sample = (first_sample + n / 4) * 16 + n / 2 % 2 * 8 + group;
            if (channel >= channels || sample >= SAMPLE_STEPS * 16) continue;
            sums[((static_cast<long long>(blockIdx.x) * DEPTH + first_channel + channel) * TAPS + first_tap + i)
                     * (SAMPLE_STEPS * 16) + sample] = own[i][n / 4][n % 4];
        }
    }
}
