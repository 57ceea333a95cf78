package io.tercel.trainer.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Straight-through W3G128 rounding of one linear weight with frozen scales and zero points: w^ =
 * s(clamp(rint(w/s)+z, 0, 7) - z). The gradient of a latent is that of its rounded value where the
 * unclamped code is within 0..7, else zero.
 *
 * <p>Scales are rounded to fp16 first, so that what is trained is exactly what is served. It is
 * plain Java, exact, and no part of PyTorch's graph.
 */
public final class FakeQuant {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final int rows;
  private final int cols;
  private final int groups;
  private final float[] scales;
  private final float[] zeros;

  private FakeQuant(int rows, int cols, float[] scales, float[] zeros) {
    this.rows = rows;
    this.cols = cols;
    this.groups = Grid.groups(cols);
    this.scales = scales;
    this.zeros = zeros;
  }

  /**
   * With the scales and zero points of a quantizer.
   *
   * @param scales [rows][groups], above 0 also once rounded to fp16
   * @param zeros [rows][groups], whole, of 0..7
   */
  public static FakeQuant frozen(int rows, int cols, float[] scales, int[] zeros) {
    int count = rows * Grid.groups(cols);
    if (scales.length != count || zeros.length != count) {
      throw new IllegalArgumentException(
          "%d x %d has %d groups; got %d scales and %d zero points"
              .formatted(rows, cols, count, scales.length, zeros.length));
    }
    float[] halves = new float[count];
    float[] floats = new float[count];
    for (int i = 0; i < count; i++) {
      halves[i] = Grid.half(scales[i]);
      floats[i] = zeros[i];
      if (!(halves[i] > 0) || halves[i] == Float.POSITIVE_INFINITY) {
        throw new IllegalArgumentException("scale " + i + " is " + scales[i]);
      }
      if (zeros[i] < 0 || zeros[i] > Grid.MAX_CODE) {
        throw new IllegalArgumentException("zero point " + i + " is " + zeros[i]);
      }
    }
    return new FakeQuant(rows, cols, halves, floats);
  }

  /** With each group's range from 0 and its least and greatest value: plain rounding. */
  public static FakeQuant ofRange(float[] latents, int rows, int cols) {
    QuantizedMatrix matrix = QuantizedMatrix.empty(rows, cols);
    GroupFit fit = new GroupFit(new Grid(false, false));
    for (int row = 0; row < rows; row++) {
      matrix.fitRow(fit, latents, row * cols, row);
    }
    return frozen(matrix);
  }

  /** With the scales and zero points of a matrix; its codes play no part. */
  public static FakeQuant frozen(QuantizedMatrix matrix) {
    int[] zeros = new int[matrix.zeros().length];
    Arrays.setAll(zeros, i -> matrix.zeros()[i]);
    return frozen(matrix.rows(), matrix.cols(), matrix.scales(), zeros);
  }

  /** Outputs. */
  public int rows() {
    return rows;
  }

  /** Inputs. */
  public int cols() {
    return cols;
  }

  /** Scale of a group as it is stored. */
  public float scale(int row, int group) {
    return scales[row * groups + group];
  }

  public int zero(int row, int group) {
    return (int) zeros[row * groups + group];
  }

  /** The code 0..7 that a latent rounds to. */
  public int code(float latent, int row, int col) {
    int g = row * groups + col / Grid.GROUP;
    return (int) clamp(unclamped(latent, scales[g], zeros[g]));
  }

  private static float unclamped(float latent, float scale, float zero) {
    return (float) Math.rint(latent / scale) + zero;
  }

  private static float clamp(float code) {
    return Math.min(Math.max(code, 0), Grid.MAX_CODE);
  }

  /**
   * Writes w^ of all latents.
   *
   * @param latents of a shared arena, as {@code rounded}, for all processors work on them
   */
  public void round(MemorySegment latents, MemorySegment rounded) {
    forEachRun(
        (from, to, scale, zero) -> {
          for (int i = from; i < to; i++) {
            float code = clamp(unclamped(latents.getAtIndex(FLOAT, i), scale, zero));
            rounded.setAtIndex(FLOAT, i, scale * (code - zero));
          }
        });
  }

  /** Adds the gradient of w^ to that of the latents that were not clamped. */
  public void addInside(MemorySegment latents, FloatBuffer gradients, float[] sum) {
    forEachRun(
        (from, to, scale, zero) -> {
          for (int i = from; i < to; i++) {
            float code = unclamped(latents.getAtIndex(FLOAT, i), scale, zero);
            if (code >= 0 && code <= Grid.MAX_CODE) {
              sum[i] += gradients.get(i);
            }
          }
        });
  }

  /** Neighbours from..to-1 of one group. */
  private interface Run {
    void accept(int from, int to, float scale, float zero);
  }

  private void forEachRun(Run run) {
    Chunks.forEach(
        rows * cols,
        (from, to) -> {
          int end;
          for (int i = from; i < to; i = end) {
            int row = i / cols;
            int group = i % cols / Grid.GROUP;
            end = Math.min(to, row * cols + Math.min(cols, (group + 1) * Grid.GROUP));
            int g = row * groups + group;
            run.accept(i, end, scales[g], zeros[g]);
          }
        });
  }
}
