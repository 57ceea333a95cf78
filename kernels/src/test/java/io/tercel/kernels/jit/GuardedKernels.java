package io.tercel.kernels.jit;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/**
 * Runs every kernel at odd sizes with every operand between guard pages, in a process of its own: a
 * read or a write too far ends it with a fault. Weights are any bytes, NaN scales and zeros of 255
 * included. It prints how many calls it made.
 */
final class GuardedKernels {
  private GuardedKernels() {}

  public static void main(String[] args) throws Throwable {
    Random random = new Random(Long.parseLong(args[0]));
    int rounds = Integer.parseInt(args[1]);
    int calls = 0;
    try (LinearKernels kernels = new LinearKernels();
        Arena arena = Arena.ofConfined()) {
      LinearCall call = new LinearCall(arena);
      for (int round = 0; round < rounds; round++) {
        for (boolean single : new boolean[] {false, true}) {
          for (int tokens = 1; tokens <= LinearKernels.TOKENS; tokens++, calls++) {
            integers(kernels.integers(Grouped.W3G128, tokens, single), Codes.W3, call, random);
            integers(kernels.integers(Grouped.INT8G128, tokens, single), Codes.INT8, call, random);
            integers(kernels.integers(PerRow.W4A4, tokens, single), Codes.W4, call, random);
            calls += 2;
          }
          for (Dense format : new Dense[] {Dense.BF16, Dense.FP16}) {
            for (int tokens = 1; tokens <= LinearKernels.DENSE_TOKENS; tokens++, calls++) {
              dense(
                  single
                      ? kernels.dense(format, tokens, true)
                      : either(kernels, format, tokens, random),
                  call,
                  random);
            }
          }
        }
        rounding(kernels.rounding(), call, random);
        calls += 1 + GuardedAttention.run(kernels, arena, random);
      }
    }
    System.out.println(calls + " calls");
  }

  private static Kernel either(LinearKernels kernels, Dense format, int tokens, Random random) {
    return random.nextBoolean()
        ? kernels.denseAhead(format, tokens)
        : kernels.dense(format, tokens, false);
  }

  private static void integers(Kernel kernel, Codes codes, LinearCall call, Random random)
      throws Throwable {
    int steps = 1 + random.nextInt(5);
    int groups = 1 + random.nextInt(4);
    int all = kernel.tokens() + random.nextInt(4); // of which the kernel takes some
    int first = random.nextInt(all - kernel.tokens() + 1);
    long trailer = codes.perRow() ? W4Tile.TRAILER_BYTES : 0;
    long stream = steps * ((long) groups * codes.blockBytes() + trailer);
    long bytes = codes.inputBytes();
    long pieces = (groups - 1L) * all + kernel.tokens();
    long metas = codes.perRow() ? kernel.tokens() : pieces;
    long meta = codes.perRow() ? PreparedInput.ROW_META_BYTES : PreparedInput.META_BYTES;
    boolean end = random.nextBoolean();
    try (GuardedMemory weights = new GuardedMemory(stream * kernel.streams(), end);
        GuardedMemory inputs = new GuardedMemory((first + pieces) * bytes, end);
        GuardedMemory factors = new GuardedMemory((first + metas) * meta, end)) {
      fill(weights.segment(), random);
      fill(inputs.segment(), random);
      fill(factors.segment(), random);
      call.point(LinearCall.WEIGHTS, weights.segment(), 0, stream * kernel.streams());
      call.set(LinearCall.STREAM_STRIDE, stream);
      call.set(LinearCall.STEPS, steps);
      call.set(LinearCall.GROUPS, groups);
      call.point(LinearCall.INPUTS, inputs.segment(), first * bytes, pieces * bytes);
      call.set(LinearCall.INPUT_STRIDE, all * bytes);
      call.point(LinearCall.FACTORS, factors.segment(), first * meta, metas * meta);
      call.set(LinearCall.FACTOR_STRIDE, codes.perRow() ? 0 : all * meta);
      run(kernel, call, steps * Codes.VECTOR, end);
    }
  }

  private static void dense(Kernel kernel, LinearCall call, Random random) throws Throwable {
    int steps = 1 + random.nextInt(9);
    int blocks = 1 + random.nextInt(5);
    long rows = (long) steps * blocks * Codes.VECTOR;
    long stream = rows * (1 + random.nextInt(2)); // as long as they are apart, or half of it
    long read = (kernel.streams() - 1) * stream + rows;
    long row = (long) blocks * DenseCode.COLUMNS * Float.BYTES;
    boolean end = random.nextBoolean();
    try (GuardedMemory weights = new GuardedMemory(read, end);
        GuardedMemory inputs = new GuardedMemory(row * kernel.tokens(), end)) {
      fill(weights.segment(), random);
      fill(inputs.segment(), random);
      call.point(LinearCall.WEIGHTS, weights.segment(), 0, read);
      call.set(LinearCall.STREAM_STRIDE, stream);
      call.set(LinearCall.STEPS, steps);
      call.set(LinearCall.GROUPS, blocks);
      call.point(LinearCall.INPUTS, inputs.segment(), 0, row * kernel.tokens());
      call.set(LinearCall.INPUT_STRIDE, row);
      run(kernel, call, steps * Float.BYTES, end);
    }
  }

  private static void rounding(Kernel kernel, LinearCall call, Random random) throws Throwable {
    int groups = 1 + random.nextInt(5);
    int all = 1 + random.nextInt(4);
    int first = random.nextInt(all);
    long pieces = (groups - 1L) * all + 1;
    long bytes = Codes.W3.inputBytes();
    boolean end = random.nextBoolean();
    try (GuardedMemory inputs = new GuardedMemory(groups * Codes.GROUP * 4L, end);
        GuardedMemory codes = new GuardedMemory((first + pieces) * bytes, end);
        GuardedMemory factors = new GuardedMemory((first + pieces) * 8, end)) {
      fill(inputs.segment(), random);
      call.point(LinearCall.INPUTS, inputs.segment(), 0, groups * Codes.GROUP * 4L);
      call.set(LinearCall.GROUPS, groups);
      call.point(LinearCall.OUTPUTS, codes.segment(), first * bytes, pieces * bytes);
      call.set(LinearCall.OUTPUT_STRIDE, all * bytes);
      call.point(LinearCall.FACTORS, factors.segment(), first * 8L, pieces * 8);
      call.set(LinearCall.FACTOR_STRIDE, all * 8L);
      kernel.run(call);
    }
  }

  /** With slots of its own, of which the last ends where its results do. */
  private static void run(Kernel kernel, LinearCall call, int lastSlot, boolean end)
      throws Throwable {
    int slots = kernel.streams() * kernel.tokens();
    long bytes = (slots - 1L) * LinearCall.SLOT_BYTES + lastSlot;
    try (GuardedMemory outputs = new GuardedMemory(bytes, end)) {
      call.point(LinearCall.OUTPUTS, outputs.segment(), 0, bytes);
      kernel.run(call);
    }
  }

  private static void fill(MemorySegment segment, Random random) {
    byte[] bytes = new byte[(int) segment.byteSize()];
    random.nextBytes(bytes);
    MemorySegment.copy(bytes, 0, segment, ValueLayout.JAVA_BYTE, 0, bytes.length);
  }
}
