package io.tercel.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every matrix kernel against double arithmetic, and against itself in other shapes, bit for bit.
 */
final class GemvGemmTest {
  private static final int[] BATCHES = {1, 2, 3, 5, 8, 17, 33};
  private static final int TOKENS = 33;

  /** A layer in some format, its exact weights, and what they give in double. */
  private interface Layer {
    int rows();

    int cols();

    /** Rows come in units of this many: a partition may cut between units only. */
    int unitRows();

    double weight(int r, int c);

    /** Distance between neighbouring weights: errors are relative to it where weights cancel. */
    double step(int r, int c);

    /** Row r for one token by the written definition, in plain scalar Java. */
    float defined(PreparedInput x, int token, int r);

    /** x is [tokens][cols]. */
    PreparedInput prepare(float[] x, int tokens);

    /** Input c of a token as it was prepared: what the sums are to be exact for. */
    double input(PreparedInput x, int token, int c);

    /** All prepared tokens, one by the GEMV and more by the GEMM, to y [tokens][rows]. */
    void multiply(int unitFrom, int unitTo, PreparedInput x, float[] y);
  }

  static Stream<Arguments> shapes() {
    return IntStream.of(1, 13, 16, 33, 207)
        .boxed()
        .flatMap(
            rows ->
                IntStream.of(1, 17, 96, 128, 200, 1024, 4098)
                    .filter(cols -> rows < 207 || cols < 1024)
                    .mapToObj(cols -> Arguments.of(rows, cols)));
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void w3(int rows, int cols) {
    try (Arena arena = Arena.ofConfined()) {
      check(new W3(arena, rows, cols, rows * 31 + cols, false, -1), 2e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void w3_actOrder(int rows, int cols) {
    try (Arena arena = Arena.ofConfined()) {
      check(new W3(arena, rows, cols, rows * 37 + cols, true, -1), 2e-6);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 7})
  void w3_extremeCodes(int code) {
    try (Arena arena = Arena.ofConfined()) {
      check(new W3(arena, 33, 200, code, false, code), 4e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void bf16(int rows, int cols) {
    try (Arena arena = Arena.ofConfined()) {
      check(new DenseLayer(Dense.BF16, arena, rows, cols), 1e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void fp16(int rows, int cols) {
    try (Arena arena = Arena.ofConfined()) {
      check(new DenseLayer(Dense.FP16, arena, rows, cols), 1e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void fp32(int rows, int cols) {
    try (Arena arena = Arena.ofConfined()) {
      check(new DenseLayer(Dense.FP32, arena, rows, cols), 1e-6);
    }
  }

  @Test
  void fp16_everyFinitePattern() {
    int cols = 32;
    int rows = (1 << 16) / cols;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment w = arena.allocate(1 << 17, 64);
      for (int i = 0; i < 1 << 16; i++) {
        boolean finite = (i & 0x7c00) != 0x7c00;
        w.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (finite ? i : 0));
      }
      KernelScratch scratch = new KernelScratch();
      PreparedInput x = new PreparedInput();
      float[] unit = new float[cols];
      float[] y = new float[rows];
      for (int c = 0; c < cols; c++) {
        Arrays.fill(unit, 0);
        unit[c] = 1;
        x.plain(unit, 1, cols);
        DenseInput.row(x, 0);
        DenseGemv.multiply(Dense.FP16, w, 0, 0, rows, x, null, y, 0, scratch);
        for (int r = 0; r < rows; r++) {
          short bits = w.getAtIndex(ValueLayout.JAVA_SHORT, r * cols + c);
          assertEquals(Float.float16ToFloat(bits) + 0f, y[r] + 0f);
        }
      }
    }
  }

  /** The interpreter, C1 and C2 in turn: the first call must give what the 10,000th gives. */
  @ParameterizedTest
  @EnumSource(Dense.class)
  void coldEqualsHot_dense(Dense format) {
    try (Arena arena = Arena.ofConfined()) {
      coldEqualsHot(new DenseLayer(format, arena, 13, 200));
    }
  }

  @Test
  void coldEqualsHot_w3() {
    try (Arena arena = Arena.ofConfined()) {
      coldEqualsHot(new W3(arena, 33, 200, 5, false, -1));
    }
  }

  @Test
  void rounding_smallerAfterLarger_leavesNothingBehind() {
    float[] x = new float[1024];
    Arrays.fill(x, 3);
    PreparedInput a = new PreparedInput();
    KernelScratch scratch = new KernelScratch();
    a.grouped(2, 512);
    Rounding.row(x, 0, null, a, 0, scratch);
    Rounding.row(x, 512, null, a, 1, scratch);
    a.grouped(2, 100);
    Rounding.row(x, 0, null, a, 0, scratch);
    Rounding.row(x, 100, null, a, 1, scratch);
    for (int t = 0; t < 2; t++) {
      assertEquals(32639, a.code(t, 99));
      assertEquals(0, a.code(t, 100));
      assertEquals(32639, a.arranged(256)[t * 128 + 99]);
      assertEquals(0, a.arranged(256)[t * 128 + 100]);
      assertEquals(100 * 32639, a.sum(t, 0));
    }
  }

  private static void coldEqualsHot(Layer layer) {
    float[] x = inputs(layer.cols(), 5);
    int units = Math.ceilDiv(layer.rows(), layer.unitRows());
    int rows = layer.rows();
    float[] cold = new float[5 * rows];
    float[] hot = new float[5 * rows];
    layer.multiply(0, units, layer.prepare(x, 5), cold);
    for (int i = 0; i < 10_000; i++) {
      layer.multiply(0, units, layer.prepare(x, 5), hot);
    }
    assertBits(cold, hot);
    float[] one = new float[rows];
    for (int i = 0; i < 10_000; i++) {
      int t = i % 5;
      layer.multiply(0, units, row(layer, x, t), one);
      if (i >= 9_995) {
        assertBits(Arrays.copyOfRange(cold, t * rows, (t + 1) * rows), one);
      }
    }
  }

  private static PreparedInput row(Layer layer, float[] x, int token) {
    int cols = layer.cols();
    return layer.prepare(Arrays.copyOfRange(x, token * cols, (token + 1) * cols), 1);
  }

  private static void check(Layer layer, double tolerance) {
    int rows = layer.rows();
    int cols = layer.cols();
    int units = Math.ceilDiv(rows, layer.unitRows());
    float[] x = inputs(cols, TOKENS);
    float[] alone = new float[TOKENS * rows];
    for (int t = 0; t < TOKENS; t++) {
      float[] y = new float[rows];
      layer.multiply(0, units, row(layer, x, t), y);
      System.arraycopy(y, 0, alone, t * rows, rows);
    }
    PreparedInput prepared = layer.prepare(x, TOKENS);
    assertNearDouble(layer, prepared, alone, tolerance);
    for (int r = 0; r < rows; r++) {
      assertEquals(layer.defined(prepared, 2, r), alone[2 * rows + r], "row " + r);
    }

    float[] cut = new float[rows];
    for (int u = 0; u < units; u++) {
      layer.multiply(u, u + 1, row(layer, x, 1), cut);
    }
    assertBits(Arrays.copyOfRange(alone, rows, 2 * rows), cut);

    for (int batch : BATCHES) {
      int from = TOKENS - batch;
      float[] together = new float[batch * rows];
      float[] some = Arrays.copyOfRange(x, from * cols, TOKENS * cols);
      layer.multiply(0, units, layer.prepare(some, batch), together);
      assertBits(Arrays.copyOfRange(alone, from * rows, TOKENS * rows), together);
    }

    float[] parts = new float[TOKENS * rows];
    int half = units / 3;
    PreparedInput all = layer.prepare(x, TOKENS);
    layer.multiply(half, units, all, parts);
    layer.multiply(0, half, all, parts);
    assertBits(alone, parts);
  }

  private static void assertNearDouble(Layer layer, PreparedInput x, float[] y, double tolerance) {
    int rows = layer.rows();
    int cols = layer.cols();
    for (int t = 0; t < TOKENS; t += 8) {
      for (int r = 0; r < rows; r++) {
        double sum = 0;
        double magnitude = 1e-6;
        for (int c = 0; c < cols; c++) {
          double input = layer.input(x, t, c);
          double product = layer.weight(r, c) * input;
          sum += product;
          magnitude += Math.abs(product) + Math.abs(layer.step(r, c) * input);
        }
        double error = Math.abs(y[t * rows + r] - bias(r) - sum) / (magnitude + Math.abs(bias(r)));
        assertTrue(error < tolerance, "row " + r + ", token " + t + ": relative error " + error);
      }
    }
  }

  private static void assertBits(float[] expected, float[] actual) {
    int[] e = new int[expected.length];
    int[] a = new int[actual.length];
    for (int i = 0; i < e.length; i++) {
      e[i] = Float.floatToRawIntBits(expected[i]);
    }
    for (int i = 0; i < a.length; i++) {
      a[i] = Float.floatToRawIntBits(actual[i]);
    }
    assertArrayEquals(e, a);
  }

  private static float[] inputs(int cols, int tokens) {
    Random random = new Random(cols);
    float[] x = new float[cols * tokens];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static float bias(int r) {
    return r * 0.25f - 1;
  }

  private static float[] biases(int rows) {
    float[] b = new float[rows];
    for (int r = 0; r < rows; r++) {
      b[r] = bias(r);
    }
    return b;
  }

  private static final class W3 implements Layer {
    private static final long OFFSET = 832;
    private final MemorySegment segment;
    private final int rows;
    private final int cols;
    private final double[][] weights;
    private final double[][] steps;
    private final int @Nullable [] order;
    private final float[] bias;
    private final KernelScratch scratch = new KernelScratch();

    W3(Arena arena, int rows, int cols, long seed, boolean actOrder, int onlyCode) {
      Random random = new Random(seed);
      this.rows = rows;
      this.cols = cols;
      bias = biases(rows);
      weights = new double[rows][cols];
      steps = new double[rows][cols];
      order = actOrder ? shuffled(cols, random) : null;
      segment = arena.allocate(OFFSET + W3Block.matrixBytes(rows, cols), 64);
      int groups = W3Block.groups(cols);
      for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
        for (int g = 0; g < groups; g++) {
          byte[] codes = new byte[16 * 128];
          byte[] zeros = new byte[16];
          short[] scales = new short[16];
          for (int r = 0; r < 16; r++) {
            int row = tile * 16 + r;
            float scale = (random.nextFloat() - 0.2f) * 0.02f;
            scales[r] = row < rows ? Float.floatToFloat16(r == 3 ? scale * 1e-4f : scale) : 0;
            zeros[r] = (byte) (onlyCode < 0 ? random.nextInt(8) : 7 - onlyCode);
            for (int k = 0; k < 128; k++) {
              int code = onlyCode < 0 ? random.nextInt(8) : onlyCode;
              codes[r * 128 + k] = (byte) code;
              int col = g * 128 + k;
              if (row < rows && col < cols) {
                int input = order == null ? col : order[col];
                weights[row][input] = Float.float16ToFloat(scales[r]) * (double) (code - zeros[r]);
                steps[row][input] = Float.float16ToFloat(scales[r]);
              }
            }
          }
          W3Block.pack(
              codes, scales, zeros, segment, OFFSET + W3Block.blockOffset(tile, g, groups));
        }
      }
    }

    private static int[] shuffled(int n, Random random) {
      int[] order = IntStream.range(0, n).toArray();
      for (int i = n - 1; i > 0; i--) {
        int j = random.nextInt(i + 1);
        int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
      }
      return order;
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int cols() {
      return cols;
    }

    @Override
    public int unitRows() {
      return W3Block.ROWS;
    }

    @Override
    public double weight(int r, int c) {
      return weights[r][c];
    }

    @Override
    public float defined(PreparedInput x, int token, int r) {
      int groups = W3Block.groups(cols);
      byte[] codes = new byte[16 * 128];
      byte[] zeros = new byte[16];
      short[] scales = new short[16];
      float y = 0;
      for (int g = 0; g < groups; g++) {
        long block = OFFSET + W3Block.blockOffset(r / 16, g, groups);
        W3Block.unpack(segment, block, codes, scales, zeros);
        long sum = 0;
        for (int k = 0; k < 128; k++) {
          sum += (long) (codes[r % 16 * 128 + k] - zeros[r % 16]) * x.code(token, g * 128 + k);
        }
        y = Math.fma(Float.float16ToFloat(scales[r % 16]) * x.scale(token, g), (float) sum, y);
      }
      return y + bias[r];
    }

    @Override
    public double input(PreparedInput x, int token, int c) {
      int packed = c;
      for (int j = 0; order != null && j < cols; j++) {
        packed = order[j] == c ? j : packed;
      }
      return (double) x.scale(token, packed / 128) * x.code(token, packed);
    }

    @Override
    public double step(int r, int c) {
      return steps[r][c];
    }

    @Override
    public PreparedInput prepare(float[] x, int tokens) {
      PreparedInput a = new PreparedInput();
      a.grouped(tokens, cols);
      for (int t = 0; t < tokens; t++) {
        Rounding.row(x, t * cols, order, a, t, scratch);
      }
      return a;
    }

    @Override
    public void multiply(int from, int to, PreparedInput x, float[] y) {
      if (x.tokens() == 1) {
        W3Gemv.multiply(segment, OFFSET, rows, from, to, x, bias, y, scratch);
      } else {
        W3Gemm.multiply(segment, OFFSET, rows, from, to, x, bias, y, scratch);
      }
    }
  }

  private static final class DenseLayer implements Layer {
    private static final long OFFSET = 6; // not aligned to anything on purpose
    private final Dense format;
    private final MemorySegment segment;
    private final int rows;
    private final int cols;
    private final double[][] weights;
    private final float[] bias;
    private final KernelScratch scratch = new KernelScratch();

    DenseLayer(Dense format, Arena arena, int rows, int cols) {
      Random random = new Random(rows * 41L + cols);
      this.format = format;
      this.rows = rows;
      this.cols = cols;
      bias = biases(rows);
      weights = new double[rows][cols];
      segment = arena.allocate(OFFSET + format.bytes(rows, cols), 64);
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
          float w = (float) random.nextGaussian() * 0.03f;
          MemorySegment matrix = segment.asSlice(OFFSET);
          long at = (long) r * cols + c;
          format.store(matrix, at, w);
          weights[r][c] = format.element(matrix, at);
        }
      }
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int cols() {
      return cols;
    }

    @Override
    public int unitRows() {
      return 1;
    }

    @Override
    public double weight(int r, int c) {
      return weights[r][c];
    }

    @Override
    public float defined(PreparedInput x, int token, int r) {
      int block = DenseRow.blockColumns(format);
      int whole = cols / block * block;
      float[] lanes = new float[16];
      for (int k = 0; k < cols; k++) {
        int j = k < whole ? k % block : k - whole;
        int lane = k < whole && block == 32 ? j / 2 : j % 16;
        float w = (float) weights[r][k];
        lanes[lane] = Math.fma(w, x.values()[token * cols + k], lanes[lane]);
      }
      return LaneSum.tree(lanes, 0) + bias[r];
    }

    @Override
    public double input(PreparedInput x, int token, int c) {
      return x.values()[token * cols + c];
    }

    @Override
    public double step(int r, int c) {
      return 0;
    }

    @Override
    public PreparedInput prepare(float[] x, int tokens) {
      PreparedInput a = new PreparedInput();
      a.plain(x, tokens, cols);
      for (int t = 0; t < tokens; t++) {
        DenseInput.row(a, t);
      }
      return a;
    }

    @Override
    public void multiply(int from, int to, PreparedInput x, float[] y) {
      if (x.tokens() == 1) {
        DenseGemv.multiply(format, segment, OFFSET, from, to, x, bias, y, 0, scratch);
      } else {
        DenseGemm.multiply(format, segment, OFFSET, from, to, x, bias, y, 0, rows, scratch);
      }
    }
  }
}
