package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RandomWeightsTest {

  /** The shape, with fewer layers and words. */
  private static ModelConfig small(ModelConfig c, int layers, int vocab) {
    return new ModelConfig(
        c.architecture(),
        c.hiddenSize(),
        c.intermediateSize(),
        layers,
        c.numHeads(),
        c.numKvHeads(),
        c.headDim(),
        vocab,
        c.rmsNormEps(),
        c.ropeTheta(),
        c.maxPositionEmbeddings(),
        c.tieWordEmbeddings(),
        List.of());
  }

  @Test
  void qwen3Shape_hasPlannedBytes_andSensibleValues() {
    ModelConfig config = small(ModelShapes.QWEN3_0_6B, 4, 1000);
    WeightPlan plan = WeightPlan.of(config, Grouped.W3G128, Dense.BF16);
    try (WeightStore store = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1)) {
      assertEquals(plan.offHeapBytes(), store.bytes());
      assertSame(store.embedding(), store.head().weight());
      PackedMatrix down = store.layers().getLast().down().weight();
      byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
      short[] scales = new short[W3Block.ROWS];
      byte[] zeros = new byte[W3Block.ROWS];
      double sum = 0;
      double squares = 0;
      int count = 0;
      for (long at = 0; at < down.segment().byteSize(); at += W3Block.BLOCK_BYTES) {
        W3Block.unpack(down.segment(), at, codes, scales, zeros);
        for (int i = 0; i < codes.length; i++, count++) {
          int row = i / W3Block.GROUP;
          double value = Float.float16ToFloat(scales[row]) * (codes[i] - zeros[row]);
          sum += value;
          squares += value * value;
        }
      }
      double expected = 1 / Math.sqrt(3072);
      assertEquals(0, sum / count, 0.01 * expected);
      assertEquals(expected, Math.sqrt(squares / count), 0.05 * expected);
    }
  }

  @Test
  void qwen2Shape_untied_paddedRowsHaveScaleZero() {
    ModelConfig c = small(ModelShapes.R1_1_5B, 1, 333);
    ModelConfig config =
        new ModelConfig(
            c.architecture(), 100, 72, 2, 3, 1, 24, 333, 1e-6f, 1e4, 64, false, List.of());
    WeightPlan plan = WeightPlan.of(config, Grouped.W3G128, Dense.FP16);
    try (WeightStore store = RandomWeights.create(config, Grouped.W3G128, Dense.FP16, 1)) {
      assertEquals(plan.offHeapBytes(), store.bytes());
      assertEquals(72, store.layers().getFirst().q().weight().rows());
      short[] scales = new short[W3Block.ROWS];
      MemorySegment q = store.layers().getFirst().q().weight().segment();
      long last = W3Block.blockOffset(4, 0, 1);
      W3Block.unpack(q, last, new byte[2048], scales, new byte[W3Block.ROWS]);
      for (int r = 0; r < W3Block.ROWS; r++) {
        assertEquals(r < 8, scales[r] > 0, "row " + r);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Dense.class)
  void dense_hasTheDeviationOfItsInputs(Dense format) {
    ModelConfig config = small(ModelShapes.QWEN3_0_6B, 1, 100);
    try (WeightStore store = RandomWeights.create(config, format, format, 3)) {
      PackedMatrix up = store.layers().getFirst().up().weight();
      double squares = 0;
      long count = (long) up.rows() * up.cols();
      for (long i = 0; i < count; i++) {
        float value = value(up, format, i);
        squares += value * value;
      }
      assertEquals(1 / 32.0, Math.sqrt(squares / count), 0.001);
    }
  }

  private static float value(PackedMatrix matrix, Dense format, long i) {
    MemorySegment s = matrix.segment();
    var bits = ValueLayout.JAVA_SHORT_UNALIGNED;
    return switch (format) {
      case FP32 -> s.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i);
      case FP16 -> Float.float16ToFloat(s.get(bits, 2 * i));
      case BF16 -> Float.intBitsToFloat(s.get(bits, 2 * i) << 16);
    };
  }

  @Test
  void sameSeed_sameBits_otherSeed_others() {
    ModelConfig config = small(ModelShapes.QWEN3_0_6B, 1, 500);
    try (WeightStore a = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1);
        WeightStore b = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1);
        WeightStore c = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 2)) {
      MemorySegment k = a.layers().getFirst().k().weight().segment();
      assertEquals(-1, k.mismatch(b.layers().getFirst().k().weight().segment()));
      assertTrue(k.mismatch(c.layers().getFirst().k().weight().segment()) >= 0);
      assertEquals(-1, a.embedding().segment().mismatch(b.embedding().segment()));
    }
  }

  @Test
  void shapes_byName_withPublishedSizes() {
    assertEquals(List.of("qwen3-0.6b", "qwen3-4b", "r1-1.5b"), ModelShapes.names());
    assertEquals(596_049_920L, parameters("qwen3-0.6b"));
    assertEquals(4_022_468_096L, parameters("Qwen3-4B"));
    assertEquals(1_777_088_000L, parameters("r1-1.5b"));
    String message =
        assertThrows(IllegalArgumentException.class, () -> ModelShapes.byName("gpt-5"))
            .getMessage();
    assertTrue(("" + message).contains("qwen3-4b"), message);
  }

  /** Published parameter counts: every matrix, norm and bias once. */
  private static long parameters(String name) {
    QuantFormat bf16 = Dense.BF16;
    WeightPlan plan = WeightPlan.of(ModelShapes.byName(name), bf16, Dense.BF16);
    return plan.offHeapBytes() / 2 + plan.heapBytes() / 4;
  }
}
