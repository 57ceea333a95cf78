package io.tercel.kernels.jit;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;

/**
 * Tries every kernel at start, a few thousand products each, against the definition: machine code
 * that is wrong on some processor must not answer anybody.
 */
final class SelfTest {
  /** Four streams and a tile that is left over, not full. */
  private static final int ROWS = 4 * Codes.ROWS + 3;

  /** Two groups, the second one full. */
  private static final int COLS = 2 * Codes.GROUP;

  private SelfTest() {}

  /**
   * Compares bits.
   *
   * @throws BackendUnavailableException if any differ
   */
  static void check(Ops ops) {
    for (QuantFormat format :
        List.of(Grouped.W3G128, Grouped.INT8G128, PerRow.W4A4, Dense.BF16, Dense.FP16)) {
      try (Arena arena = Arena.ofShared()) {
        Random random = new Random(1);
        PackedMatrix weight = random(format, arena, random);
        check(ops, new Projection(List.of(new Linear(weight, null))), random);
      }
    }
  }

  private static PackedMatrix random(QuantFormat format, Arena arena, Random random) {
    MemorySegment segment = arena.allocate(format.bytes(ROWS, COLS), Codes.VECTOR);
    switch (format) {
      case Dense dense -> {
        for (long i = 0; i < (long) ROWS * COLS; i++) {
          dense.store(segment, i, (float) random.nextGaussian());
        }
      }
      case Grouped.W3G128 -> fillW3(segment, random);
      case Grouped.INT8G128 -> fillInt8(segment, random);
      case PerRow.W4A4 -> fillW4(segment, random);
    }
    return new PackedMatrix("self-test", segment, ROWS, COLS, format, null);
  }

  private static void fillW3(MemorySegment segment, Random random) {
    byte[] codes = new byte[Codes.ROWS * Codes.GROUP];
    short[] scales = new short[Codes.ROWS];
    byte[] zeros = new byte[Codes.ROWS];
    for (long at = 0; at < segment.byteSize(); at += W3Block.BLOCK_BYTES) {
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) random.nextInt(8);
      }
      for (int i = 0; i < scales.length; i++) {
        scales[i] = Float.floatToFloat16((float) random.nextGaussian());
        zeros[i] = (byte) random.nextInt(8);
      }
      W3Block.pack(codes, scales, zeros, segment, at);
    }
  }

  private static void fillW4(MemorySegment segment, Random random) {
    byte[] codes = new byte[Codes.ROWS * COLS];
    short[] scales = new short[Codes.ROWS];
    for (long at = 0; at < segment.byteSize(); at += W4Tile.tileBytes(COLS)) {
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (random.nextInt(16) - W4Tile.ZERO);
      }
      for (int i = 0; i < scales.length; i++) {
        scales[i] = Float.floatToFloat16((float) random.nextGaussian());
      }
      W4Tile.pack(codes, COLS, scales, segment, at);
    }
  }

  private static void fillInt8(MemorySegment segment, Random random) {
    byte[] codes = new byte[Codes.ROWS * Codes.GROUP];
    short[] scales = new short[Codes.ROWS];
    for (long at = 0; at < segment.byteSize(); at += Int8Block.BLOCK_BYTES) {
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (random.nextInt(2 * Int8Block.MAX_CODE + 1) - Int8Block.MAX_CODE);
      }
      for (int i = 0; i < scales.length; i++) {
        scales[i] = Float.floatToFloat16((float) random.nextGaussian());
      }
      Int8Block.pack(codes, scales, segment, at);
    }
  }

  private static void check(Ops ops, Projection projection, Random random) {
    int most = LinearKernels.TOKENS;
    float[] x = new float[most * COLS];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    float[] expected = new float[most * ROWS];
    try (Ops definition = new ScalarOps()) {
      linear(definition, projection, x, most, expected);
    }
    for (int tokens = 1; tokens <= most; tokens++) {
      float[] actual = new float[tokens * ROWS];
      linear(ops, projection, x, tokens, actual);
      for (int i = 0; i < actual.length; i++) {
        if (Float.floatToRawIntBits(actual[i]) != Float.floatToRawIntBits(expected[i])) {
          throw new BackendUnavailableException(
              "the self-test of %s by %d tokens gave %s for %s"
                  .formatted(
                      projection.linears().getFirst().weight().format().label(),
                      tokens,
                      actual[i],
                      expected[i]));
        }
      }
    }
  }

  private static void linear(Ops ops, Projection projection, float[] x, int n, float[] y) {
    PreparedInput input = new PreparedInput();
    ops.prepare(projection, x, n, input);
    ops.linear(projection, input, new float[][] {y});
  }
}
