// Slide Attention, forward, as SlideForward.cu has it, on tensor cores (SlideProduct.cuh): half and bfloat16.
//
// A block owns a tile of tokens of one image and head, a warp STACK times 16 tokens of it with all their channels. Keys,
// then values, are staged with their halo as they stand in memory. A warp's logits and its softmax stay in registers: the
// logits' sums are, as they are, the left side of the values' product. Weights come in the products' order through the
// first-level cache. Bound: reads of shared memory, a word of each neighbour for 2 products of 16×8×16 and 16 samples.
#include "SlideProduct.cuh"

// projected [B, H, W, h, 3, d]; for_scores and for_mixing as SlideProductTable.cu lays them out; position_bias
// [h, 16·SAMPLE_STEPS]; output [B, H, W, h, d]; attention [B, h, H, W, k²] or null. Shared: PLACES_BYTES.
KERNEL __launch_bounds__(THREADS) slide_product_forward(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ for_scores, const ELEMENT* __restrict__ for_mixing,
    const float* __restrict__ position_bias, ELEMENT* __restrict__ output, float* __restrict__ attention, int height,
    int width, int heads, float scale) {
    const Tile tile(blockIdx.x, height, width, heads);
    const Lane lane;
    const long long step = 3LL * heads * DEPTH;
    const long long image = tile.image * height * width;
    const ELEMENT* source = projected + image * step + tile.head * 3 * DEPTH;

    const ELEMENT* tokens[STACK][2];
    find_tokens(lane, tile, source, step, height, width, tokens);
    float ranges[STACK][2], totals[STACK][2];
    measure(lane, tokens, ranges, totals);
    float sums[STACK][2 * SAMPLE_STEPS][4];
    sum_scores(lane, tile, tokens, ranges, source + DEPTH, step, height, width,
               reinterpret_cast<const unsigned*>(for_scores), sums);

    const float* bias = position_bias + tile.head * SAMPLE_STEPS * 16;
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int second = 0; second < 2; ++second) {
            float largest = LOWEST, total = 0.0f;
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int sample = n * 8 + lane.part * 2 + i;
                    float& logit = sums[stack][n][second * 2 + i];
                    logit = scale * fmaf(totals[stack][second], bias[sample], logit);
                    if (sample < AREA) largest = fmaxf(largest, logit);
                }
            largest = largest_over<4>(largest);
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    float& logit = sums[stack][n][second * 2 + i];
                    logit = n * 8 + lane.part * 2 + i < AREA ? __expf(logit - largest) : 0.0f;
                    total += logit;
                }
            const float factor = 1.0f / sum_over<4>(total);
            const int row = tile.top + lane.row + 2 * stack + second;
            const int column = tile.left + lane.column;
            const bool is_kept = attention != nullptr && row < height && column < width;
            const long long target = (((tile.image * heads + tile.head) * height + row) * width + column) * AREA;
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int sample = n * 8 + lane.part * 2 + i;
                    sums[stack][n][second * 2 + i] *= factor;
                    if (is_kept && sample < AREA) attention[target + sample] = sums[stack][n][second * 2 + i];
                }
        }

    unsigned factors[STACK][SAMPLE_STEPS][4];
    to_factors(sums, factors);
    float multipliers[STACK][2], addends[STACK][2];
#pragma unroll
    for (int i = 0; i < 2 * STACK; ++i) {
        multipliers[i / 2][i % 2] = 1.0f;
        addends[i / 2][i % 2] = 0.0f;
    }
    mix_and_write(lane, tile, factors, source + 2 * DEPTH, step, height, width,
                  reinterpret_cast<const unsigned*>(for_mixing), multipliers, addends,
                  output + (image * heads + tile.head) * DEPTH, static_cast<long long>(heads) * DEPTH);
}
