// Slide Attention (arXiv 2304.04237, section 3), forward. With q, K and V of a head's tokens and W the sum of the shifts and
// the learned convolution:
//   logit[j] = scale · Σ_c q_c (Σ_t W[c,j,t] K[c,p+t] + b[c,j] + rpb[j])
//   out_c = Σ_j softmax_j(logit) (Σ_t W[c,j,t] V[c,p+t] + b[c,j])
// No sample is stored: a key is multiplied by the query first, and the product goes to the sums of all samples at once.
//
// A block owns a tile of tokens of one image and head, a warp of it a slice of the channels (Slide.cuh). Keys, then values,
// are staged with their halo, a chunk of channels at a time; the weights are read through the first-level cache, the same
// words by all lanes. Bound: 2·d·k⁴ multiply-adds for a token, or its memory traffic where the weight only shifts.
#include "Slide.cuh"

// projected [B, H, W, h, 3, d]; table [d, TAPS, AREA_PADDED]: W by channel, position and sample, then b; position_bias
// [h, AREA_PADDED]; output [B, H, W, h, d]; attention [B, h, H, W, k²] or null. Shared: rows, planes and scores.
KERNEL __launch_bounds__(THREADS) slide_forward(
    const ELEMENT* __restrict__ projected, const float* __restrict__ table, const float* __restrict__ position_bias,
    ELEMENT* __restrict__ output, float* __restrict__ attention, int height, int width, int heads, float scale) {
    const Shared<float> planes(0), rows(PLANES_BYTES), scores(PLANES_BYTES + ROWS_BYTES);
    const Tile tile(blockIdx.x, height, width, heads);
    const Share share;
    const long long step = 3LL * heads * DEPTH;
    const ELEMENT* source = projected + tile.image * height * width * step + tile.head * 3 * DEPTH;

    stage_tokens<DEPTH>(source, step, tile, height, width, rows);
#pragma unroll 1
    for (int first = 0; first < DEPTH; first += CHUNK) {
        stage_halo<true>(source + DEPTH + first, step, tile.top - RADIUS, tile.left - RADIUS, height, width, planes);
        __syncthreads();
        add_scores(share, rows, first, planes, table + first * TAPS * AREA_PADDED,
                   position_bias + tile.head * AREA_PADDED, first == 0, scores);
    }

    for (int token = threadIdx.x; token < TOKENS; token += THREADS) {
        float largest = LOWEST, total = 0.0f;
        for (int sample = 0; sample < AREA; ++sample) largest = fmaxf(largest, scores[sample * TOKENS + token] * scale);
        for (int sample = 0; sample < AREA; ++sample) {
            const float weight = __expf(scores[sample * TOKENS + token] * scale - largest);
            scores[sample * TOKENS + token] = weight;
            total += weight;
        }
        const float factor = 1.0f / total;
        for (int sample = 0; sample < AREA; ++sample) scores[sample * TOKENS + token] *= factor;
    }
#pragma unroll 1
    for (int first = 0; first < DEPTH; first += CHUNK) {
        stage_halo<true>(source + 2 * DEPTH + first, step, tile.top - RADIUS, tile.left - RADIUS, height, width, planes);
        __syncthreads();
        mix_samples(share, scores, planes, table + first * TAPS * AREA_PADDED, nullptr, rows, first);
        __syncthreads();
    }
    if (attention != nullptr) write_samples(scores, tile, height, width, heads, attention);
    write_tokens<DEPTH>(rows, 1.0f, tile, height, width,
                 output + (tile.image * height * width * heads + tile.head) * DEPTH, static_cast<long long>(heads) * DEPTH);
}
