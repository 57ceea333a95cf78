package io.tercel.kernels.format;

import org.jspecify.annotations.Nullable;

/**
 * Where one decoder layer lies in a checkpoint. H = hidden, Q = heads x headDim, K = kvHeads x
 * headDim, F = ffn.
 *
 * @param inputNorm [H]
 * @param q [Q, H]
 * @param k [K, H]
 * @param v [K, H]
 * @param qNorm [headDim], or null
 * @param kNorm [headDim], or null
 * @param o [H, Q]
 * @param postAttentionNorm [H]
 * @param gate [F, H]
 * @param up [F, H]
 * @param down [H, F]
 */
public record LayerSource(
    Tensor inputNorm,
    LinearSource q,
    LinearSource k,
    LinearSource v,
    @Nullable Tensor qNorm,
    @Nullable Tensor kNorm,
    LinearSource o,
    Tensor postAttentionNorm,
    LinearSource gate,
    LinearSource up,
    LinearSource down) {}
