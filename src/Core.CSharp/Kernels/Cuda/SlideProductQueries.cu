// Slide Attention, backward: the gradients of logits and queries, as SlideBackwardQueries.cu has them, on tensor cores
// (SlideProduct.cuh): half and bfloat16. Divided as SlideProductForward.cu is, and with the same bound.
#include "SlideProduct.cuh"

// slope [B, H, W, h, d], the gradient of the output; attention [B, h, H, W, k²]; logits, the same shape, is given ds;
// gradient [B, H, W, h, 3, d] is given dq, in its first part. The others as SlideProductForward.cu has them.
KERNEL __launch_bounds__(THREADS) slide_product_queries(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const ELEMENT* __restrict__ for_scores,
    const ELEMENT* __restrict__ for_mixing, const float* __restrict__ position_bias, const float* __restrict__ attention,
    float* __restrict__ logits, ELEMENT* __restrict__ gradient, int height, int width, int heads, float scale) {
    const Tile tile(blockIdx.x, height, width, heads);
    const Lane lane;
    const long long step = 3LL * heads * DEPTH;
    const long long image = tile.image * height * width;
    const ELEMENT* source = projected + image * step + tile.head * 3 * DEPTH;

    const ELEMENT* tokens[STACK][2];
    find_tokens(lane, tile, slope + (image * heads + tile.head) * DEPTH, static_cast<long long>(heads) * DEPTH, height,
                width, tokens);
    float ranges[STACK][2], totals[STACK][2];
    measure(lane, tokens, ranges, totals);
    float sums[STACK][2 * SAMPLE_STEPS][4];
    sum_scores(lane, tile, tokens, ranges, source + 2 * DEPTH, step, height, width,
               reinterpret_cast<const unsigned*>(for_scores), sums);

    const float* bias = position_bias + tile.head * SAMPLE_STEPS * 16;
    float multipliers[STACK][2], addends[STACK][2];
#pragma unroll
    for (int stack = 0; stack < STACK; ++stack)
#pragma unroll
        for (int second = 0; second < 2; ++second) {
            const int row = tile.top + lane.row + 2 * stack + second;
            const int column = tile.left + lane.column;
            const bool is_there = row < height && column < width;
            const long long token = (((tile.image * heads + tile.head) * height + row) * width + column) * AREA;
            float weights[2 * SAMPLE_STEPS][2];
            float mean = 0.0f, largest = 0.0f, biased = 0.0f;
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int sample = n * 8 + lane.part * 2 + i;
                    weights[n][i] = 0.0f;
                    if (is_there && sample < AREA) weights[n][i] = attention[token + sample];
                    mean = fmaf(weights[n][i], sums[stack][n][second * 2 + i], mean);
                }
            mean = sum_over<4>(mean);
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int sample = n * 8 + lane.part * 2 + i;
                    float& score = sums[stack][n][second * 2 + i];
                    score = weights[n][i] * (score - mean);
                    if (is_there && sample < AREA) logits[token + sample] = score;
                    largest = fmaxf(largest, fabsf(score));
                    biased = fmaf(score, bias[sample], biased);
                }
            const float range = range_of(largest_over<4>(largest), ELEMENT{});
            multipliers[stack][second] = range * scale;
            addends[stack][second] = sum_over<4>(biased) * scale;
#pragma unroll
            for (int n = 0; n < 2 * SAMPLE_STEPS; ++n)
#pragma unroll
                for (int i = 0; i < 2; ++i) sums[stack][n][second * 2 + i] *= inverse_of(range);
        }

    unsigned factors[STACK][SAMPLE_STEPS][4];
    to_factors(sums, factors);
    mix_and_write(lane, tile, factors, source + DEPTH, step, height, width, reinterpret_cast<const unsigned*>(for_mixing),
                  multipliers, addends, gradient + image * step + tile.head * 3 * DEPTH, step);
}
