package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Compares two stores of one model, and copies one into the other. */
final class WeightShapes {
  private WeightShapes() {}

  /**
   * Checks that one store's weights can take the place of another's.
   *
   * @throws IllegalArgumentException that names the first difference
   */
  static void requireSame(WeightStore present, WeightStore other) {
    if (!present.config().equals(other.config())) {
      throw new IllegalArgumentException(
          "the model's configuration differs: %s in place of %s"
              .formatted(other.config(), present.config()));
    }
    List<PackedMatrix> ours = present.matrices();
    List<PackedMatrix> theirs = other.matrices();
    for (int i = 0; i < Math.min(ours.size(), theirs.size()); i++) {
      requireSame(ours.get(i), theirs.get(i));
    }
    if (ours.size() != theirs.size()) {
      throw new IllegalArgumentException(
          "%d matrices in place of %d".formatted(theirs.size(), ours.size()));
    }
    List<float[]> vectors = present.vectors();
    List<float[]> others = other.vectors();
    if (vectors.size() != others.size()) {
      throw new IllegalArgumentException("one of the two has transforms that the other lacks");
    }
    for (int i = 0; i < vectors.size(); i++) {
      if (vectors.get(i).length != others.get(i).length) {
        throw new IllegalArgumentException(
            "norms, biases or transforms differ: one of %d values in place of %d"
                .formatted(others.get(i).length, vectors.get(i).length));
      }
    }
  }

  private static void requireSame(PackedMatrix ours, PackedMatrix theirs) {
    if (!describe(ours).equals(describe(theirs))) {
      throw new IllegalArgumentException(
          "%s in place of %s".formatted(describe(theirs), describe(ours)));
    }
  }

  private static String describe(PackedMatrix matrix) {
    return "%s: %s, %d x %d%s"
        .formatted(
            matrix.name(),
            matrix.format().label(),
            matrix.rows(),
            matrix.cols(),
            matrix.inputOrder() == null ? "" : ", columns reordered");
  }

  /** Overwrites one store's weights by another's, which has the same shapes. */
  static void copy(WeightStore from, WeightStore to) {
    List<PackedMatrix> sources = from.matrices();
    List<PackedMatrix> targets = to.matrices();
    for (int i = 0; i < targets.size(); i++) {
      PackedMatrix source = sources.get(i);
      PackedMatrix target = targets.get(i);
      MemorySegment.copy(source.segment(), 0, target.segment(), 0, target.segment().byteSize());
      int[] order = source.inputOrder();
      int[] present = target.inputOrder();
      if (order != null && present != null) {
        System.arraycopy(order, 0, present, 0, order.length);
      }
    }
    List<float[]> sourceVectors = from.vectors();
    List<float[]> targetVectors = to.vectors();
    for (int i = 0; i < targetVectors.size(); i++) {
      float[] source = sourceVectors.get(i);
      System.arraycopy(source, 0, targetVectors.get(i), 0, source.length);
    }
  }
}
