package io.tercel.trainer.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class FakeQuantTest {
  private static final float SCALE = Float.float16ToFloat(Float.floatToFloat16(0.1f));

  @Test
  void round_asTheFormulaSays_withTheScaleAsStored() {
    try (Arena arena = Arena.ofShared()) {
      // rounds to even at the halves, is clamped at both ends
      float[] weight = {0, 0.5f * SCALE, 1.5f * SCALE, -9, 9, -3 * SCALE};
      MemorySegment latents = arena.allocateFrom(ValueLayout.JAVA_FLOAT, weight);
      FakeQuant quant = FakeQuant.frozen(1, 6, new float[] {0.1f}, new int[] {3});
      MemorySegment rounded = arena.allocate(24);
      quant.round(latents, rounded);
      float[] expected = {0, 0, 2 * SCALE, SCALE * -3, SCALE * 4, SCALE * -3};
      assertArrayEquals(expected, rounded.toArray(ValueLayout.JAVA_FLOAT));
      assertEquals(0, quant.code(-9, 0, 3));
      assertEquals(7, quant.code(9, 0, 4));
      float[] gradient = new float[6];
      quant.addInside(latents, FloatBuffer.wrap(new float[] {1, 2, 3, 4, 5, 6}), gradient);
      assertArrayEquals(new float[] {1, 2, 3, 0, 0, 6}, gradient);
    }
  }

  /** Chunks end where they end: in the middle of rows and of groups. */
  @Test
  void round_ofManyChunks_isThatOfEachWeight() {
    int rows = 150;
    int cols = 450;
    assertTrue(Chunks.count(rows * cols) > 2);
    float[] w = new float[rows * cols];
    float[] scales = new float[rows * 4];
    int[] zeros = new int[rows * 4];
    Random random = new Random(2);
    for (int i = 0; i < w.length; i++) {
      w[i] = (float) random.nextGaussian();
    }
    for (int g = 0; g < zeros.length; g++) {
      scales[g] = Grid.half(0.2f + 0.3f * random.nextFloat());
      zeros[g] = random.nextInt(8);
    }
    FakeQuant quant = FakeQuant.frozen(rows, cols, scales, zeros);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment latents = arena.allocateFrom(ValueLayout.JAVA_FLOAT, w);
      MemorySegment rounded = arena.allocate(4L * w.length);
      quant.round(latents, rounded);
      float[] sum = new float[w.length];
      quant.addInside(latents, FloatBuffer.wrap(w), sum);
      for (int i = 0; i < w.length; i++) {
        int g = i / cols * 4 + i % cols / 128;
        int code = Grid.code(w[i], scales[g], zeros[g]);
        assertEquals(
            Grid.value(code, scales[g], zeros[g]), rounded.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        boolean inside = Math.rint(w[i] / scales[g]) + zeros[g] == code;
        assertEquals(inside ? w[i] : 0, sum[i]);
      }
    }
  }

  @Test
  void ofRange_roundsWithinHalfAScale() {
    try (Arena arena = Arena.ofShared()) {
      Random random = new Random(1);
      float[] weight = new float[3 * 300];
      for (int i = 0; i < weight.length; i++) {
        weight[i] = (float) random.nextGaussian();
      }
      FakeQuant quant = FakeQuant.ofRange(weight, 3, 300);
      MemorySegment rounded = arena.allocate(4L * weight.length);
      quant.round(arena.allocateFrom(ValueLayout.JAVA_FLOAT, weight), rounded);
      for (int i = 0; i < weight.length; i++) {
        float scale = quant.scale(i / 300, i % 300 / Grid.GROUP);
        assertEquals(weight[i], rounded.getAtIndex(ValueLayout.JAVA_FLOAT, i), scale * 1.01);
      }
    }
  }

  @Test
  void frozen_nonsense_isRefused() {
    int[] zero = {0};
    assertThrows(
        IllegalArgumentException.class, () -> FakeQuant.frozen(1, 6, new float[] {0}, zero));
    assertThrows(
        IllegalArgumentException.class, () -> FakeQuant.frozen(1, 6, new float[] {1e-9f}, zero));
    assertThrows(
        IllegalArgumentException.class, () -> FakeQuant.frozen(1, 600, new float[] {1}, zero));
    assertThrows(
        IllegalArgumentException.class,
        () -> FakeQuant.frozen(1, 6, new float[] {1}, new int[] {8}));
  }
}
