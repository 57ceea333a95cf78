package io.tercel.trainer.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Straight-through rounding of one linear weight to what is served of it: w^ = s(clamp(rint(w/s)+z,
 * lowest, highest) - z), a scale s and a zero point z for each group of neighbours in a row. W3G128
 * has groups of 128 and codes 0..7; W4A4KV4 has one group a row, codes -8..7 and no zero points.
 *
 * <p>The gradient of a latent w is that of w^ where the unclamped code is within the range, else
 * zero. Scales may be learned, as logarithms of what they have grown by ({@link #rescale}): dw^/ds
 * is rint(w/s) - w/s inside and (code - z) outside. When codes are {@linkplain #freezeCodes frozen}
 * it is code - z everywhere, and latents play no part.
 *
 * <p>Scales are rounded to fp16, their storage type, straight through, so that what is trained is
 * exactly what is served. It is plain Java, exact, and no part of PyTorch's graph.
 */
public final class FakeQuant {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final int rows;
  private final int cols;
  private final int group;
  private final int groups;
  private final int lowest;
  private final int highest;
  private final float[] firstScales;
  private final float[] scales;
  private final float[] zeros;
  private byte @Nullable [] frozenCodes;

  private FakeQuant(
      int rows, int cols, int group, int lowest, int highest, float[] scales, float[] zeros) {
    this.rows = rows;
    this.cols = cols;
    this.group = group;
    this.groups = Math.ceilDiv(cols, group);
    this.lowest = lowest;
    this.highest = highest;
    this.firstScales = scales;
    this.scales = scales.clone();
    this.zeros = zeros;
  }

  /**
   * In 3 bits, with the scales and zero points of a quantizer.
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
    float[] floats = new float[count];
    for (int i = 0; i < count; i++) {
      floats[i] = zeros[i];
      if (zeros[i] < 0 || zeros[i] > Grid.MAX_CODE) {
        throw new IllegalArgumentException("zero point " + i + " is " + zeros[i]);
      }
    }
    return new FakeQuant(rows, cols, Grid.GROUP, 0, Grid.MAX_CODE, halves(scales), floats);
  }

  private static float[] halves(float[] scales) {
    float[] halves = new float[scales.length];
    for (int i = 0; i < halves.length; i++) {
      halves[i] = Grid.half(scales[i]);
      if (!(halves[i] > 0) || halves[i] == Float.POSITIVE_INFINITY) {
        throw new IllegalArgumentException("scale " + i + " is " + scales[i]);
      }
    }
    return halves;
  }

  /** In 3 bits, with each group's range from 0 and its least and greatest value: plain rounding. */
  public static FakeQuant ofRange(float[] latents, int rows, int cols) {
    QuantizedMatrix matrix = QuantizedMatrix.empty(rows, cols);
    GroupFit fit = new GroupFit(new Grid(false, false));
    for (int row = 0; row < rows; row++) {
      matrix.fitRow(fit, latents, row * cols, row);
    }
    return frozen(matrix);
  }

  /** With the scales and zero points of a 3-bit matrix; its codes play no part. */
  public static FakeQuant frozen(QuantizedMatrix matrix) {
    int[] zeros = new int[matrix.zeros().length];
    Arrays.setAll(zeros, i -> matrix.zeros()[i]);
    return frozen(matrix.rows(), matrix.cols(), matrix.scales(), zeros);
  }

  /**
   * In 4 bits, symmetric, one scale a row.
   *
   * @param scales [rows], above 0 also once rounded to fp16
   */
  public static FakeQuant ofRows(int rows, int cols, float[] scales) {
    if (scales.length != rows) {
      throw new IllegalArgumentException(scales.length + " scales for " + rows + " rows");
    }
    return new FakeQuant(
        rows, cols, cols, W4Grid.MIN_CODE, W4Grid.MAX_CODE, halves(scales), new float[rows]);
  }

  /** Outputs. */
  public int rows() {
    return rows;
  }

  /** Inputs. */
  public int cols() {
    return cols;
  }

  /** Neighbours in a row that share a scale; a row's last group may have fewer. */
  public int group() {
    return group;
  }

  /** Groups of a row. */
  public int groups() {
    return groups;
  }

  /** Whether it rounds to 4 bits, so that inputs are rounded to 4 bits too; else to 3. */
  public boolean isFourBit() {
    return lowest < 0;
  }

  /** Scale of a group as it is stored. */
  public float scale(int row, int group) {
    return scales[row * groups + group];
  }

  /** Zero point of a group; 0 in 4 bits. */
  public int zero(int row, int group) {
    return (int) zeros[row * groups + group];
  }

  /** The code that a latent rounds to. */
  public int code(float latent, int row, int col) {
    if (frozenCodes != null) {
      return frozenCodes[row * cols + col];
    }
    int g = row * groups + col / group;
    return (int) clamp(unclamped(latent, scales[g], zeros[g]));
  }

  /** The codes of a row of latents, [cols]. */
  public void codes(MemorySegment latents, int row, byte[] to) {
    if (frozenCodes != null) {
      System.arraycopy(frozenCodes, row * cols, to, 0, cols);
      return;
    }
    forEachRun(
        row * cols,
        (row + 1) * cols,
        (from, end, scale, zero) -> {
          for (int i = from; i < end; i++) {
            to[i - row * cols] = (byte) clamp(unclamped(latents.getAtIndex(FLOAT, i), scale, zero));
          }
        });
  }

  /** From now on codes stay as these latents' are, and only scales can be learned. */
  public void freezeCodes(MemorySegment latents) {
    byte[] codes = new byte[Math.multiplyExact(rows, cols)];
    byte[] row = new byte[cols];
    for (int r = 0; r < rows; r++) {
      codes(latents, r, row);
      System.arraycopy(row, 0, codes, r * cols, cols);
    }
    frozenCodes = codes;
  }

  /** Whether codes are frozen, so that latents don't matter. */
  public boolean codesFrozen() {
    return frozenCodes != null;
  }

  /**
   * Sets s = fp16(s0 exp(d)) with the scales s0 that this began with.
   *
   * @param growth d, fp32 [rows, groups]
   * @throws ArithmeticException if a scale leaves fp16's range
   */
  public void rescale(MemorySegment growth) {
    for (int i = 0; i < scales.length; i++) {
      float scale = Grid.half((float) (firstScales[i] * Math.exp(growth.getAtIndex(FLOAT, i))));
      if (!(scale > 0) || scale == Float.POSITIVE_INFINITY) {
        throw new ArithmeticException("scale " + i + " would become " + scale);
      }
      scales[i] = scale;
    }
  }

  private float unclamped(float latent, float scale, float zero) {
    return (float) Math.rint(latent / scale) + zero;
  }

  private float clamp(float code) {
    return Math.min(Math.max(code, lowest), highest);
  }

  /**
   * Writes w^ of all latents.
   *
   * @param latents of a shared arena, as {@code rounded}, for all processors work on them
   */
  public void round(MemorySegment latents, MemorySegment rounded) {
    byte[] codes = frozenCodes;
    forEachRun(
        (from, to, scale, zero) -> {
          for (int i = from; i < to; i++) {
            float code =
                codes != null
                    ? codes[i]
                    : clamp(unclamped(latents.getAtIndex(FLOAT, i), scale, zero));
            rounded.setAtIndex(FLOAT, i, scale * (code - zero));
          }
        });
  }

  /**
   * Adds the gradient of w^ to that of the latents that were not clamped.
   *
   * @param gradients of w^, fp32 [rows, cols]
   * @param sum likewise
   */
  public void addInside(MemorySegment latents, MemorySegment gradients, MemorySegment sum) {
    forEachRun(
        (from, to, scale, zero) -> {
          for (int i = from; i < to; i++) {
            float code = unclamped(latents.getAtIndex(FLOAT, i), scale, zero);
            if (code >= lowest && code <= highest) {
              sum.setAtIndex(FLOAT, i, sum.getAtIndex(FLOAT, i) + gradients.getAtIndex(FLOAT, i));
            }
          }
        });
  }

  /**
   * Adds the gradient of w^ to that of the scales' growth, see {@link #rescale}.
   *
   * @param gradients of w^, fp32 [rows, cols]
   * @param sum fp32 [rows, groups]
   */
  public void addToGrowth(MemorySegment latents, MemorySegment gradients, MemorySegment sum) {
    byte[] codes = frozenCodes;
    Chunks.rows(
        rows,
        cols,
        (firstRow, lastRow) ->
            forEachRun(
                firstRow * cols,
                lastRow * cols,
                (from, to, scale, zero) -> {
                  double ofScale = 0;
                  for (int i = from; i < to; i++) {
                    float step =
                        codes != null
                            ? codes[i] - zero
                            : slope(latents.getAtIndex(FLOAT, i), scale, zero);
                    ofScale += (double) gradients.getAtIndex(FLOAT, i) * step;
                  }
                  int g = from / cols * groups + from % cols / group;
                  sum.setAtIndex(FLOAT, g, (float) (sum.getAtIndex(FLOAT, g) + ofScale * scale));
                }));
  }

  /** dw^/ds of a latent. */
  private float slope(float latent, float scale, float zero) {
    float ratio = latent / scale;
    float whole = (float) Math.rint(ratio);
    float code = clamp(whole + zero);
    return code == whole + zero ? whole - ratio : code - zero;
  }

  /** Neighbours from..to-1 of one group. */
  private interface Run {
    void accept(int from, int to, float scale, float zero);
  }

  private void forEachRun(Run run) {
    Chunks.forEach(rows * cols, (from, to) -> forEachRun(from, to, run));
  }

  private void forEachRun(int from, int to, Run run) {
    int end;
    for (int i = from; i < to; i = end) {
      int row = i / cols;
      int within = i % cols / group;
      end = Math.min(to, row * cols + Math.min(cols, (within + 1) * group));
      int g = row * groups + within;
      run.accept(i, end, scales[g], zeros[g]);
    }
  }
}
