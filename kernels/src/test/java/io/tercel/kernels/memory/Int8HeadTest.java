package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A head of 8 bits beside what it was made of. */
class Int8HeadTest {
  @TempDir private Path temp;

  /** Remembers what was said about rounding. */
  private static final class Heard implements LoadProgress {
    private final List<Long> done = new ArrayList<>();
    private @Nullable RoundingLoss loss;

    @Override
    public void loaded(String name, long doneBytes, long totalBytes) {
      done.add(doneBytes);
    }

    @Override
    public void rounded(String name, RoundingLoss roundingLoss) {
      assertEquals("lm_head", name);
      loss = roundingLoss;
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void head_isAMatrixOfItsOwn_andThePlanCountsIt(boolean tied) {
    Path dir =
        TinyCheckpoint.qwen3().tied(tied).hidden(96).gptq(GptqVariant.SYM).dtype("F16").write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      WeightPlan plan = WeightPlan.of(checkpoint, LmHeadType.INT8);
      Heard heard = new Heard();
      try (WeightStore stored = WeightLoader.load(checkpoint, Long.MAX_VALUE, heard);
          WeightStore store =
              WeightLoader.load(
                  checkpoint, LmHeadType.INT8, PackedCache.off(), plan.offHeapBytes(), heard)) {
        assertEquals(plan.offHeapBytes(), store.bytes());
        assertEquals(plan.offHeapBytes(), heard.done.getLast());
        List<PackedMatrix> matrices = store.matrices();
        assertEquals(
            plan.matrices().stream().map(WeightPlan.Matrix::name).toList(),
            matrices.stream().map(PackedMatrix::name).toList());
        assertSame(matrices.getLast(), store.head().weight());
        assertEquals(Grouped.INT8G128, store.head().weight().format());
        assertEquals(Dense.FP16, store.embedding().format());
        assertEquals(
            -1, store.embedding().segment().mismatch(stored.embedding().segment()), "embedding");
        RoundingLoss loss = Objects.requireNonNull(heard.loss, "nothing was said");
        assertTrue(loss.relative() > 1e-3 && loss.relative() < 8e-3, loss.describe());
        assertTrue(loss.worstRow() >= loss.relative(), loss.describe());
        assertRounded(stored.head().weight(), store.head().weight());
        int before = WeightPlan.of(checkpoint).matrices().size();
        assertEquals(before + (tied ? 1 : 0), plan.matrices().size());
        assertFalse(WeightChecksum.of(store).equals(WeightChecksum.of(stored)));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void randomWeights_haveTheHeadThatWouldBeStored_rounded(boolean tied) {
    ModelConfig c = ModelShapes.QWEN3_0_6B;
    ModelConfig config =
        new ModelConfig(
            c.architecture(), 200, 72, 1, 3, 1, 24, 333, 1e-6f, 1e4, 64, tied, List.of());
    WeightPlan plan = WeightPlan.of(config, Grouped.W3G128, Dense.BF16, LmHeadType.INT8);
    try (WeightStore stored = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1);
        WeightStore store =
            RandomWeights.create(config, Grouped.W3G128, Dense.BF16, LmHeadType.INT8, 1)) {
      assertEquals(plan.offHeapBytes(), store.bytes());
      assertRounded(stored.head().weight(), store.head().weight());
    }
  }

  /** Each weight within half a step, and the step that of the group's largest, as a half. */
  private static void assertRounded(PackedMatrix dense, PackedMatrix int8) {
    assertEquals(dense.rows(), int8.rows());
    int groups = Math.ceilDiv(dense.cols(), 128);
    for (int r = 0; r < dense.rows(); r++) {
      for (int g = 0; g < groups; g++) {
        long block = Int8Block.blockOffset(r / 16, g, groups);
        float scale = Float.float16ToFloat(Int8Block.scale(int8.segment(), block, r % 16));
        float largest = 0;
        for (int k = 0; k < 128; k++) {
          int column = 128 * g + k;
          int code = Int8Block.code(int8.segment(), block, r % 16, k);
          if (column >= dense.cols()) {
            assertEquals(0, code, "padding");
            continue;
          }
          float w = dense.dense().element(dense.segment(), (long) r * dense.cols() + column);
          largest = Math.max(largest, Math.abs(w));
          // the largest is clipped where its scale was rounded down, by 2^-11 of itself at most
          double bound = 0.5 * scale + Math.abs(w) * 0x1p-11;
          assertTrue(Math.abs(w - code * scale) <= bound, w + " became " + code + " x " + scale);
        }
        assertEquals(Float.float16ToFloat(Float.floatToFloat16(largest / 127)), scale);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Dense.class)
  void rounding_golden(Dense format) {
    try (Arena arena = Arena.ofShared();
        RowTasks tasks = new RowTasks(2)) {
      int cols = 130;
      MemorySegment dense = arena.allocate(format.bytes(3, cols));
      format.store(dense, 0, 127);
      format.store(dense, 1, -127);
      format.store(dense, 2, 2.5f); // ties go to even
      format.store(dense, 3, -3.5f);
      format.store(dense, 128, -0.25f);
      format.store(dense, 2 * cols + 5, format == Dense.FP16 ? 0x1p-24f : 0x1p-40f);
      PackedMatrix target = matrix(arena, 3, cols);
      RoundingLoss loss = Int8Rounding.round(dense, format, target, tasks);
      int[] expected = {127, -127, 2, -4, 0};
      for (int k = 0; k < expected.length; k++) {
        assertEquals(expected[k], Int8Block.code(target.segment(), 0, 0, k), "column " + k);
      }
      assertEquals(-127, Int8Block.code(target.segment(), Int8Block.BLOCK_BYTES, 0, 0));
      assertEquals(0, Int8Block.scale(target.segment(), 0, 1));
      assertEquals(0, Int8Block.scale(target.segment(), 0, 2), "too small for a half");
      assertEquals(1, loss.worstRow(), 1e-12, "the row that became zeros");
      assertEquals(Math.sqrt(0.5 / (2 * 127 * 127 + 2.5 * 2.5 + 3.5 * 3.5)), loss.relative(), 1e-5);
    }
  }

  @Test
  void valuesTooLarge_areRefused() {
    try (Arena arena = Arena.ofShared();
        RowTasks tasks = new RowTasks(2)) {
      MemorySegment dense = arena.allocate(Dense.BF16.bytes(20, 128));
      Dense.BF16.store(dense, 17 * 128 + 3, 1e7f);
      CheckpointException refusal =
          assertThrows(
              CheckpointException.class,
              () -> Int8Rounding.round(dense, Dense.BF16, matrix(arena, 20, 128), tasks));
      assertTrue(String.valueOf(refusal.getMessage()).contains("in row 17"), refusal.getMessage());
    }
  }

  @Test
  void aScaleThatIsNotFinite_isFound() {
    try (Arena arena = Arena.ofShared();
        RowTasks tasks = new RowTasks(2)) {
      MemorySegment dense = arena.allocate(Dense.FP32.bytes(40, 300));
      Random random = new Random(2);
      for (int i = 0; i < 40 * 300; i++) {
        Dense.FP32.store(dense, i, (float) random.nextGaussian());
      }
      PackedMatrix target = matrix(arena, 40, 300);
      Int8Rounding.round(dense, Dense.FP32, target, tasks);
      assertEquals(null, FiniteWeights.fault(target));
      long scale = Int8Block.blockOffset(2, 1, 3) + Int8Block.SCALES_OFFSET + 2 * 5;
      Dense.FP16.store(target.segment(), scale / 2, Float.NaN);
      String fault = String.valueOf(FiniteWeights.fault(target));
      assertTrue(fault.contains("scale of NaN in row 37, group 1"), fault);
    }
  }

  private static PackedMatrix matrix(Arena arena, int rows, int cols) {
    MemorySegment segment = arena.allocate(Grouped.INT8G128.bytes(rows, cols), 64);
    return new PackedMatrix("lm_head", segment, rows, cols, Grouped.INT8G128, null);
  }
}
