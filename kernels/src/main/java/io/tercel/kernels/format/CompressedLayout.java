package io.tercel.kernels.format;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds the tensors of a compressed-tensors linear and checks their types and shapes. */
final class CompressedLayout {
  private final TensorTable tensors;
  private final CompressedSettings settings;

  CompressedLayout(TensorTable tensors, CompressedSettings settings) {
    this.tensors = tensors;
    this.settings = settings;
  }

  LinearSource.Compressed linear(String name, int rows, int cols, @Nullable Tensor bias) {
    Tensor packed =
        tensors.require(
            name + ".weight_packed",
            "; quantization_config says that all linear layers are pack-quantized");
    Tensor scale = tensors.require(name + ".weight_scale", "; a .weight_packed needs it");
    Tensor shape = tensors.require(name + ".weight_shape", "; a .weight_packed needs it");
    CheckpointLayout.requireNoPlain(tensors, name, ".weight_packed");
    if (rows % 32 != 0 || cols % 32 != 0) {
      throw new CheckpointException(
          "%s is quantized, but %d x %d are no multiples of 32"
              .formatted(packed.where(), rows, cols));
    }
    checkShape(shape, rows, cols);
    CodePacking packing = packing(packed, rows, cols);
    CheckpointLayout.check(packed, List.of(DType.I32), rows, packing.words(cols));
    int groups = W3Block.groups(cols);
    CheckpointLayout.check(scale, List.of(DType.F16, DType.BF16, DType.F32), rows, groups);
    return new LinearSource.Compressed(
        name,
        rows,
        cols,
        packing,
        packed,
        scale,
        zeroPoint(name, rows, groups, packing),
        inputOrder(name, cols),
        bias);
  }

  /** No multiple of 32 has the same width in both. */
  private static CodePacking packing(Tensor packed, int rows, int cols) {
    for (CodePacking packing : CodePacking.values()) {
      if (packed.shape().equals(List.of((long) rows, (long) packing.words(cols)))) {
        return packing;
      }
    }
    throw new CheckpointException(
        "%s has shape %s; expected [%d, %d], a dense stream of 3-bit codes, or [%d, %d], ten in each word"
            .formatted(
                packed.where(),
                packed.shape(),
                rows,
                CodePacking.DENSE.words(cols),
                rows,
                CodePacking.TEN_A_WORD.words(cols)));
  }

  private static void checkShape(Tensor shape, int rows, int cols) {
    CheckpointLayout.check(shape, List.of(DType.I64, DType.I32), 2);
    long first = element(shape, 0);
    long second = element(shape, 1);
    if (first != rows || second != cols) {
      throw new CheckpointException(
          "%s is [%d, %d]; expected [%d, %d]".formatted(shape.where(), first, second, rows, cols));
    }
  }

  private static long element(Tensor ints, int i) {
    return ints.dtype() == DType.I32
        ? ints.intAt(i)
        : ints.intAt(2 * i) & 0xffff_ffffL | (long) ints.intAt(2 * i + 1) << 32;
  }

  private @Nullable Tensor zeroPoint(String name, int rows, int groups, CodePacking packing) {
    String zeroName = name + ".weight_zero_point";
    if (!settings.symmetric()) {
      Tensor zero = tensors.require(zeroName, "; symmetric is false");
      CheckpointLayout.check(zero, List.of(DType.I32), packing.words(rows), groups);
      return zero;
    }
    Tensor zero = tensors.find(zeroName);
    if (zero != null) {
      throw new CheckpointException(
          zero.where() + " is there, but symmetric is true, which means that there is none");
    }
    return null;
  }

  private int @Nullable [] inputOrder(String name, int cols) {
    String indexName = name + ".weight_g_idx";
    boolean several = W3Block.groups(cols) > 1; // a single group has no order
    Tensor index =
        settings.actOrder() && several
            ? tensors.require(
                indexName, "; actorder is group, so only it says which inputs share a scale")
            : tensors.find(indexName);
    if (index == null) {
      return null;
    }
    CheckpointLayout.check(index, List.of(DType.I32), cols);
    int[] order = ActOrder.of(index, cols);
    if (order != null && !settings.actOrder()) {
      throw new CheckpointException(
          index.where() + " reorders its inputs, but actorder is not group");
    }
    return order;
  }
}
