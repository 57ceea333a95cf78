package io.tercel.kernels.exchange;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.memory.PatchWriter;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A matrix of 4 bits with a scale a row. */
final class W4Bytes extends TensorBytes {
  private final PackedMatrix matrix;
  private final int cols;

  W4Bytes(String name, PackedMatrix matrix) {
    super(name, List.of(TensorPart.CODES, TensorPart.SCALES));
    this.matrix = matrix;
    this.cols = matrix.cols();
  }

  @Override
  public long bytes(TensorPart part) {
    return (long) matrix.rows() * unitBytes(part);
  }

  @Override
  public int unitBytes(TensorPart part) {
    return part == TensorPart.CODES ? Math.ceilDiv(cols, 2) : Short.BYTES;
  }

  @Override
  void read(TensorPart part, int unit, byte[] to, int at) {
    long tile = unit / W4Tile.ROWS * W4Tile.tileBytes(cols);
    int lane = unit % W4Tile.ROWS;
    if (part == TensorPart.SCALES) {
      LittleEndian.put(to, at, W4Tile.scale(matrix.segment(), tile, cols, lane));
      return;
    }
    for (int k = 0; k < cols; k += 2) {
      int pair = W4Tile.code(matrix.segment(), tile, lane, k) + W4Tile.ZERO;
      if (k + 1 < cols) {
        pair |= W4Tile.code(matrix.segment(), tile, lane, k + 1) + W4Tile.ZERO << 4;
      }
      to[at + k / 2] = (byte) pair;
    }
  }

  @Override
  Overlay overlay(PatchWriter writer) {
    return new Tiles(writer);
  }

  @Override
  Object target() {
    return matrix;
  }

  /** The tiles of 16 rows that something has come for. */
  private final class Tiles implements Overlay {
    private final PatchWriter writer;
    private final Map<Integer, Tile> touched = new TreeMap<>();

    Tiles(PatchWriter writer) {
      this.writer = writer;
    }

    @Override
    public void put(TensorPart part, long offset, byte[] data, int from, int length) {
      int bytes = unitBytes(part);
      for (int done = 0; done < length; done += bytes) {
        int row = (int) ((offset + done) / bytes);
        Tile tile = touched.computeIfAbsent(row / W4Tile.ROWS, Tile::new);
        if (part == TensorPart.SCALES) {
          tile.scales[row % W4Tile.ROWS] = LittleEndian.getShort(data, from + done);
        } else {
          tile.putCodes(row, data, from + done);
        }
      }
    }

    @Override
    public void finish() {
      touched.forEach((index, tile) -> writer.tile(matrix, index, tile.codes, tile.scales));
    }
  }

  /** One tile, unpacked. */
  private final class Tile {
    final byte[] codes = new byte[W4Tile.ROWS * cols];
    final short[] scales = new short[W4Tile.ROWS];

    Tile(int index) {
      long at = index * W4Tile.tileBytes(cols);
      int rows = Math.min(W4Tile.ROWS, matrix.rows() - index * W4Tile.ROWS);
      for (int r = 0; r < rows; r++) {
        scales[r] = W4Tile.scale(matrix.segment(), at, cols, r);
        for (int k = 0; k < cols; k++) {
          codes[r * cols + k] = (byte) W4Tile.code(matrix.segment(), at, r, k);
        }
      }
    }

    void putCodes(int row, byte[] data, int from) {
      int first = row % W4Tile.ROWS * cols;
      for (int k = 0; k < cols; k++) {
        codes[first + k] = (byte) ((data[from + k / 2] >>> 4 * (k % 2) & 15) - W4Tile.ZERO);
      }
      if (cols % 2 == 1 && (data[from + cols / 2] & 0xf0) != 0) {
        throw new IllegalArgumentException(
            "%s has a code beyond its %d columns in row %d".formatted(name(), cols, row));
      }
    }
  }
}
