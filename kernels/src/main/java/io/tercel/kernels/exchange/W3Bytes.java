package io.tercel.kernels.exchange;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.PatchWriter;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A matrix of 3 bits in groups of 128. */
final class W3Bytes extends TensorBytes {
  private final PackedMatrix matrix;
  private final int groups;

  W3Bytes(String name, PackedMatrix matrix) {
    super(name, List.of(TensorPart.CODES, TensorPart.SCALES, TensorPart.ZEROS));
    this.matrix = matrix;
    this.groups = W3Block.groups(matrix.cols());
  }

  @Override
  public long bytes(TensorPart part) {
    return (long) matrix.rows() * groups * unitBytes(part);
  }

  @Override
  public int unitBytes(TensorPart part) {
    return switch (part) {
      case CODES -> W3Block.ROW_BYTES;
      case SCALES -> Short.BYTES;
      case ZEROS, VALUES -> 1;
    };
  }

  int groups() {
    return groups;
  }

  private long block(int row, int group) {
    return W3Block.blockOffset(row / W3Block.ROWS, group, groups);
  }

  @Override
  void read(TensorPart part, int unit, byte[] to, int at) {
    int row = unit / groups;
    long block = block(row, unit % groups);
    int lane = row % W3Block.ROWS;
    switch (part) {
      case CODES -> W3Block.readStream(matrix.segment(), block, lane, to, at);
      case SCALES -> LittleEndian.put(to, at, W3Block.scale(matrix.segment(), block, lane));
      case ZEROS, VALUES -> to[at] = W3Block.zero(matrix.segment(), block, lane);
    }
  }

  @Override
  Overlay overlay(PatchWriter writer) {
    return new Blocks(writer);
  }

  @Override
  Object target() {
    return matrix;
  }

  /** The blocks of 16 rows by a group that something has come for. */
  private final class Blocks implements Overlay {
    private final PatchWriter writer;
    private final Map<Long, Block> touched = new TreeMap<>();

    Blocks(PatchWriter writer) {
      this.writer = writer;
    }

    @Override
    public void put(TensorPart part, long offset, byte[] data, int from, int length) {
      int bytes = unitBytes(part);
      for (int done = 0; done < length; done += bytes) {
        int unit = (int) ((offset + done) / bytes);
        int row = unit / groups;
        int group = unit % groups;
        Block block =
            touched.computeIfAbsent(block(row, group), at -> new Block(at, row, group, matrix));
        block.put(part, row % W3Block.ROWS, data, from + done);
      }
    }

    @Override
    public void finish() {
      for (Block block : touched.values()) {
        writer.block(matrix, block.tile, block.group, block.codes, block.scales, block.zeros);
      }
    }
  }

  /** One block, unpacked. */
  private final class Block {
    final int tile;
    final int group;
    final byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    final short[] scales = new short[W3Block.ROWS];
    final byte[] zeros = new byte[W3Block.ROWS];

    Block(long at, int row, int group, PackedMatrix matrix) {
      this.tile = row / W3Block.ROWS;
      this.group = group;
      W3Block.unpack(matrix.segment(), at, codes, scales, zeros);
    }

    void put(TensorPart part, int lane, byte[] data, int from) {
      switch (part) {
        case CODES -> putCodes(lane, data, from);
        case SCALES -> scales[lane] = LittleEndian.getShort(data, from);
        case ZEROS, VALUES -> zeros[lane] = data[from];
      }
    }

    private void putCodes(int lane, byte[] data, int from) {
      for (int k = 0; k < W3Block.GROUP; k += 8) {
        int at = from + 3 * k / 8;
        int eight = data[at] & 0xff | (data[at + 1] & 0xff) << 8 | (data[at + 2] & 0xff) << 16;
        for (int j = 0; j < 8; j++) {
          codes[lane * W3Block.GROUP + k + j] = (byte) (eight >>> 3 * j & 7);
        }
      }
      int columns = Math.min(W3Block.GROUP, matrix.cols() - group * W3Block.GROUP);
      for (int k = columns; k < W3Block.GROUP; k++) {
        if (codes[lane * W3Block.GROUP + k] != 0) {
          throw new IllegalArgumentException(
              "%s has codes beyond its %d columns in row %d"
                  .formatted(name(), matrix.cols(), tile * W3Block.ROWS + lane));
        }
      }
    }
  }
}
