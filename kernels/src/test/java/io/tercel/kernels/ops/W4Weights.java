package io.tercel.kernels.ops;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.memory.InputTransform;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/** 4-bit matrices and transforms for tests. */
public final class W4Weights {
  private W4Weights() {}

  /** Any codes, scales of both kinds: usual ones and now and then 0 or a subnormal. */
  public static PackedMatrix random(Arena arena, int rows, int cols, Random random) {
    return matrix(arena, rows, cols, _ -> random.nextInt(16) - W4Tile.ZERO, random);
  }

  /** One code everywhere, with a scale of 1. */
  static PackedMatrix constant(Arena arena, int rows, int cols, int code) {
    return matrix(arena, rows, cols, _ -> code, null);
  }

  private static PackedMatrix matrix(
      Arena arena, int rows, int cols, IntUnaryOperator codeOf, @Nullable Random random) {
    MemorySegment s = arena.allocate(PerRow.W4A4.bytes(rows, cols), 64);
    byte[] codes = new byte[W4Tile.ROWS * cols];
    short[] scales = new short[W4Tile.ROWS];
    for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) codeOf.applyAsInt(i);
      }
      for (int r = 0; r < scales.length; r++) {
        float scale = random == null ? 1 : scale(random);
        scales[r] = Float.floatToFloat16(tile * W4Tile.ROWS + r < rows ? scale : 0f);
      }
      W4Tile.pack(codes, cols, scales, s, tile * W4Tile.tileBytes(cols));
    }
    return new PackedMatrix("test", s, rows, cols, PerRow.W4A4, null);
  }

  private static float scale(Random random) {
    return switch (random.nextInt(8)) {
      case 0 -> 0f;
      case 1 -> 0x1p-24f * random.nextInt(1024);
      default -> 0.01f * random.nextFloat();
    };
  }

  /** A transform of rows of m n floats; m or n of 0 leaves that side out. */
  public static InputTransform transform(int m, int n, float low, float high, Random random) {
    return new InputTransform(square(m, random), square(n, random), low, high);
  }

  /** Gaussians of deviation 1 / sqrt(side); null where there is no side. */
  public static float @Nullable [] square(int side, Random random) {
    if (side == 0) {
      return null;
    }
    float[] square = new float[side * side];
    for (int i = 0; i < square.length; i++) {
      square[i] = (float) (random.nextGaussian() / Math.sqrt(side));
    }
    return square;
  }
}
