package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What every implementation of {@link Ops} must hold: on identical inputs it gives what {@link
 * ScalarOps} gives, bit for bit unless it states a tolerance. A backend's test extends this and
 * supplies its operations; one instance serves all shapes, as scratch that was sized for the last
 * shape is where mistakes hide.
 */
public abstract class OpsContract extends NanContract {
  private static final int[] BATCHES = {1, 2, 3, 5, 17, 33};
  private static final int[] WIDTHS = {1, 13, 16, 24, 31, 96, 207, 1024, 4098};

  private final Ops definition = new ScalarOps();
  private Arena arena = Arena.ofShared();

  /** Largest difference, relative to 1 + |expected|; 0 asks for the same bits. */
  protected double tolerance() {
    return 0;
  }

  /**
   * Whether there are kernels for linears of a format, and for what goes with them: of {@link
   * PerRow#W4A4} transforms of heads and clips of keys and values too. Cases of a format that there
   * are none for are skipped by name; they are not to be computed by the definition.
   */
  protected boolean supports(QuantFormat format) {
    return true;
  }

  private void assumeSupported(QuantFormat format) {
    assumeTrue(supports(format), () -> ops().name() + " has no kernel for " + format.label());
  }

  @AfterEach
  void freeWeights() {
    arena.close();
    arena = Arena.ofShared(); // one instance may run all tests
  }

  @ParameterizedTest
  @EnumSource(Dense.class)
  void embed(Dense format) {
    for (int width : WIDTHS) {
      PackedMatrix table = dense(format, 17, width, new Random(width));
      for (int n : new int[] {1, 5}) {
        StepBatch batch = new StepBatch();
        batch.beginSequence(new int[] {0});
        for (int i = 0; i < n; i++) {
          batch.addToken(i * 7 % 17 == 7 ? 16 : i * 7 % 17, i);
        }
        float[] expected = new float[n * width];
        float[] actual = new float[n * width];
        definition.embed(table, batch, expected);
        ops().embed(table, batch, actual);
        assertSame(expected, actual, format + " of " + width);
      }
    }
  }

  @Test
  void rmsNorm() {
    for (int width : WIDTHS) {
      Random random = new Random(width);
      for (int n : BATCHES) {
        float[] x = gaussians(random, n * width, 3);
        Arrays.fill(x, 0, Math.min(width, x.length), n == 3 ? 0f : 1e-20f);
        float[] weight = gaussians(random, width, 1);
        float[] expected = new float[x.length];
        float[] actual = new float[x.length];
        definition.rmsNorm(x, weight, 1e-6f, n, expected);
        ops().rmsNorm(x, weight, 1e-6f, n, actual);
        assertSame(expected, actual, n + " rows of " + width);
        ops().rmsNorm(x, weight, 1e-6f, n, x);
        assertSame(expected, x, "in place");
      }
    }
  }

  /** What the codes and the scales of a quantized matrix are. */
  enum Filling {
    RANDOM,
    ALL_CODES_0,
    ALL_CODES_7,
    LARGEST_SCALES,
    SUBNORMAL_SCALES,
    ZERO_SCALE_ROWS,
    NEGATIVE_SCALES
  }

