package io.tercel.kernels.ops;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;

/** 8-bit matrices for tests. */
final class Int8Weights {
  private Int8Weights() {}

  /** Any codes, scales of both kinds: usual ones and now and then 0 or a subnormal. */
  static PackedMatrix random(Arena arena, int rows, int cols, Random random) {
    MemorySegment s = arena.allocate(Grouped.INT8G128.bytes(rows, cols), 64);
    byte[] codes = new byte[Int8Block.ROWS * Int8Block.GROUP];
    short[] scales = new short[Int8Block.ROWS];
    int tiles = W3Block.tiles(rows);
    for (long block = 0; block < s.byteSize() / Int8Block.BLOCK_BYTES; block++) {
      long tile = block / (s.byteSize() / Int8Block.BLOCK_BYTES / tiles);
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (random.nextInt(255) - 127);
      }
      for (int r = 0; r < scales.length; r++) {
        float scale =
            switch (random.nextInt(8)) {
              case 0 -> 0f;
              case 1 -> 0x1p-24f * random.nextInt(1024);
              default -> 0.01f * random.nextFloat();
            };
        scales[r] = Float.floatToFloat16(tile * Int8Block.ROWS + r < rows ? scale : 0f);
      }
      Int8Block.pack(codes, scales, s, block * Int8Block.BLOCK_BYTES);
    }
    return new PackedMatrix("test", s, rows, cols, Grouped.INT8G128, null);
  }

  /** One code everywhere, with a scale of 1. */
  static PackedMatrix constant(Arena arena, int rows, int cols, byte code) {
    MemorySegment s = arena.allocate(Grouped.INT8G128.bytes(rows, cols), 64);
    byte[] codes = new byte[Int8Block.ROWS * Int8Block.GROUP];
    short[] scales = new short[Int8Block.ROWS];
    Arrays.fill(codes, code);
    Arrays.fill(scales, Float.floatToFloat16(1));
    for (long at = 0; at < s.byteSize(); at += Int8Block.BLOCK_BYTES) {
      Int8Block.pack(codes, scales, s, at);
    }
    return new PackedMatrix("test", s, rows, cols, Grouped.INT8G128, null);
  }
}
