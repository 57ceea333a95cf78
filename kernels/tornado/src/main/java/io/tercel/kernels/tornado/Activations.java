package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.tornado.LinearTasks.Rounded;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import java.util.ArrayList;
import java.util.List;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The floats between two kernels, on the device only: they are made here once, sent there once, and
 * never come back. Strides are what kernels ask for; see {@link LinearTasks#stride}.
 *
 * @param hidden [rows][H]
 * @param normed [rows][H], where the linears that read it are of floats; likewise {@code attended}
 *     and {@code gated}
 * @param qkv [rows][q, k and v]
 * @param attended [rows][heads x headDim]
 * @param gateUp [rows][gate and up]
 * @param gated [rows][F]
 * @param rounded what would be in those three, as integers
 * @param part what splits of attention give
 * @param logits [rows][vocab]
 */
record Activations(
    Rows hidden,
    Rows normed,
    Rows qkv,
    Rows attended,
    Rows gateUp,
    Rows gated,
    Rounded rounded,
    FloatArray part,
    Rows logits) {

  /**
   * Makes them.
   *
   * @param transformed whether inputs of linears are transformed before they are rounded
   * @param sums see {@link Rounded}; 0 where there is no use for them
   */
  static Activations of(
      ModelConfig config,
      StepLayout step,
      int qkvWidth,
      int gateUpWidth,
      boolean transformed,
      int sums) {
    int rows = Rounded.padded(step.rows());
    int h = LinearTasks.stride(config.hiddenSize());
    int q = LinearTasks.stride(config.queryDim());
    int f = LinearTasks.stride(config.intermediateSize());
    return new Activations(
        rows(rows, h),
        rows(rows, h),
        rows(rows, qkvWidth),
        rows(rows, q),
        rows(rows, gateUpWidth),
        rows(rows, f),
        Rounded.of(rows, Math.max(h, Math.max(q, f)), transformed, sums),
        zeros((long) step.slots() * config.numHeads() * (config.headDim() + 2)),
        rows(rows, MatrixStack.padded(config.vocabSize())));
  }

  private static Rows rows(int rows, int stride) {
    return new Rows(zeros((long) rows * stride), stride);
  }

  private static FloatArray zeros(long count) {
    FloatArray array = new FloatArray(Math.toIntExact(count));
    array.init(0f);
    return array;
  }

  /** All ints that kernels pass on to others. */
  List<IntArray> ints() {
    boolean none = rounded.sums().getSize() == 1;
    return none ? List.of(rounded.codes()) : List.of(rounded.codes(), rounded.sums());
  }

  /** All floats. */
  List<FloatArray> arrays() {
    List<FloatArray> all = new ArrayList<>();
    for (Rows rows : List.of(hidden, normed, qkv, attended, gateUp, gated, logits)) {
      all.add(rows.array());
    }
    all.addAll(rounded.floats());
    all.add(part);
    return all;
  }

  long bytes() {
    long floats = arrays().stream().mapToLong(FloatArray::getNumBytesOfSegment).sum();
    return floats + ints().stream().mapToLong(IntArray::getNumBytesOfSegment).sum();
  }
}
