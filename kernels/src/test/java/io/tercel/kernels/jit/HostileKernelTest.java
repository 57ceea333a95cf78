package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What would make machine code touch memory that isn't its own. */
class HostileKernelTest {

  @BeforeEach
  void supported() {
    Processor.assumeSupported();
  }

  @Test
  void everyKernel_atOddSizes_staysBetweenGuardPages() throws Exception {
    assertEquals("7550 calls", guarded("7", "50"));
  }

  private static String guarded(String... args) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx128m"));
    command.addAll(List.of("-XX:-CreateCoredumpOnCrash", "-XX:+SuppressFatalErrorMessage"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(GuardedKernels.class.getName());
    command.addAll(List.of(args));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    assertEquals(0, process.exitValue(), "a fault in machine code: " + out);
    return out.strip();
  }

  /** Bounds are checked before machine code runs, whatever a caller mixes up. */
  @Test
  void wrongOperands_areRefused() {
    try (JitOps ops = JitOps.open(1);
        Arena arena = Arena.ofShared()) {
      Projection w3 = projection(arena, Grouped.W3G128, 64, 256);
      Projection wider = projection(arena, Grouped.W3G128, 64, 384);
      Projection int8 = projection(arena, Grouped.INT8G128, 64, 384);
      Projection dense = projection(arena, Dense.BF16, 64, 256);
      PreparedInput input = new PreparedInput();
      ops.prepare(w3, new float[2 * 256], 2, input);
      float[][] outs = {new float[2 * 64]};
      ops.linear(w3, input, outs);
      assertThrows(IllegalArgumentException.class, () -> ops.linear(wider, input, outs));
      assertThrows(IllegalArgumentException.class, () -> ops.linear(int8, input, outs));
      float[][] small = {new float[2 * 64 - 1]};
      assertThrows(IllegalArgumentException.class, () -> ops.linear(w3, input, small));
      assertThrows(IndexOutOfBoundsException.class, () -> ops.linear(dense, input, outs));
      PreparedInput plain = new PreparedInput();
      ops.prepare(dense, new float[2 * 256], 2, plain);
      assertThrows(IndexOutOfBoundsException.class, () -> ops.linear(w3, plain, outs));
    }
  }

  @Test
  void freedWeights_areRefused() {
    try (JitOps ops = JitOps.open(1)) {
      Arena arena = Arena.ofShared();
      Projection w3 = projection(arena, Grouped.W3G128, 64, 256);
      PreparedInput input = new PreparedInput();
      ops.prepare(w3, new float[256], 1, input);
      arena.close();
      assertThrows(
          IllegalStateException.class, () -> ops.linear(w3, input, new float[][] {new float[64]}));
    }
  }

  /** A call whose operands lie on the heap, or are not as long as it says. */
  @Test
  void operands_areChecked() {
    try (Arena arena = Arena.ofConfined()) {
      LinearCall call = new LinearCall(arena);
      MemorySegment segment = arena.allocate(128);
      call.point(LinearCall.INPUTS, segment, 64, 64);
      assertThrows(
          IndexOutOfBoundsException.class, () -> call.point(LinearCall.INPUTS, segment, 65, 64));
      assertThrows(
          IndexOutOfBoundsException.class, () -> call.point(LinearCall.INPUTS, segment, -1, 64));
      MemorySegment heap = MemorySegment.ofArray(new byte[128]);
      assertThrows(
          IllegalArgumentException.class, () -> call.point(LinearCall.INPUTS, heap, 0, 64));
    }
  }

  private static Projection projection(Arena arena, QuantFormat format, int rows, int cols) {
    MemorySegment segment = arena.allocate(format.bytes(rows, cols), 64);
    return Projection.of(
        new Linear(new PackedMatrix("w", segment, rows, cols, format, null), null));
  }
}
