package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Turns a 4-bit weight into {@link W4Tile}s. One instance serves one thread. */
public final class W4Decoder {
  private final LinearSource.W4 source;
  private final byte[] codes;
  private final byte[] packed;
  private final short[] scales = new short[W4Tile.ROWS];

  public W4Decoder(LinearSource.W4 source) {
    this.source = source;
    this.codes = new byte[W4Tile.ROWS * source.cols()];
    this.packed = new byte[source.cols() / 2];
  }

  /**
   * Decodes rows [16 tile, 16 tile + 16) into their place.
   *
   * @param matrix the whole packed matrix, {@link W4Tile#matrixBytes} long
   * @throws CheckpointException if a scale is not finite
   */
  public void decode(int tile, MemorySegment matrix) {
    int cols = source.cols();
    int first = tile * W4Tile.ROWS;
    int rows = Math.min(W4Tile.ROWS, source.rows() - first);
    Arrays.fill(codes, rows * cols, codes.length, (byte) 0);
    Arrays.fill(scales, (short) 0);
    for (int r = 0; r < rows; r++) {
      scales[r] = scale(first + r);
      long at = (long) (first + r) * packed.length;
      MemorySegment.copy(
          source.packed().data(), ValueLayout.JAVA_BYTE, at, packed, 0, packed.length);
      for (int j = 0; j < packed.length; j++) {
        codes[r * cols + 2 * j] = (byte) ((byte) (packed[j] << 4) >> 4);
        codes[r * cols + 2 * j + 1] = (byte) (packed[j] >> 4);
      }
    }
    W4Tile.pack(codes, cols, scales, matrix, tile * W4Tile.tileBytes(cols));
  }

  private short scale(int row) {
    float scale = source.scale().floatAt(row);
    if (!Float.isFinite(scale)) {
      throw new CheckpointException(
          "%s has %s in row %d; expected finite numbers"
              .formatted(source.scale().where(), scale, row));
    }
    return Float.floatToFloat16(scale);
  }
}
