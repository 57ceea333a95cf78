package io.tercel.kernels.format;

import org.jspecify.annotations.Nullable;

/** Where a linear layer y = W x + b lies in a checkpoint; shapes and types are checked already. */
public sealed interface LinearSource
    permits LinearSource.Plain, LinearSource.Gptq, LinearSource.Compressed, LinearSource.W4 {

  /** Name of the weight without {@code .weight}: {@code model.layers.0.mlp.up_proj}. */
  String name();

  /** Outputs. */
  int rows();

  /** Inputs. */
  int cols();

  /** The in-memory format that it is loaded into. */
  QuantFormat format();

  /** [rows], or null. */
  @Nullable Tensor bias();

  /**
   * A 16- or 32-bit weight, loaded as its bytes are.
   *
   * @param weight [rows, cols], F32, F16 or BF16
   */
  record Plain(String name, Tensor weight, @Nullable Tensor bias) implements LinearSource {
    @Override
    public int rows() {
      return Math.toIntExact(weight.shape().get(0));
    }

    @Override
    public int cols() {
      return Math.toIntExact(weight.shape().get(1));
    }

    @Override
    public QuantFormat format() {
      QuantFormat.Dense dense = weight.dtype().dense();
      if (dense == null) {
        throw new IllegalStateException(name + " holds " + weight.dtype());
      }
      return dense;
    }
  }

  /**
   * A 3-bit GPTQ weight. Thirty-two codes along the inputs are a 96-bit little-endian stream, code
   * i at bits [3i, 3i+3), in three words of one column; zero points likewise along the outputs.
   *
   * @param qweight I32 [cols * 3/32, rows]
   * @param qzeros I32 [groups, rows * 3/32]
   * @param scales F16, or BF16 or F32 that F16 can hold exactly: [groups, rows]
   * @param zeroOffset added to a stored zero point, modulo 8
   * @param symmetric whether every zero point is promised to be {@link GptqDecoder#SYMMETRIC_ZERO}
   * @param inputOrder packed column j is input {@code inputOrder[j]}; null when it is input j; not
   *     to be changed
   */
  @SuppressWarnings("ArrayRecordComponent") // identity is all that is ever asked of one
  record Gptq(
      String name,
      int rows,
      int cols,
      Tensor qweight,
      Tensor qzeros,
      Tensor scales,
      int zeroOffset,
      boolean symmetric,
      int @Nullable [] inputOrder,
      @Nullable Tensor bias)
      implements LinearSource {
    @Override
    public QuantFormat format() {
      return QuantFormat.Grouped.W3G128;
    }
  }

  /**
   * A 3-bit weight as compressed-tensors packs it: codes of a row along the inputs, zero points of
   * a group along the outputs, both with 4 added to the signed ones.
   *
   * @param packing of codes and zero points
   * @param packed I32 [rows, packing.words(cols)]
   * @param scale F16, or BF16 or F32 that F16 can hold exactly: [rows, groups]
   * @param zeroPoint I32 [packing.words(rows), groups], or null where all are {@link
   *     GptqDecoder#SYMMETRIC_ZERO}
   * @param inputOrder as {@link Gptq#inputOrder}
   */
  @SuppressWarnings("ArrayRecordComponent") // identity is all that is ever asked of one
  record Compressed(
      String name,
      int rows,
      int cols,
      CodePacking packing,
      Tensor packed,
      Tensor scale,
      @Nullable Tensor zeroPoint,
      int @Nullable [] inputOrder,
      @Nullable Tensor bias)
      implements LinearSource {
    @Override
    public QuantFormat format() {
      return QuantFormat.Grouped.W3G128;
    }
  }

  /**
   * A 4-bit weight for 4-bit inputs: column 2j of a row is the low half of its byte j, two's
   * complement, column 2j + 1 the high half.
   *
   * @param packed U8 [rows, cols / 2]
   * @param scale F16 [rows]
   */
  record W4(String name, int rows, int cols, Tensor packed, Tensor scale, @Nullable Tensor bias)
      implements LinearSource {
    @Override
    public QuantFormat format() {
      return QuantFormat.PerRow.W4A4;
    }
  }
}
