package io.tercel.kernels.format;

import java.util.List;

/**
 * The shape of a decoder-only transformer, as read from a Hugging Face {@code config.json}.
 *
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the gated MLP
 * @param headDim width of one head; never inferred from hidden/heads when the file states it
 * @param rmsNormEps added to the mean square before the root
 * @param ropeTheta base of the rotary frequencies
 * @param maxPositionEmbeddings positions the model was made for
 * @param tieWordEmbeddings whether the head is the embedding matrix
 * @param eosTokenIds ids that end a generation; may be empty
 */
public record ModelConfig(
    Architecture architecture,
    int hiddenSize,
    int intermediateSize,
    int numLayers,
    int numHeads,
    int numKvHeads,
    int headDim,
    int vocabSize,
    float rmsNormEps,
    double ropeTheta,
    int maxPositionEmbeddings,
    boolean tieWordEmbeddings,
    List<Integer> eosTokenIds) {

  /** The families whose forward pass is implemented. */
  public enum Architecture {
    /** Biases on q, k and v; no head norms. */
    QWEN2,
    /** RMSNorm over each head of q and k before RoPE; no biases. */
    QWEN3
  }

  public ModelConfig {
    eosTokenIds = List.copyOf(eosTokenIds);
  }

  /** Outputs of q_proj: numHeads * headDim. */
  public int queryDim() {
    return numHeads * headDim;
  }

  /** Outputs of k_proj and of v_proj: numKvHeads * headDim. */
  public int kvDim() {
    return numKvHeads * headDim;
  }
}
