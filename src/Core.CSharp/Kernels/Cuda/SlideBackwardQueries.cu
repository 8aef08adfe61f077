// Slide Attention, backward: the gradients of logits and queries. With g the gradient of the output, a the attention:
//   da_j = Σ_c g_c (Σ_t W[c,j,t] V[c,p+t] + b[c,j])      ds_j = a_j (da_j − Σ_i a_i da_i)
//   dq_c = scale · Σ_j ds_j (Σ_t W[c,j,t] K[c,p+t] + b[c,j] + rpb[j])
// These are the forward kernel's two sums, with g for q, V for K and K for V, and divided in the same way.
#include "Slide.cuh"

// slope [B, H, W, h, d], the gradient of the output; attention [B, h, H, W, k²]; logits, the same shape, is given ds;
// gradient [B, H, W, h, 3, d] is given dq, in its first part. The others as SlideForward.cu has them.
KERNEL __launch_bounds__(THREADS) slide_backward_queries(
    const ELEMENT* __restrict__ projected, const ELEMENT* __restrict__ slope, const float* __restrict__ table,
    const float* __restrict__ position_bias, const float* __restrict__ attention, float* __restrict__ logits,
    ELEMENT* __restrict__ gradient, int height, int width, int heads, float scale) {
    const Shared<float> planes(0), rows(PLANES_BYTES), scores(PLANES_BYTES + ROWS_BYTES);
    const Tile tile(blockIdx.x, height, width, heads);
    const Share share;
    const long long step = 3LL * heads * DEPTH;
    const long long image = tile.image * height * width;
    const ELEMENT* source = projected + image * step + tile.head * 3 * DEPTH;

    stage_tokens<DEPTH>(slope + (image * heads + tile.head) * DEPTH, static_cast<long long>(heads) * DEPTH, tile, height,
                        width, rows);
#pragma unroll 1
    for (int first = 0; first < DEPTH; first += CHUNK) {
        stage_halo<true>(source + 2 * DEPTH + first, step, tile.top - RADIUS, tile.left - RADIUS, height, width, planes);
        __syncthreads();
        add_scores(share, rows, first, planes, table + first * TAPS * AREA_PADDED, nullptr, first == 0, scores);
    }

    for (int token = threadIdx.x; token < TOKENS; token += THREADS) {
        const int row = tile.top + token / TILE_COLUMNS;
        const int column = tile.left + token % TILE_COLUMNS;
        if (row < height && column < width) {
            const float* weights =
                attention + (((tile.image * heads + tile.head) * height + row) * width + column) * AREA;
            float mean = 0.0f;
            for (int sample = 0; sample < AREA; ++sample)
                mean = fmaf(weights[sample], scores[sample * TOKENS + token], mean);
            for (int sample = 0; sample < AREA; ++sample)
                scores[sample * TOKENS + token] = weights[sample] * (scores[sample * TOKENS + token] - mean);
        } else {
            for (int sample = 0; sample < AREA; ++sample) scores[sample * TOKENS + token] = 0.0f;
        }
    }
#pragma unroll 1
    for (int first = 0; first < DEPTH; first += CHUNK) {
        stage_halo<true>(source + DEPTH + first, step, tile.top - RADIUS, tile.left - RADIUS, height, width, planes);
        __syncthreads();
        mix_samples(share, scores, planes, table + first * TAPS * AREA_PADDED, position_bias + tile.head * AREA_PADDED, rows,
                    first);
        __syncthreads();
    }
    write_samples(scores, tile, height, width, heads, logits);
    write_tokens<DEPTH>(rows, scale, tile, height, width, gradient + image * step + tile.head * 3 * DEPTH, step);
}