  @ParameterizedTest
  @CsvSource({"1,1", "13,24", "16,128", "17,96", "33,207", "70,130", "207,13", "5,4098"})
  void linear_dense(int rows, int cols) {
    for (Dense format : Dense.values()) {
      Random random = new Random(rows * 31L + cols);
      PackedMatrix weight = dense(format, rows, cols, random);
      checkLinear(List.of(new Linear(weight, gaussians(random, rows, 1))), cols, random);
      checkLinear(List.of(new Linear(weight, null)), cols, random);
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1", "13,24", "16,128", "17,96", "33,207", "70,130", "207,13", "5,4098"})
  void linear_w3(int rows, int cols) {
    Random random = new Random(rows * 37L + cols);
    for (boolean actOrder : new boolean[] {false, true}) {
      PackedMatrix weight = w3(rows, cols, Filling.RANDOM, actOrder, random);
      checkLinear(List.of(new Linear(weight, gaussians(random, rows, 1))), cols, random);
      checkLinear(List.of(new Linear(weight, null)), cols, random);
    }
  }

  @ParameterizedTest
  @EnumSource(Filling.class)
  void linear_w3_extremes(Filling filling) {
    Random random = new Random(filling.ordinal());
    for (boolean actOrder : new boolean[] {false, true}) {
      PackedMatrix weight = w3(35, 200, filling, actOrder, random);
      checkLinear(List.of(new Linear(weight, gaussians(random, 35, 1))), 200, random);
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1", "13,24", "16,128", "17,96", "33,207", "70,130", "207,13", "5,4098", "130,256"})
  void linear_int8(int rows, int cols) {
    assumeSupported(Grouped.INT8G128);
    Random random = new Random(rows * 41L + cols);
    PackedMatrix weight = Int8Weights.random(arena, rows, cols, random);
    checkLinear(List.of(new Linear(weight, gaussians(random, rows, 1))), cols, random);
    checkLinear(List.of(new Linear(weight, null)), cols, random);
  }

  @ParameterizedTest
  @EnumSource(Inputs.class)
  void linear_int8_anyInputs(Inputs kind) {
    assumeSupported(Grouped.INT8G128);
    Random random = new Random(kind.ordinal());
    int cols = 200;
    Projection projection =
        Projection.of(new Linear(Int8Weights.random(arena, 35, cols, random), null));
    for (int n : BATCHES) {
      float[] x = new float[n * cols];
      for (int i = 0; i < x.length; i++) {
        x[i] = i / cols == n / 2 ? kind.value(random, i % cols) : (float) random.nextGaussian();
      }
      float[] out = checkProjection(projection, x, n)[0];
      boolean sick = kind == Inputs.NAN || kind == Inputs.INFINITE;
      for (int i = 0; i < out.length; i++) {
        assertEquals(sick && i / 35 == n / 2, Float.isNaN(out[i]), kind + ", element " + i);
      }
    }
  }

  /** 530 million, of either sign, and what the stored bytes give on the way. */
  @Test
  void linear_int8_largestSums() {
    assumeSupported(Grouped.INT8G128);
    for (int code : new int[] {127, -127}) {
      PackedMatrix weight = Int8Weights.constant(arena, 16, 256, (byte) code);
      Projection projection = Projection.of(new Linear(weight, null));
      for (float value : new float[] {32639, -32639, 128, -129}) {
        for (int n : BATCHES) {
          float[] x = new float[n * 256];
          Arrays.fill(x, value);
          for (int at = 0; at < x.length; at += GroupedInts.GROUP) {
            x[at] = 32639;
          }
          int sum = code * (127 * (int) value + 32639);
          for (float y : checkProjection(projection, x, n)[0]) {
            assertEquals((float) sum + (float) sum, y, value + ", " + n + " tokens");
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,0,0",
    "13,24,0,0",
    "16,128,8,16",
    "17,96,0,12",
    "33,207,9,23",
    "70,130,13,0",
    "207,13,0,0",
    "5,4098,2,2049",
    "130,256,16,16",
    "64,3072,48,64"
  })
  void linear_w4(int rows, int cols, int m, int n) {
    assumeSupported(PerRow.W4A4);
    Random random = new Random(rows * 43L + cols);
    InputTransform transform = W4Weights.transform(m, n, 0.9f, 0.75f, random);
    PackedMatrix weight = W4Weights.random(arena, rows, cols, random);
    checkLinear(List.of(new Linear(weight, gaussians(random, rows, 1), transform)), cols, random);
    checkLinear(List.of(new Linear(weight, null)), cols, random);
  }

  @ParameterizedTest
  @EnumSource(Inputs.class)
  void linear_w4_anyInputs(Inputs kind) {
    assumeSupported(PerRow.W4A4);
    Random random = new Random(kind.ordinal());
    int cols = 200;
    PackedMatrix weight = W4Weights.random(arena, 35, cols, random);
    for (InputTransform transform :
        List.of(InputTransform.NONE, W4Weights.transform(10, 20, 1f, 0.5f, random))) {
      Projection projection = Projection.of(new Linear(weight, null, transform));
      for (int n : BATCHES) {
        float[] x = new float[n * cols];
        for (int i = 0; i < x.length; i++) {
          x[i] = i / cols == n / 2 ? kind.value(random, i % cols) : (float) random.nextGaussian();
        }
        float[] out = checkProjection(projection, x, n)[0];
        boolean sick = kind == Inputs.NAN || kind == Inputs.INFINITE;
        for (int i = 0; i < out.length && kind != Inputs.HUGE; i++) {
          assertEquals(sick && i / 35 == n / 2, Float.isNaN(out[i]), kind + ", element " + i);
        }
      }
    }
  }

  /**
   * Rounding by hand: 0 and ties to even, a clip on either side, a row of one sign, none at all.
   */
  @Test
  void prepare_w4_golden() {
    assumeSupported(PerRow.W4A4);
    PackedMatrix weight = W4Weights.constant(arena, 16, 4, 1);
    assertPrepared(weight, InputTransform.NONE, new float[] {-10, 0, 5, 20}, 2f, 5, 0, 5, 7, 15);
    assertPrepared(weight, InputTransform.NONE, new float[] {-10, 1, 3, 20}, 2f, 5, 0, 5, 7, 15);
    assertPrepared(weight, InputTransform.NONE, new float[] {15, 3, 1, 2}, 1f, 0, 15, 3, 1, 2);
    assertPrepared(
        weight, InputTransform.NONE, new float[] {-15, 0, -1, -3}, 1f, 15, 0, 15, 14, 12);
    assertPrepared(weight, InputTransform.NONE, new float[] {0, 0, 0, 0}, 0f, 0, 0, 0, 0, 0);
    InputTransform clip = new InputTransform(null, null, 0.5f, 0.5f);
    assertPrepared(weight, clip, new float[] {-20, 0, 5, 40}, 2f, 5, 0, 5, 7, 15);
    // [1 2; 3 4] from the left, then 2 from the right: 2 (x0 + 3 x2), ...
    InputTransform both =
        new InputTransform(new float[] {1, 2, 3, 4}, new float[] {2, 0, 0, 2}, 1f, 1f);
    assertPrepared(weight, both, new float[] {1, 0, 0, 1.5f}, 0.8f, 0, 2, 11, 5, 15);
  }

  private void assertPrepared(
      PackedMatrix weight,
      InputTransform transform,
      float[] x,
      float scale,
      int zero,
      int... codes) {
    PreparedInput input = new PreparedInput();
    ops().prepare(Projection.of(new Linear(weight, null, transform)), x, 1, input);
    String what = Arrays.toString(x);
    assertEquals(scale, input.rowScale(0), 1e-7, what);
    assertEquals(zero, input.rowZero(0), what);
    for (int k = 0; k < input.groups() * GroupedInts.GROUP; k++) {
      assertEquals(k < codes.length ? codes[k] : 0, input.rowCode(0, k), what + ", column " + k);
    }
    assertEquals(Arrays.stream(codes).sum(), input.rowSum(0), what);
  }

  /** The largest sums of the widest model, of either sign: exact, and no half overflows. */
  @ParameterizedTest
  @ValueSource(ints = {128, 9728})
  void linear_w4_largestSums(int cols) {
    assumeSupported(PerRow.W4A4);
    for (int code : new int[] {-8, 7}) {
      PackedMatrix weight = W4Weights.constant(arena, 16, cols, code);
      Projection projection = Projection.of(new Linear(weight, null));
      for (int value : new int[] {15, -15}) {
        for (int n : BATCHES) {
          float[] x = new float[n * cols];
          Arrays.fill(x, value); // a scale of 1, and a zero point of 0 or 15
          for (float y : checkProjection(projection, x, n)[0]) {
            assertEquals((float) code * value * cols, y, code + " by " + value + ", " + n);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1,8", "2,24", "3,32", "1,80", "4,128"})
  void transformHeads(int heads, int headDim) {
    assumeSupported(PerRow.W4A4);
    Random random = new Random(headDim);
    float[] matrix = gaussians(random, headDim * headDim, 1);
    for (int n : BATCHES) {
      float[] expected = gaussians(random, n * heads * headDim, 1);
      expected[headDim / 2] = Float.NaN;
      float[] actual = expected.clone();
      definition.transformHeads(expected, heads, headDim, matrix, n);
      ops().transformHeads(actual, heads, headDim, matrix, n);
      assertSame(expected, actual, n + " x " + heads + " heads of " + headDim);
    }
  }

  /** What a row of inputs can be that is not like its neighbours. */
  enum Inputs {
    GAUSSIAN,
    /** The largest code at both ends, and halves on their way to even ones. */
    EXTREME_CODES,
    /** One outlier a group: nearly all other codes are small. */
    OUTLIERS,
    /** Groups of zeros, and on both sides of 2^-100. */
    TINY,
    /** The largest floats. */
    HUGE,
    NAN,
    INFINITE;

    float value(Random random, int k) {
      float usual = (float) random.nextGaussian();
      int inGroup = k % GroupedInts.GROUP;
      return switch (this) {
        case GAUSSIAN -> usual;
        case EXTREME_CODES ->
            switch (inGroup % 4) {
              case 0 -> 32639f;
              case 1 -> -32639f;
              default -> inGroup - 64.5f;
            };
        case OUTLIERS -> inGroup == 77 ? 1e4f * usual : usual;
        case TINY ->
            switch (k / GroupedInts.GROUP % 3) {
              case 0 -> 0f;
              case 1 -> Math.nextDown(0x1p-100f) * (inGroup % 3 - 1);
              default -> 0x1p-100f * (inGroup % 5 - 2) / 2;
            };
        case HUGE -> Float.MAX_VALUE * (random.nextFloat() - 0.5f);
        case NAN -> inGroup == 93 ? Float.NaN : usual;
        case INFINITE -> inGroup == 5 ? Float.NEGATIVE_INFINITY : usual;
      };
    }
  }

  /** Codes, scales and sums are exact; what is not a number stays none. */
  @ParameterizedTest
  @EnumSource(Inputs.class)
  void prepare_andLinear_w3(Inputs kind) {
    Random random = new Random(kind.ordinal());
    for (int cols : new int[] {1, 77, 128, 200, 1024}) {
      for (boolean actOrder : new boolean[] {false, true}) {
        PackedMatrix weight = w3(35, cols, Filling.RANDOM, actOrder, random);
        Projection projection = Projection.of(new Linear(weight, gaussians(random, 35, 1)));
        for (int n : BATCHES) {
          float[] x = new float[n * cols];
          for (int i = 0; i < x.length; i++) {
            // the row in the middle of a batch is of that kind
            x[i] = i / cols == n / 2 ? kind.value(random, i % cols) : (float) random.nextGaussian();
          }
          float[] out = checkProjection(projection, x, n)[0];
          boolean sick = kind == Inputs.NAN && cols > 93 || kind == Inputs.INFINITE && cols > 5;
          for (int i = 0; i < out.length; i++) {
            assertEquals(sick && i / 35 == n / 2, Float.isNaN(out[i]), kind + ", element " + i);
          }
        }
      }
    }
  }

  @Test
  void prepare_golden() {
    PreparedInput input = new PreparedInput();
    float[] x = new float[130];
    x[0] = 32639;
    x[1] = -32639;
    x[2] = 128; // low byte -128, so that the high one is 1
    x[3] = 127.5f; // a tie: to the even one, 128
    x[4] = -126.5f;
    x[5] = 0.49f;
    x[129] = -2;
    Random random = new Random(1);
    Projection projection =
        Projection.of(new Linear(w3(16, 130, Filling.RANDOM, false, random), null));
    ops().prepare(projection, x, 1, input);
    int[] expected = {32639, -32639, 128, 128, -126, 0, 0};
    for (int k = 0; k < expected.length; k++) {
      assertEquals(expected[k], input.code(0, k), "column " + k);
    }
    assertEquals(1f, input.scale(0, 0));
    assertEquals(130, input.sum(0, 0));
    assertEquals(-32639, input.code(0, 129));
    assertEquals(2 / 32639f, input.scale(0, 1));
    for (int k = 130; k < 256; k++) {
      assertEquals(0, input.code(0, k), "padding");
    }
    long at = input.codesOffset(0, 0);
    byte[] low = {127, -127, -128, -128, -126, 0};
    byte[] high = {127, -127, 1, 1, 0, 0};
    for (int k = 0; k < low.length; k++) {
      assertEquals(low[k], input.codes().get(ValueLayout.JAVA_BYTE, at + k));
      assertEquals(high[k], input.codes().get(ValueLayout.JAVA_BYTE, at + 128 + k));
    }
  }

  /**
   * The largest sums that there are, and of low bytes alone: no partial sum overflows or rounds.
   */
  @Test
  void linear_w3_largestSums() {
    int cols = 256;
    for (int code : new int[] {0, 7}) {
      MemorySegment s = allocate(Grouped.W3G128, 16, cols);
      byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
      byte[] zeros = new byte[W3Block.ROWS];
      short[] scales = new short[W3Block.ROWS];
      Arrays.fill(codes, (byte) code);
      Arrays.fill(zeros, (byte) (7 - code));
      Arrays.fill(scales, Float.floatToFloat16(1));
      W3Block.pack(codes, scales, zeros, s, 0);
      W3Block.pack(codes, scales, zeros, s, W3Block.BLOCK_BYTES);
      PackedMatrix weight = new PackedMatrix("test", s, 16, cols, Grouped.W3G128, null);
      Projection projection = Projection.of(new Linear(weight, null));
      for (float value : new float[] {32639, -32639, 128, -129, 255, -256}) {
        for (int n : BATCHES) {
          float[] x = new float[n * cols];
          Arrays.fill(x, value);
          for (int at = 0; at < x.length; at += GroupedInts.GROUP) {
            x[at] = 32639; // so that every code is its input
          }
          int sum = (code - (7 - code)) * (127 * (int) value + 32639);
          for (float y : checkProjection(projection, x, n)[0]) {
            assertEquals((float) sum + (float) sum, y, value + ", " + n + " tokens");
          }
        }
      }
    }
  }

  /** Fused with what makes the rows, for every kind of input: the same bits as one by one. */
  @ParameterizedTest
  @ValueSource(ints = {1, 31, 96, 207, 1024})
  void normPrepare_andGatePrepare(int cols) {
    Random random = new Random(cols);
    List<PackedMatrix> weights =
        List.of(
            w3(17, cols, Filling.RANDOM, false, random),
            w3(17, cols, Filling.RANDOM, true, random),
            Int8Weights.random(arena, 17, cols, random),
            W4Weights.random(arena, 17, cols, random),
            dense(Dense.BF16, 17, cols, random),
            dense(Dense.FP32, 17, cols, random));
    PreparedInput expected = new PreparedInput();
    PreparedInput actual = new PreparedInput();
    for (PackedMatrix weight : supported(weights)) {
      Projection projection = Projection.of(new Linear(weight, null));
      for (int n : BATCHES) {
        float[] x = gaussians(random, n * cols, 3);
        float[] norm = gaussians(random, cols, 1);
        float[] normed = new float[n * cols];
        definition.rmsNorm(x, norm, 1e-6f, n, normed);
        definition.prepare(projection, normed, n, expected);
        ops().normPrepare(projection, x, norm, 1e-6f, n, actual);
        checkLinear(projection, expected, actual, n + " normed rows of " + cols);

        float[] gate = gaussians(random, n * cols, 3);
        float[] gated = gate.clone();
        definition.swiglu(gated, x, n * cols);
        definition.prepare(projection, gated, n, expected);
        ops().gatePrepare(projection, gate, x, n, actual);
        checkLinear(projection, expected, actual, n + " gated rows of " + cols);
      }
    }
  }

  /** Layers of one input that share its preparation, and others in between that must not. */
  @Test
  void linear_severalLayers_ofOneInput() {
    Random random = new Random(5);
    int cols = 130;
    PackedMatrix ordered = w3(33, cols, Filling.RANDOM, true, random);
    PackedMatrix alike =
        new PackedMatrix(
            "alike", ordered.segment(), 33, cols, Grouped.W3G128, ordered.inputOrder());
    List<Linear> group =
        List.of(
            new Linear(w3(13, cols, Filling.RANDOM, false, random), null),
            new Linear(w3(24, cols, Filling.RANDOM, false, random), gaussians(random, 24, 1)),
            new Linear(dense(Dense.BF16, 17, cols, random), gaussians(random, 17, 1)),
            new Linear(dense(Dense.FP16, 1, cols, random), null),
            new Linear(dense(Dense.FP32, 31, cols, random), null),
            new Linear(ordered, gaussians(random, 33, 1)),
            new Linear(alike, null),
            new Linear(w3(207, cols, Filling.RANDOM, true, random), null));
    assertEquals(
        List.of(2, 3, 2, 1),
        Projection.split(group).stream().map(p -> p.linears().size()).toList());
    checkLinear(group, cols, random);
    checkLinear(group.subList(0, 3), cols, random);
  }

  /** Rows for several parts of several threads' work, few and many tokens, with a ragged end. */
  @ParameterizedTest
  @CsvSource({"2003, 160", "9001, 32"})
  void linear_of16BitsAndManyRows(int rows, int cols) {
    Random random = new Random(rows);
    PreparedInput expected = new PreparedInput();
    PreparedInput actual = new PreparedInput();
    for (Dense format : List.of(Dense.BF16, Dense.FP16)) {
      Projection layer = Projection.of(new Linear(dense(format, rows, cols, random), null));
      for (int n : new int[] {2, 13}) {
        float[] x = gaussians(random, n * cols, 1);
        definition.prepare(layer, x, n, expected);
        ops().prepare(layer, x, n, actual);
        checkLinear(layer, expected, actual, format + ", " + n + " tokens");
      }
    }
  }

  /** The bits of a row do not depend on how many rows come along. */
  @Test
  void linear_aRowAlone_equalsItselfInABatch() {
    Random random = new Random(6);
    int cols = 207;
    PreparedInput input = new PreparedInput();
    List<PackedMatrix> weights =
        List.of(
            w3(33, cols, Filling.RANDOM, true, random),
            Int8Weights.random(arena, 33, cols, random),
            W4Weights.random(arena, 33, cols, random),
            dense(Dense.BF16, 33, cols, random),
            dense(Dense.FP16, 33, cols, random),
            dense(Dense.FP32, 33, cols, random));
    for (PackedMatrix weight : supported(weights)) {
      Projection layer = Projection.of(new Linear(weight, null));
      float[] x = gaussians(random, 33 * cols, 1);
      float[] together = new float[33 * 33];
      ops().prepare(layer, x, 33, input);
      ops().linear(layer, input, new float[][] {together});
      for (int row = 0; row < 33; row++) {
        float[] alone = new float[33];
        float[] one = Arrays.copyOfRange(x, row * cols, (row + 1) * cols);
        ops().prepare(layer, one, 1, input);
        ops().linear(layer, input, new float[][] {alone});
        assertBits(Arrays.copyOfRange(together, row * 33, (row + 1) * 33), alone, "row " + row);
      }
    }
  }

  private List<PackedMatrix> supported(List<PackedMatrix> weights) {
    return weights.stream().filter(w -> supports(w.format())).toList();
  }

  private void checkLinear(List<Linear> group, int cols, Random random) {
    for (Projection projection : Projection.split(group)) {
      for (int n : BATCHES) {
        checkProjection(projection, gaussians(random, n * cols, 1), n);
      }
    }
  }

  /** Prepares and multiplies; answers the outputs. */
  private float[][] checkProjection(Projection projection, float[] x, int n) {
    PreparedInput expected = new PreparedInput();
    PreparedInput actual = new PreparedInput();
    definition.prepare(projection, x, n, expected);
    ops().prepare(projection, x, n, actual);
    return checkLinear(projection, expected, actual, n + " tokens");
  }

  /** Inputs that must have been prepared to the same, and what they give. */
  private float[][] checkLinear(
      Projection projection, PreparedInput expected, PreparedInput actual, String what) {
    int n = expected.tokens();
    assertEquals(n, actual.tokens(), what);
    if (projection.input() instanceof InputSpec.Int16PerGroup) {
      assertSameCodes(expected, actual, what);
    } else if (projection.input() instanceof InputSpec.Int4PerToken) {
      assertSameRows(expected, actual, what);
    } else {
      int size = n * projection.cols();
      assertSame(
          Arrays.copyOf(expected.values(), size), Arrays.copyOf(actual.values(), size), what);
    }
    float[][] before = outputs(projection, n);
    float[][] after = outputs(projection, n);
    definition.linear(projection, expected, before);
    ops().linear(projection, actual, after);
    for (int i = 0; i < before.length; i++) {
      PackedMatrix w = projection.linears().get(i).weight();
      String which = w.format().label() + " " + w.rows() + " x " + w.cols() + ", " + what;
      assertSame(before[i], after[i], which);
    }
    return after;
  }

  private static void assertSameCodes(PreparedInput expected, PreparedInput actual, String what) {
    assertEquals(expected.groups(), actual.groups(), what);
    for (int t = 0; t < expected.tokens(); t++) {
      for (int g = 0; g < expected.groups(); g++) {
        String where = what + ", token " + t + ", group " + g;
        assertEquals(expected.scale(t, g), actual.scale(t, g), where);
        assertEquals(expected.sum(t, g), actual.sum(t, g), where);
        for (int k = g * GroupedInts.GROUP; k < (g + 1) * GroupedInts.GROUP; k++) {
          assertEquals(expected.code(t, k), actual.code(t, k), where);
        }
      }
    }
  }

  private static void assertSameRows(PreparedInput expected, PreparedInput actual, String what) {
    assertEquals(expected.groups(), actual.groups(), what);
    for (int t = 0; t < expected.tokens(); t++) {
      String where = what + ", token " + t;
      assertEquals(expected.rowScale(t), actual.rowScale(t), where);
      assertEquals(expected.rowZero(t), actual.rowZero(t), where);
      assertEquals(expected.rowSum(t), actual.rowSum(t), where);
      assertEquals(expected.rowCompletion(t), actual.rowCompletion(t), where);
      for (int k = 0; k < expected.groups() * GroupedInts.GROUP; k++) {
        assertEquals(expected.rowCode(t, k), actual.rowCode(t, k), where + ", column " + k);
      }
    }
  }

  private static float[][] outputs(Projection projection, int n) {
    float[][] outs = new float[projection.linears().size()][];
    for (int i = 0; i < outs.length; i++) {
      outs[i] = new float[n * projection.linears().get(i).weight().rows()];
      Arrays.fill(outs[i], -77f);
    }
    return outs;
  }

  @ParameterizedTest
  @CsvSource({"1,24", "2,32", "3,64", "6,128"})
  void rope(int heads, int headDim) {
    for (int n : BATCHES) {
      RopeTable table = new RopeTable(headDim, 1e4);
      StepBatch batch = new StepBatch();
      batch.beginSequence(new int[0]);
      for (int i = 0; i < n; i++) {
        batch.addToken(0, 40_000 + i);
      }
      table.fill(batch);
      float[] expected = gaussians(new Random(n), n * heads * headDim, 1);
      float[] actual = expected.clone();
      definition.rope(expected, heads, headDim, table, n);
      ops().rope(actual, heads, headDim, table, n);
      assertSame(expected, actual, n + " rows");
    }
  }

  @Test
  void rope_golden() {
    RopeTable table = new RopeTable(8, 1e4);
    StepBatch batch = new StepBatch();
    batch.beginSequence(new int[0]);
    batch.addToken(0, 3);
    table.fill(batch);
    float[] x = {1, 2, 3, 4, 5, 6, 7, 8};
    ops().rope(x, 1, 8, table, 1);
    double[] golden = {
      -1.695593, .137552, 2.788682, 3.975982, -4.808842, 6.323059, 7.086837, 8.011964
    };
    for (int i = 0; i < 8; i++) {
      assertEquals(golden[i], x[i], 2e-6);
    }
  }

  @ParameterizedTest
  @EnumSource(KvType.class)
  void appendKv(KvType type) {
    for (int headDim : new int[] {24, 32, 128}) {
      checkAppend(type, headDim, KvTransform.NONE);
    }
  }

  @ParameterizedTest
  @EnumSource(KvType.class)
  void appendKv_clips(KvType type) {
    assumeSupported(PerRow.W4A4);
    for (int headDim : new int[] {24, 32, 128}) {
      checkAppend(
          type,
          headDim,
          new KvTransform(null, null, new float[] {0.75f, 0.5f}, new float[] {1f, 0.875f}));
    }
  }

  private void checkAppend(KvType type, int headDim, KvTransform transform) {
    Random random = new Random(headDim);
    try (PagedBatch b = new PagedBatch(type, 2, headDim, random, "600:1", "40:33", "17:2");
        KvPool other = new KvPool(b.pool.layout(), b.pool.numBlocks())) {
      MemorySegment.copy(b.pool.segment(), 0, other.segment(), 0, other.bytes());
      float[] k = gaussians(random, b.batch.numTokens() * 2 * headDim, 2);
      float[] v = gaussians(random, k.length, 1e5); // beyond a half's range, both ways
      k[0] = 1e-7f;
      k[1] = -0f;
      definition.appendKv(b.pool, 1, b.batch, k, v, transform);
      ops().appendKv(other, 1, b.batch, k, v, transform);
      assertEquals(-1, b.pool.segment().mismatch(other.segment()), type + ", " + headDim);
    }
  }

  /**
   * All contexts about the edges of blocks and splits, decoding and in chunks, in one batch. Blocks
   * lie in any order, and whatever no token owns is NaN or noise.
   */
  @ParameterizedTest
  @CsvSource({
    "FP32,24,2,1",
    "FP32,32,2,2",
    "FP32,64,1,3",
    "FP32,128,1,6",
    "FP32,24,1,6",
    "FP32,128,2,1",
    "FP32,64,1,4",
    "FP16,32,2,4",
    "FP16,24,2,3",
    "FP16,32,1,6",
    "FP16,64,2,1",
    "FP16,128,2,2",
    "FP16,24,1,2",
    "INT4,24,2,3",
    "INT4,32,1,6",
    "INT4,64,2,1",
    "INT4,128,2,2",
    "INT4,128,1,6",
    "INT4,128,2,4",
    "INT4,80,3,2",
    "INT4,24,1,2"
  })
  void attention(KvType type, int headDim, int kvHeads, int group) {
    Random random = new Random(headDim * 7L + group);
    int heads = kvHeads * group;
    try (PagedBatch b =
        new PagedBatch(
            type, kvHeads, headDim, random, "1:1", "15:1", "16:16", "17:4", "255:1", "256:3",
            "257:2", "600:1", "600:5", "290:40", "17:17", "33:1")) {
      float[] q = gaussians(random, b.batch.numTokens() * heads * headDim, 1.5);
      float[] expected = new float[q.length];
      float[] actual = new float[q.length];
      definition.attention(b.pool, 1, b.batch, q, heads, expected);
      ops().attention(b.pool, 1, b.batch, q, heads, actual);
      for (float x : expected) {
        assertTrue(Float.isFinite(x) && Math.abs(x) < 10, "garbage leaked: " + x);
      }
      assertSame(expected, actual, type + ", " + headDim);
    }
  }

  /** Rows one by one, a few at a time and as a tile: the same bits, whatever the tolerance. */
  @ParameterizedTest
  @EnumSource(KvType.class)
  void attention_fewRowsAndTiles_agree(KvType type) {
    Random random = new Random(11);
    int headDim = 32;
    int heads = 6;
    try (PagedBatch b = new PagedBatch(type, 2, headDim, random, "600:36")) {
      int width = heads * headDim;
      float[] q = gaussians(random, 36 * width, 1.5);
      float[] tile = new float[q.length];
      ops().attention(b.pool, 1, b.batch, q, heads, tile);
      for (int few : new int[] {1, 4, 6}) {
        for (int from = 0; from < 36; from += few) {
          StepBatch part = new StepBatch();
          part.beginSequence(b.batch.blockTable(0));
          for (int row = from; row < from + few; row++) {
            part.addToken(0, b.batch.position(row));
          }
          float[] out = new float[few * width];
          float[] some = Arrays.copyOfRange(q, from * width, (from + few) * width);
          ops().attention(b.pool, 1, part, some, heads, out);
          assertBits(
              Arrays.copyOfRange(tile, from * width, (from + few) * width), out, few + " rows");
        }
      }
    }
  }

  /** Scores that are far apart, and all the same: exponentials that vanish, and ties. */
  @ParameterizedTest
  @ValueSource(doubles = {0, 60})
  void attention_extremeScores(double deviation) {
    Random random = new Random(12);
    try (PagedBatch b = new PagedBatch(KvType.FP32, 1, 32, random, "600:1", "300:9")) {
      float[] q = gaussians(random, b.batch.numTokens() * 64, deviation);
      float[] expected = new float[q.length];
      float[] actual = new float[q.length];
      definition.attention(b.pool, 1, b.batch, q, 2, expected);
      ops().attention(b.pool, 1, b.batch, q, 2, actual);
      assertSame(expected, actual, "deviation " + deviation);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 24, 207, 4098, 40_001})
  void swiglu_andAdd(int count) {
    Random random = new Random(count);
    float[] gate = gaussians(random, count + 5, 5);
    float[] extremes = {-0f, 0f, 88.5f, -88.5f, 1e30f, -1e30f, -87.3f, 87.3f, 1e-30f};
    for (int i = 0; i < extremes.length && count > 13; i++) {
      gate[i + 3] = extremes[i];
    }
    float[] up = gaussians(random, count + 5, 1);
    float[] expected = gate.clone();
    float[] actual = gate.clone();
    definition.swiglu(expected, up, count);
    ops().swiglu(actual, up, count);
    assertSame(expected, actual, "swiglu");
    definition.add(expected, up, count);
    ops().add(actual, up, count);
    assertSame(expected, actual, "add");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 24, 207, 1024, 1025, 4098})
  void argMax_andSumExp(int count) {
    Random random = new Random(count);
    for (int offset : new int[] {0, 7}) {
      float[] x = gaussians(random, offset + count + 3, 4);
      Arrays.fill(x, offset + count, x.length, 1e9f); // not to be looked at
      Arrays.fill(x, 0, offset, 1e9f);
      for (int round = 0; round < 6; round++) {
        int best = definition.argMax(x, offset, count);
        assertEquals(best, ops().argMax(x, offset, count), count + " from " + offset);
        double expected = definition.sumExp(x, offset, count, x[offset + best]);
        double actual = ops().sumExp(x, offset, count, x[offset + best]);
        if (tolerance() == 0) {
          assertEquals(expected, actual);
        } else {
          assertEquals(expected, actual, tolerance() * expected);
        }
        switch (round) {
          case 0 -> x[offset + count - 1] = x[offset + best]; // a tie: the first one counts
          case 1 -> x[offset + count / 2] = Float.NEGATIVE_INFINITY;
          case 2 -> x[offset + count - 1] = 1e4f;
          case 3 -> x[offset] = 1e4f;
          default -> Arrays.fill(x, offset, offset + count, -0f);
        }
      }
    }
  }

  @Test
  void argMax_nothingButMinusInfinity_isTheFirst() {
    float[] x = new float[40];
    Arrays.fill(x, Float.NEGATIVE_INFINITY);
    assertEquals(0, ops().argMax(x, 3, 33));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 63, 64, 65, 207, 1024, 4098})
  void weigh_andAtLeast(int count) {
    Random random = new Random(count);
    for (int offset : new int[] {0, 7}) {
      float[] x = gaussians(random, offset + count + 3, 4);
      x[offset + random.nextInt(count)] = Float.NEGATIVE_INFINITY;
      x[offset + random.nextInt(count)] = -0f;
      Arrays.fill(x, offset + count, x.length, 1e9f); // not to be looked at
      Arrays.fill(x, 0, offset, 1e9f);
      float max = x[offset + definition.argMax(x, offset, count)];
      for (float temperature : new float[] {1e-6f, 0.3f, 0.6f, 1f, 2f}) {
        float[] expected = new float[count + 2];
        float[] actual = new float[count + 2];
        definition.weigh(x, offset, count, max, temperature, expected);
        ops().weigh(x, offset, count, max, temperature, actual);
        assertArrayEquals(expected, actual, "temperature " + temperature);
      }
      for (float least : new float[] {max, x[offset], 0f, -1e-3f, Float.NEGATIVE_INFINITY, 1e9f}) {
        int[] expected = new int[count];
        int[] actual = new int[count];
        int size = definition.atLeast(x, offset, count, least, expected);
        assertEquals(size, ops().atLeast(x, offset, count, least, actual), "least " + least);
        assertArrayEquals(Arrays.copyOf(expected, size), Arrays.copyOf(actual, size));
      }
    }
  }

  /** Words that are empty, full, mixed and missing; in place and not; bits behind the end. */
  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 63, 64, 65, 207, 1024, 4098})
  void mask_leavesTheAllowed(int count) {
    Random random = new Random(count);
    for (int round = 0; round < 24; round++) {
      int offset = round % 2 == 0 ? 0 : 7;
      float[] x = gaussians(random, offset + count + 3, 4);
      x[offset + random.nextInt(count)] = Float.NEGATIVE_INFINITY;
      x[offset + random.nextInt(count)] = round % 5 == 0 ? Float.NaN : 1e4f;
      x[offset + random.nextInt(count)] = round % 3 == 0 ? 1e4f : -0f; // a tie: the first counts
      long[] allowed = new long[Math.max(1, (count + 63) / 64 - round % 4 / 3)];
      for (int i = 0; i < allowed.length; i++) {
        allowed[i] =
            switch (random.nextInt(4)) {
              case 0 -> 0;
              case 1 -> -1;
              case 2 -> 1L << random.nextInt(64);
              default -> random.nextLong();
            };
      }
      float[] before = x.clone();
      float[] expected = new float[count + 2];
      float[] actual = new float[count + 2];
      int best = definition.mask(x, offset, count, allowed, expected);
      assertEquals(best, ops().mask(x, offset, count, allowed, actual), "round " + round);
      assertBits(expected, actual, "round " + round);
      assertBits(before, x, "source");
      if (offset == 0) {
        assertEquals(best, ops().mask(x, 0, count, allowed, x), "in place, round " + round);
        assertBits(Arrays.copyOf(expected, count), Arrays.copyOf(x, count), "in place");
      }
    }
    assertEquals(0, ops().mask(new float[count], 0, count, new long[] {0}, new float[count]));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 100})
  void forEach_everyTaskOnce(int count) {
    AtomicIntegerArray runs = new AtomicIntegerArray(count);
    ops()
        .forEach(
            count,
            (i, worker) -> {
              assertTrue(0 <= worker && worker < ops().workers());
              runs.incrementAndGet(i);
            });
    for (int i = 0; i < count; i++) {
      assertEquals(1, runs.get(i));
    }
  }

  private void assertSame(float[] expected, float[] actual, String what) {
    if (tolerance() == 0) {
      assertBits(expected, actual, what);
      return;
    }
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      double allowed = tolerance() * (1 + Math.abs(expected[i]));
      assertEquals(expected[i], actual[i], allowed, what + ", element " + i);
    }
  }

  private static void assertBits(float[] expected, float[] actual, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      if (Float.floatToIntBits(expected[i]) != Float.floatToIntBits(actual[i])) { // any NaN
        throw new AssertionError(
            "%s, element %d: %s instead of %s".formatted(what, i, actual[i], expected[i]));
      }
    }
  }

  private static float[] gaussians(Random random, int count, double deviation) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) (deviation * random.nextGaussian());
    }
    return x;
  }

  private PackedMatrix dense(Dense format, int rows, int cols, Random random) {
    MemorySegment s = allocate(format, rows, cols);
    for (long i = 0; i < (long) rows * cols; i++) {
      // tiny ones among them: subnormal halves
      float w = (float) (random.nextGaussian() * (random.nextInt(16) == 0 ? 1e-6 : 0.05));
      format.store(s, i, w);
    }
    return new PackedMatrix("test", s, rows, cols, format, null);
  }

  private PackedMatrix w3(int rows, int cols, Filling filling, boolean actOrder, Random random) {
    MemorySegment s = allocate(Grouped.W3G128, rows, cols);
    int groups = W3Block.groups(cols);
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    byte[] zeros = new byte[W3Block.ROWS];
    short[] scales = new short[W3Block.ROWS];
    for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
      for (int g = 0; g < groups; g++) {
        for (int i = 0; i < codes.length; i++) {
          codes[i] =
              switch (filling) {
                case ALL_CODES_0 -> 0;
                case ALL_CODES_7 -> 7;
                default -> (byte) random.nextInt(8);
              };
        }
        for (int r = 0; r < W3Block.ROWS; r++) {
          zeros[r] = (byte) random.nextInt(8);
          float scale = tile * 16 + r < rows ? scale(filling, r, random) : 0f;
          scales[r] = Float.floatToFloat16(scale);
        }
        W3Block.pack(codes, scales, zeros, s, W3Block.blockOffset(tile, g, groups));
      }
    }
    int[] order = actOrder ? shuffled(cols, random) : null;
    return new PackedMatrix("test", s, rows, cols, Grouped.W3G128, order);
  }

  private static float scale(Filling filling, int row, Random random) {
    float usual = 0.005f + 0.02f * random.nextFloat();
    return switch (filling) {
      case LARGEST_SCALES -> row % 2 == 0 ? 65504f : -65504f;
      case SUBNORMAL_SCALES -> (1 + random.nextInt(1023)) * 0x1p-24f;
      case ZERO_SCALE_ROWS -> row % 3 == 0 ? 0f : usual;
      case NEGATIVE_SCALES -> -usual;
      default -> usual;
    };
  }

  private MemorySegment allocate(QuantFormat format, int rows, int cols) {
    return arena.allocate(format.bytes(rows, cols), 64);
  }

  private static int[] shuffled(int count, Random random) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  /**
   * A batch of sequences, each {@code context:rows}, whose last rows are to be computed, and a pool
   * that holds all their keys and values, with garbage about them.
   */
  private final class PagedBatch implements AutoCloseable {
    final StepBatch batch = new StepBatch();
    final KvPool pool;

    PagedBatch(KvType type, int kvHeads, int headDim, Random random, String... sequences) {
      List<int[]> shapes = new ArrayList<>();
      int blocks = 3;
      for (String sequence : sequences) {
        String[] parts = sequence.split(":", -1);
        int[] shape = {Integer.parseInt(parts[0]), Integer.parseInt(parts[1])};
        shapes.add(shape);
        blocks += Math.ceilDiv(shape[0], KvLayout.BLOCK_SIZE);
      }
      pool = new KvPool(new KvLayout(type, 2, kvHeads, headDim), blocks);
      fillWithGarbage(random);
      int[] free = shuffled(blocks, random);
      int used = 0;
      for (int[] shape : shapes) {
        int length = Math.ceilDiv(shape[0], KvLayout.BLOCK_SIZE);
        int[] table = Arrays.copyOfRange(free, used, used + length + 1);
        table[length] = Integer.MAX_VALUE; // entries past the last row's are not to be read
        used += length;
        fill(table, shape[0], kvHeads * headDim, random);
        batch.beginSequence(table);
        for (int p = shape[0] - shape[1]; p < shape[0]; p++) {
          batch.addToken(0, p);
        }
      }
    }

    private void fillWithGarbage(Random random) {
      int[] nasty = {0x7fc07e00, 0xffc0fe01, 0x7f807c00, 0xff80fc00, 0x7bff7bff};
      for (long at = 0; at < pool.bytes(); at += 4) {
        int bits = random.nextInt(4) == 0 ? random.nextInt() : nasty[random.nextInt(5)];
        pool.segment().set(ValueLayout.JAVA_INT_UNALIGNED, at, bits);
      }
    }

    private void fill(int[] table, int context, int width, Random random) {
      StepBatch whole = new StepBatch();
      whole.beginSequence(table);
      for (int p = 0; p < context; p++) {
        whole.addToken(0, p);
      }
      float[] k = gaussians(random, context * width, 1);
      float[] v = gaussians(random, context * width, 1);
      definition.appendKv(pool, 1, whole, k, v);
    }

    @Override
    public void close() {
      pool.close();
    }
  }
}
