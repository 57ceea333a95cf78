package io.tercel.trainer.quant;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import java.lang.foreign.Arena;
import java.util.Arrays;

/**
 * The packed forms of a {@link QuantizedMatrix}: GPTQ's tensors for a file, blocks for the engine's
 * kernels.
 */
public final class GptqTensors {
  private GptqTensors() {}

  /**
   * Codes along the inputs, 32 of them a 96-bit little-endian stream in three words of a column.
   *
   * @return [cols * 3/32, rows]
   */
  public static int[] qweight(QuantizedMatrix matrix) {
    int rows = matrix.rows();
    int cols = matrix.cols();
    int[] words = new int[cols / 32 * 3 * rows];
    int[] three = new int[3];
    for (int row = 0; row < rows; row++) {
      for (int first = 0; first < cols; first += 32) {
        pack32(matrix.codes(), row * cols + first, 1, three);
        for (int t = 0; t < 3; t++) {
          words[(first / 32 * 3 + t) * rows + row] = three[t];
        }
      }
    }
    return words;
  }

  /**
   * Zero points along the outputs, packed the same way.
   *
   * @param v2 stored as they are; else one less, which needs every one to be at least 1
   * @return [groups, rows * 3/32]
   */
  public static int[] qzeros(QuantizedMatrix matrix, boolean v2) {
    int rows = matrix.rows();
    int groups = matrix.groups();
    if (!v2 && matrix.minZero() == 0) {
      throw new IllegalArgumentException("a zero point of 0 does not fit checkpoint format gptq");
    }
    byte[] stored = matrix.zeros().clone();
    for (int i = 0; i < stored.length && !v2; i++) {
      stored[i]--;
    }
    int[] words = new int[groups * (rows / 32 * 3)];
    int[] three = new int[3];
    for (int g = 0; g < groups; g++) {
      for (int first = 0; first < rows; first += 32) {
        pack32(stored, first * groups + g, groups, three);
        System.arraycopy(three, 0, words, g * (rows / 32 * 3) + first / 32 * 3, 3);
      }
    }
    return words;
  }

  /** fp16 bits, [groups, rows]. */
  public static short[] scales(QuantizedMatrix matrix) {
    int groups = matrix.groups();
    short[] bits = new short[matrix.scales().length];
    for (int row = 0; row < matrix.rows(); row++) {
      for (int g = 0; g < groups; g++) {
        bits[g * matrix.rows() + row] = Float.floatToFloat16(matrix.scales()[row * groups + g]);
      }
    }
    return bits;
  }

  /** The group of each input: i / 128, since groups are those of neighbouring inputs. */
  public static int[] gIdx(QuantizedMatrix matrix) {
    int[] groups = new int[matrix.cols()];
    Arrays.setAll(groups, i -> i / Grid.GROUP);
    return groups;
  }

  private static void pack32(byte[] codes, int at, int stride, int[] three) {
    Arrays.fill(three, 0);
    for (int i = 0; i < 32; i++) {
      int code = codes[at + i * stride];
      int bit = 3 * i;
      three[bit / 32] |= code << bit % 32;
      if (bit % 32 > 29) {
        three[bit / 32 + 1] |= code >>> 32 - bit % 32;
      }
    }
  }

  /** The engine's own layout, in memory of the arena. */
  public static PackedMatrix blocks(String name, QuantizedMatrix matrix, Arena arena) {
    int rows = matrix.rows();
    int cols = matrix.cols();
    int groups = matrix.groups();
    PackedMatrix packed =
        new PackedMatrix(
            name,
            arena.allocate(W3Block.matrixBytes(rows, cols), 64),
            rows,
            cols,
            Grouped.W3G128,
            null);
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    short[] scales = new short[W3Block.ROWS];
    byte[] zeros = new byte[W3Block.ROWS];
    for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
      for (int g = 0; g < groups; g++) {
        Arrays.fill(codes, (byte) 0);
        for (int r = 0; r < W3Block.ROWS; r++) {
          int row = tile * W3Block.ROWS + r;
          boolean inside = row < rows;
          scales[r] = inside ? Float.floatToFloat16(matrix.scales()[row * groups + g]) : 0;
          zeros[r] = inside ? matrix.zeros()[row * groups + g] : 0;
          if (inside) {
            int first = g * Grid.GROUP;
            System.arraycopy(
                matrix.codes(),
                row * cols + first,
                codes,
                r * W3Block.GROUP,
                Math.min(Grid.GROUP, cols - first));
          }
        }
        W3Block.pack(codes, scales, zeros, packed.segment(), W3Block.blockOffset(tile, g, groups));
      }
    }
    return packed;
  }
}
