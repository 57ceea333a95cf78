package io.tercel.kernels.format;

import io.tercel.kernels.format.LayerTensors.Matrix;

/**
 * The inputs of a decoder layer's linears, each shared by those that read it: what a transform
 * belongs to where inputs are of 4 bits.
 */
public enum DecoderInput {
  /** Of q, k and v: the normed hidden states. */
  ATTENTION("self_attn.qkv_transform", Matrix.Q),
  /** Of o: what attention gives, head by head. */
  OUTPUT("self_attn.o_transform", Matrix.O),
  /** Of gate and up: the normed hidden states. */
  MLP("mlp.gate_up_transform", Matrix.UP),
  /** Of down: the gated activations. */
  DOWN("mlp.down_transform", Matrix.DOWN);

  private final String name;
  private final Matrix reader;

  DecoderInput(String name, Matrix reader) {
    this.name = name;
    this.reader = reader;
  }

  /** What a linear reads. */
  public static DecoderInput of(Matrix matrix) {
    return switch (matrix) {
      case Q, K, V -> ATTENTION;
      case O -> OUTPUT;
      case GATE, UP -> MLP;
      case DOWN -> DOWN;
    };
  }

  /** The name of its transform's tensors in a checkpoint, up to the last dot. */
  public String transformName(int layer) {
    return "model.layers." + layer + "." + name;
  }

  /** Floats of a row. */
  public int width(ModelConfig config) {
    return reader.cols(config);
  }

  /**
   * The usual size of the left factor of its transform: of o the heads, so that they are mixed and
   * nothing within them; else the most nearly square that two factors of the width can be, the left
   * one not the larger, much as FlatQuant has it (1024 = 32 x 32, 3072 = 48 x 64, 9728 = 76 x 128).
   */
  public int leftSize(ModelConfig config) {
    return this == OUTPUT ? config.numHeads() : leftSize(width(config));
  }

  /** The usual size of the right factor; 0 where there is none. */
  public int rightSize(ModelConfig config) {
    return this == OUTPUT ? 0 : width(config) / leftSize(config);
  }

  private static int leftSize(int width) {
    int size = (int) Math.sqrt(width);
    while (width % size != 0) {
      size--;
    }
    return size;
  }
}
