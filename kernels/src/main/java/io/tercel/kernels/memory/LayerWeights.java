package io.tercel.kernels.memory;

import org.jspecify.annotations.Nullable;

/**
 * The weights of one decoder layer. H = hidden, Q = heads x headDim, K = kvHeads x headDim, F =
 * ffn.
 *
 * @param inputNorm [H]
 * @param q [Q, H]
 * @param k [K, H]
 * @param v [K, H]
 * @param qNorm [headDim], or null where the model has no head norms
 * @param kNorm [headDim], or null likewise
 * @param o [H, Q]
 * @param postAttentionNorm [H]
 * @param gate [F, H]
 * @param up [F, H]
 * @param down [H, F]
 */
@SuppressWarnings("ArrayRecordComponent") // identity is all that is ever asked of one
public record LayerWeights(
    float[] inputNorm,
    Linear q,
    Linear k,
    Linear v,
    float @Nullable [] qNorm,
    float @Nullable [] kNorm,
    Linear o,
    float[] postAttentionNorm,
    Linear gate,
    Linear up,
    Linear down) {}
