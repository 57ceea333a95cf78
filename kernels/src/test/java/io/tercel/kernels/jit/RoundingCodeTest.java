package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Rounding in machine code against {@link PreparedInput#round}. */
class RoundingCodeTest {

  @Test
  void instructions_areAsManyAsTheLoopNeeds() {
    int usual = 8 * (1 + 2) + 8 + 8 * 7 + 8;
    int zeros = 3 + 8 + 1; // the scale, zeros, and past the codes
    int group = 1 + usual + zeros + 2 + 4 + 3 + 2 + 5;
    assertEquals(6 + 4 + group + 2, RoundingCode.assemble().count());
  }

  /** Groups of every magnitude, ties, and what is not a number. */
  @Test
  void everyGroup_isRoundedAsDefined() {
    Processor.assumeSupported();
    Random random = new Random(3);
    int tokens = 3;
    int cols = 40 * GroupedInts.GROUP - 5;
    try (LinearKernels kernels = new LinearKernels();
        Arena arena = Arena.ofConfined()) {
      JitRounding rounding = new JitRounding(kernels.rounding(), 1, arena);
      for (int round = 0; round < 20; round++) {
        float[] x = new float[tokens * (cols + 5)];
        for (int i = 0; i < x.length; i++) {
          int group = i % (cols + 5) / GroupedInts.GROUP;
          x[i] = value(round, group, random);
        }
        PreparedInput expected = new PreparedInput();
        PreparedInput actual = new PreparedInput();
        expected.grouped(tokens, cols);
        actual.grouped(tokens, cols);
        for (int t = 0; t < tokens; t++) {
          float[] row = Arrays.copyOfRange(x, t * (cols + 5), (t + 1) * (cols + 5));
          Arrays.fill(row, cols, cols + 5, 0f);
          for (int g = 0; g < expected.groups(); g++) {
            expected.round(t, g, row, g * GroupedInts.GROUP);
          }
          rounding.row(x, t * (cols + 5), null, actual, t, 0);
        }
        for (int t = 0; t < tokens; t++) {
          for (int g = 0; g < expected.groups(); g++) {
            String what = "token " + t + ", group " + g;
            assertEquals(expected.scale(t, g), actual.scale(t, g), what);
            assertEquals(expected.sum(t, g), actual.sum(t, g), what);
            for (int k = 0; k < GroupedInts.GROUP; k++) {
              int column = g * GroupedInts.GROUP + k;
              assertEquals(expected.code(t, column), actual.code(t, column), what + ", " + k);
            }
          }
        }
      }
    }
  }

  private static float value(int round, int group, Random random) {
    float gaussian = (float) random.nextGaussian();
    return switch (group % 8) {
      case 0 -> 0f;
      case 1 -> random.nextInt(200) == 0 ? Float.NaN : gaussian;
      case 2 -> random.nextInt(200) == 0 ? Float.NEGATIVE_INFINITY : gaussian;
      case 3 -> gaussian * Math.scalb(1f, -100); // about the least that isn't zeros
      case 4 -> Float.intBitsToFloat(random.nextInt());
      case 5 -> (random.nextInt(65_279) - 32_639) * 0.5f; // ties, if the largest is there
      case 6 -> -0f * gaussian;
      default -> Math.scalb(gaussian, 12 * round - 120);
    };
  }
}
