package io.tercel.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class GptqWriterTest {

  @Test
  void pack_golden() {
    int[] ramp = new int[32];
    Arrays.setAll(ramp, i -> i % 8);
    assertWords(ramp, 0x88FAC688, 0xC688FAC6, 0xFAC688FA);
    int[] fours = new int[32];
    Arrays.fill(fours, 4);
    assertWords(fours, 0x24924924, 0x49249249, 0x92492492);
    int[] ten = new int[32];
    ten[10] = 7;
    assertWords(ten, 0xC0000000, 1, 0);
    int[] twentyOne = new int[32];
    twentyOne[21] = 7;
    assertWords(twentyOne, 0, 0x80000000, 3);
  }

  private static void assertWords(int[] codes, int... words) {
    assertArrayEquals(words, GptqWriter.pack(codes));
  }

  static GptqVariant[] variants() {
    return new GptqVariant[] {
      GptqVariant.SYM,
      GptqVariant.ASYM,
      GptqVariant.ASYM_V2,
      GptqVariant.SYM_ACT_ORDER,
      GptqVariant.ASYM_ACT_ORDER_V2,
      GptqVariant.SYM_NO_G_IDX
    };
  }

  @ParameterizedTest
  @MethodSource("variants")
  void quantize_staysWithinHalfAStep(GptqVariant variant) {
    Random random = new Random(7);
    int out = 64;
    int in = 288;
    float[] weight = new float[out * in];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) random.nextGaussian();
    }
    Map<String, RawTensor> t = GptqWriter.quantize("x", weight, out, in, variant, random);
    GptqReader reader = new GptqReader(t, "x", variant.v2());
    float[] rounded = reader.dequantize();
    for (int i = 0; i < weight.length; i++) {
      float step = reader.scale(i / in, reader.group(i % in));
      // symmetric codes end at +3 steps, where the largest weight is at 3.5; zero points round
      assertEquals(weight[i], rounded[i], 1.01 * step);
    }
  }
}
