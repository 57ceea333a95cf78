package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.tercel.trainer.quant.W4Grid;
import org.jspecify.annotations.Nullable;

/**
 * Rounding to 4 bits that PyTorch can differentiate: values are those that are served, bit for bit,
 * and gradients pass straight through where a code is not clamped. With s a scale, u = x / s and r
 * the code less its zero point, dr/du is 1 inside and 0 outside, and x^ = s r as it stands; so
 * dx^/ds = r - u inside and r outside, and whatever s was made of learns from that.
 *
 * <p>r is a value q that is not differentiated plus m u - stop(m u), which is exactly 0: adding the
 * difference q - u to u would miss q's bits.
 *
 * <p>No operation takes a Java number: DJL frees the array that it makes of one before the backward
 * pass has read it.
 */
final class FourBits {
  /** An input whose range is below this is zero to the engine. */
  private static final float TINY = 0x1p-100f;

  private final NDArray zero;
  private final NDArray tiny;
  private final NDArray leastMagnitude;
  private final NDArray lowest;
  private final NDArray highest;
  private final NDArray steps;

  /**
   * Shares of a range that are kept.
   *
   * @param low of its part below 0
   * @param high of its part above
   */
  record Shares(NDArray low, NDArray high) {}

  FourBits(NDManager manager) {
    zero = manager.create(new float[] {0});
    tiny = manager.create(new float[] {TINY});
    leastMagnitude = manager.create(new float[] {1e-5f});
    lowest = manager.create(new float[] {W4Grid.MIN_CODE});
    highest = manager.create(new float[] {W4Grid.MAX_CODE});
    steps = manager.create(new float[] {W4Grid.MAX_INPUT_CODE});
  }

  /**
   * Weights [rows, cols], symmetric, an fp16 scale a row.
   *
   * @param shares [rows, 1] each, or null for the whole range
   */
  NDArray weights(NDArray w, @Nullable Shares shares) {
    NDArray high = w.max(new int[] {1}, true).maximum(zero);
    NDArray low = w.min(new int[] {1}, true).minimum(zero);
    if (shares != null) {
      high = high.mul(shares.high());
      low = low.mul(shares.low());
    }
    NDArray scale = half(high.maximum(low.neg()).maximum(leastMagnitude).div(highest));
    return rounded(w, scale, lowest, highest);
  }

  /** Activations [tokens, inputs], asymmetric, a float scale a token. */
  NDArray tokens(NDArray x, @Nullable Shares shares) {
    return asymmetric(x, 1, shares, false);
  }

  /** Keys or values [.., .., tokens, headDim], asymmetric, an fp16 scale a token and head. */
  NDArray heads(NDArray x, @Nullable Shares shares) {
    return asymmetric(x, 3, shares, true);
  }

  private NDArray asymmetric(NDArray x, int axis, @Nullable Shares shares, boolean halves) {
    NDArray high = x.max(new int[] {axis}, true).maximum(zero);
    NDArray low = x.min(new int[] {axis}, true).minimum(zero);
    if (shares != null) {
      high = high.mul(shares.high());
      low = low.mul(shares.low());
    }
    NDArray range = high.sub(low);
    NDArray scale = range.div(steps);
    if (halves) {
      scale = half(scale);
    }
    try (NDArray value = (halves ? scale : range).stopGradient();
        NDArray small = value.lt(tiny);
        NDArray instead = small.toType(DataType.FLOAT32, false)) {
      scale = scale.add(instead); // nothing is divided by zero; its codes are 0 either way
    }
    try (NDArray value = scale.stopGradient();
        NDArray bottom = low.stopGradient();
        NDArray ratio = bottom.neg().div(value);
        NDArray whole = ratio.round();
        NDArray least = whole.maximum(zero)) {
      NDArray point = least.minimum(steps);
      NDArray from = point.neg();
      NDArray to = steps.sub(point);
      return rounded(x, scale, from, to);
    }
  }

  /** s clamp(rint(x / s), from, to). */
  private NDArray rounded(NDArray x, NDArray scale, NDArray from, NDArray to) {
    NDArray u = x.div(scale);
    NDArray code;
    NDArray inside;
    try (NDArray value = u.stopGradient();
        NDArray whole = value.round();
        NDArray above = whole.maximum(from)) {
      code = above.minimum(to);
      try (NDArray same = whole.eq(code)) {
        inside = same.toType(DataType.FLOAT32, false);
      }
    }
    NDArray passed = u.mul(inside);
    NDArray held = passed.stopGradient();
    return code.add(passed.sub(held)).mul(scale);
  }

  /** The nearest fp16 value, straight through. */
  private static NDArray half(NDArray x) {
    NDArray value = x.stopGradient();
    try (NDArray narrow = value.toType(DataType.FLOAT16, true)) {
      return narrow.toType(DataType.FLOAT32, true).add(x.sub(value));
    }
  }
}
