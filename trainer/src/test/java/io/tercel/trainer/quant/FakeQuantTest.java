package io.tercel.trainer.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
      MemorySegment gradient = arena.allocate(24);
      quant.addInside(latents, floats(arena, 1, 2, 3, 4, 5, 6), gradient);
      assertArrayEquals(new float[] {1, 2, 3, 0, 0, 6}, gradient.toArray(ValueLayout.JAVA_FLOAT));
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
      MemorySegment sum = arena.allocate(4L * w.length);
      quant.addInside(latents, latents, sum);
      byte[] codes = new byte[cols];
      for (int i = 0; i < w.length; i++) {
        int g = i / cols * 4 + i % cols / 128;
        int code = Grid.code(w[i], scales[g], zeros[g]);
        assertEquals(
            Grid.value(code, scales[g], zeros[g]), rounded.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        boolean inside = Math.rint(w[i] / scales[g]) + zeros[g] == code;
        assertEquals(inside ? w[i] : 0, sum.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        if (i % cols == 0) {
          quant.codes(latents, i / cols, codes);
        }
        assertEquals(code, codes[i % cols]);
      }
    }
  }

  private static MemorySegment floats(Arena arena, float... values) {
    return arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
  }

  /** In 4 bits a row has one scale, and codes are signed. */
  @Test
  void ofRows_roundsToSignedCodes() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment latents = floats(arena, 1, -9, 9, 0.3f, 3, 0.6f, -0.6f, -5);
      FakeQuant quant = FakeQuant.ofRows(2, 4, new float[] {1, 0.5f});
      MemorySegment rounded = arena.allocate(32);
      quant.round(latents, rounded);
      assertArrayEquals(
          new float[] {1, -8, 7, 0, 3, 0.5f, -0.5f, -4}, rounded.toArray(ValueLayout.JAVA_FLOAT));
      byte[] codes = new byte[4];
      quant.codes(latents, 1, codes);
      assertArrayEquals(new byte[] {6, 1, -1, -8}, codes);
      assertTrue(quant.isFourBit());
      MemorySegment sum = arena.allocate(32);
      quant.addInside(latents, floats(arena, 1, 1, 1, 1, 1, 1, 1, 1), sum);
      assertArrayEquals(new float[] {1, 0, 0, 1, 1, 1, 1, 0}, sum.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  /** dw^/ds is rint(w/s) - w/s inside and code - z outside; ds/d growth is s. */
  @Test
  void addToGrowth_asTheFormulaSays() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment latents = floats(arena, 0.3f, -1.2f, 9, -9);
      FakeQuant quant = FakeQuant.frozen(1, 4, new float[] {0.5f}, new int[] {3});
      MemorySegment sum = arena.allocate(4);
      quant.addToGrowth(latents, floats(arena, 1, 10, 100, 1000), sum);
      double expected = (1 - 0.6) + 10 * (-2 + 2.4) + 100 * 4 + 1000 * -3;
      assertEquals(0.5 * expected, sum.getAtIndex(ValueLayout.JAVA_FLOAT, 0), 1e-3);
    }
  }

  /** With frozen codes w^ is linear in s, so that differences are exact. */
  @Test
  void freezeCodes_growthAgreesWithDifferences() {
    try (Arena arena = Arena.ofShared()) {
      int rows = 3;
      int cols = 200;
      Random random = new Random(3);
      float[] w = new float[rows * cols];
      float[] g = new float[w.length];
      for (int i = 0; i < w.length; i++) {
        w[i] = 0.3f * (float) random.nextGaussian();
        g[i] = (float) random.nextGaussian();
      }
      int[] zeros = {3, 4, 2, 5, 0, 7};
      float[] scales = new float[6];
      java.util.Arrays.fill(scales, 0.125f);
      FakeQuant quant = FakeQuant.frozen(rows, cols, scales, zeros);
      MemorySegment latents = arena.allocateFrom(ValueLayout.JAVA_FLOAT, w);
      quant.freezeCodes(latents);
      latents.fill((byte) 0); // they play no part any more
      MemorySegment sum = arena.allocate(24);
      quant.addToGrowth(latents, arena.allocateFrom(ValueLayout.JAVA_FLOAT, g), sum);
      for (int group = 0; group < 6; group++) {
        double[] loss = new double[2];
        for (int side = 0; side < 2; side++) {
          float[] growth = new float[6];
          growth[group] = (float) Math.log(side == 0 ? 1.125 : 0.875);
          quant.rescale(arena.allocateFrom(ValueLayout.JAVA_FLOAT, growth));
          MemorySegment rounded = arena.allocate(4L * w.length);
          quant.round(latents, rounded);
          for (int i = 0; i < w.length; i++) {
            loss[side] += (double) g[i] * rounded.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          }
        }
        double slope = (loss[0] - loss[1]) / 0.25; // d loss / d ln s at the middle, for s = s0
        assertEquals(slope, sum.getAtIndex(ValueLayout.JAVA_FLOAT, group), 1e-4);
      }
      quant.rescale(arena.allocateFrom(ValueLayout.JAVA_FLOAT, new float[6]));
      assertEquals(0.125f, quant.scale(0, 0));
      float[] huge = new float[6];
      huge[4] = 30;
      assertThrows(
          ArithmeticException.class,
          () -> quant.rescale(arena.allocateFrom(ValueLayout.JAVA_FLOAT, huge)));
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
