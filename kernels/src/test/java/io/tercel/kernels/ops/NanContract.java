package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What every implementation of {@link Ops} must do with NaN and infinities: hand them on to all
 * that depends on them, so that the end of the forward pass shows them, and touch nothing else.
 * Each test compares with the definition, and the rows beside the broken one with a run without it,
 * bit for bit.
 */
public abstract class NanContract {
  private static final float[] NOT_FINITE = {
    Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY
  };

  private final Ops definition = new ScalarOps();

  /** The operations under test; whoever extends this closes them. */
  protected abstract Ops ops();

  /** 1e30 is finite and its square is not. */
  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 207, 1024})
  void nan_rmsNorm(int width) {
    Random random = new Random(width);
    float[] weight = gaussians(random, width);
    float[] clean = gaussians(random, 5 * width);
    float[] before = new float[clean.length];
    ops().rmsNorm(clean, weight, 1e-6f, 5, before);
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 1e30f, -1e30f}) {
      for (int at : new int[] {0, width / 2, width - 1}) {
        float[] x = clean.clone();
        x[2 * width + at] = bad;
        float[] expected = new float[x.length];
        float[] actual = new float[x.length];
        definition.rmsNorm(x, weight, 1e-6f, 5, expected);
        ops().rmsNorm(x, weight, 1e-6f, 5, actual);
        assertBits(expected, actual, bad + " at " + at);
        assertOnlyRow(2, width, before, actual);
        assertAllNaN(actual, 2 * width, width);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"13,24", "17,96", "33,207", "40,288"})
  void nan_linear(int rows, int cols) {
    Random random = new Random(rows);
    try (Arena arena = Arena.ofShared()) {
      List<PackedMatrix> matrices = new ArrayList<>();
      for (Dense format : Dense.values()) {
        matrices.add(dense(arena, format, rows, cols, random));
      }
      matrices.add(w3(arena, rows, cols, false, random));
      matrices.add(w3(arena, rows, cols, true, random));
      for (PackedMatrix matrix : matrices) {
        for (int n : new int[] {1, 3, 5, 17}) {
          linear(matrix, n, random);
        }
      }
    }
  }

  private void linear(PackedMatrix matrix, int n, Random random) {
    int rows = matrix.rows();
    int cols = matrix.cols();
    List<Linear> layer = List.of(new Linear(matrix, gaussians(random, rows)));
    float[] clean = gaussians(random, n * cols);
    float[] before = new float[n * rows];
    ops().linear(layer, clean, n, new float[][] {before});
    for (float bad : NOT_FINITE) {
      for (int at : new int[] {0, 5, cols - 1}) {
        float[] x = clean.clone();
        int row = n / 2;
        x[row * cols + at] = bad;
        float[] expected = new float[n * rows];
        float[] actual = new float[n * rows];
        definition.linear(layer, x, n, new float[][] {expected});
        ops().linear(layer, x, n, new float[][] {actual});
        String what = matrix.format().label() + ", " + n + " tokens, " + bad + " at " + at;
        assertBits(expected, actual, what);
        assertOnlyRow(row, rows, before, actual);
        for (int r = row * rows; r < (row + 1) * rows; r++) {
          boolean carried = Float.isNaN(bad) ? Float.isNaN(actual[r]) : !Float.isFinite(actual[r]);
          assertTrue(carried, what + ": output " + r % rows + " is " + actual[r]);
        }
      }
    }
    float[] after = new float[n * rows];
    ops().linear(layer, clean, n, new float[][] {after});
    assertBits(before, after, "after it");
  }

  @ParameterizedTest
  @CsvSource({"1,24", "3,64"})
  void nan_rope(int heads, int headDim) {
    RopeTable table = new RopeTable(headDim, 1e4);
    StepBatch batch = new StepBatch();
    batch.beginSequence(new int[0]);
    for (int i = 0; i < 5; i++) {
      batch.addToken(0, 100 + i);
    }
    table.fill(batch);
    int width = heads * headDim;
    float[] clean = gaussians(new Random(2), 5 * width);
    float[] before = clean.clone();
    ops().rope(before, heads, headDim, table, 5);
    for (float bad : NOT_FINITE) {
      float[] expected = clean.clone();
      expected[3 * width + 1] = bad;
      float[] actual = expected.clone();
      definition.rope(expected, heads, headDim, table, 5);
      ops().rope(actual, heads, headDim, table, 5);
      assertBits(expected, actual, "" + bad);
      assertOnlyRow(3, width, before, actual);
      assertTrue(!Float.isFinite(actual[3 * width + 1]), "the element");
      assertTrue(!Float.isFinite(actual[3 * width + 1 + headDim / 2]), "its partner");
    }
  }

  /**
   * One key or value among 300 is not finite. Every row that sees it, alone, in few rows or in a
   * tile, gets NaN in the heads that read it; rows before it, other heads and another sequence get
   * what they got without it.
   */
  @ParameterizedTest
  @CsvSource({
    "FP32,32,1",
    "FP32,24,3",
    "FP16,32,1",
    "FP16,24,3",
    "FP16,128,2",
    "INT4,32,1",
    "INT4,24,3",
    "INT4,128,2",
    "INT4,64,6"
  })
  void nan_keysAndValues(KvType type, int headDim, int group) {
    Random random = new Random(headDim);
    float[] k = gaussians(random, 300 * 2 * headDim);
    float[] v = gaussians(random, 300 * 2 * headDim);
    float[] q = gaussians(random, 22 * 2 * group * headDim);
    float[] clean = attend(ops(), type, headDim, k, v, q, 20);
    for (boolean key : new boolean[] {true, false}) {
      int broken = key == (group % 2 == 0) ? 129 : 285;
      float bad = broken == 129 ? Float.NaN : Float.NEGATIVE_INFINITY;
      float[] brokenK = k.clone();
      float[] brokenV = v.clone();
      (key ? brokenK : brokenV)[broken * 2 * headDim + headDim + 3] = bad; // of the second head
      float[] expected = attend(definition, type, headDim, brokenK, brokenV, q, 20);
      for (int rows : new int[] {1, 5, 20}) {
        int skipped = (20 - rows) * 2 * group * headDim;
        float[] some = Arrays.copyOfRange(q, skipped, q.length);
        float[] actual = attend(ops(), type, headDim, brokenK, brokenV, some, rows);
        String what = "%s of token %d, %d rows".formatted(key ? "key" : "value", broken, rows);
        assertBits(Arrays.copyOfRange(expected, skipped, q.length), actual, what);
        float[] same = Arrays.copyOfRange(clean, skipped, q.length);
        for (int i = 0; i < (rows + 2) * 2 * group; i++) {
          int row = i / (2 * group);
          int at = i * headDim;
          if (row < rows && 300 - rows + row >= broken && i % (2 * group) >= group) {
            assertTrue(Float.isNaN(actual[at + 3]), what + ": row " + row);
            System.arraycopy(actual, at, same, at, headDim);
          }
        }
        assertBits(same, actual, what + ": who does not see it");
      }
    }
  }

  /**
   * The last rows of 300 tokens, and two of another sequence of 40, on two KV heads.
   *
   * @param k [300][2][headDim]
   * @param q [rows + 2][heads][headDim]
   */
  private static float[] attend(
      Ops ops, KvType type, int headDim, float[] k, float[] v, float[] q, int rows) {
    try (KvPool pool = new KvPool(new KvLayout(type, 1, 2, headDim), 24)) {
      // what no token owns
      for (long at = 0; at < pool.bytes(); at += 4) {
        pool.segment().set(ValueLayout.JAVA_INT_UNALIGNED, at, 0x7fc07e00);
      }
      StepBatch all = new StepBatch();
      sequence(all, 0, 300, 300);
      ops.appendKv(pool, 0, all, k, v);
      StepBatch other = new StepBatch();
      sequence(other, 20, 40, 40);
      Random random = new Random(1);
      float[] otherK = gaussians(random, 40 * 2 * headDim);
      float[] otherV = gaussians(random, 40 * 2 * headDim);
      ops.appendKv(pool, 0, other, otherK, otherV);
      StepBatch batch = new StepBatch();
      sequence(batch, 0, 300, rows);
      sequence(batch, 20, 40, 2);
      float[] out = new float[q.length];
      ops.attention(pool, 0, batch, q, q.length / (rows + 2) / headDim, out);
      return out;
    }
  }

  private static void sequence(StepBatch batch, int firstBlock, int context, int rows) {
    int[] table = new int[Math.ceilDiv(context, KvLayout.BLOCK_SIZE)];
    Arrays.setAll(table, i -> firstBlock + i);
    batch.beginSequence(table);
    for (int p = context - rows; p < context; p++) {
      batch.addToken(0, p);
    }
  }

  @ParameterizedTest
  @CsvSource({"FP32,2", "FP16,3", "INT4,2", "INT4,6"})
  void nan_query(KvType type, int group) {
    int heads = 2 * group;
    Random random = new Random(4);
    float[] k = gaussians(random, 300 * 64);
    float[] v = gaussians(random, 300 * 64);
    for (int rows : new int[] {1, 5, 40}) {
      float[] q = gaussians(random, (rows + 2) * heads * 32);
      float[] clean = attend(ops(), type, 32, k, v, q, rows);
      int head = rows / 2 * heads + heads - 1;
      q[head * 32 + 7] = Float.NaN;
      float[] expected = attend(definition, type, 32, k, v, q, rows);
      float[] actual = attend(ops(), type, 32, k, v, q, rows);
      assertBits(expected, actual, type + ", " + rows + " rows");
      assertOnlyRow(head, 32, clean, actual);
      assertAllNaN(actual, head * 32, 32);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 16, 207, 40_001})
  void nan_swiglu_andAdd(int count) {
    Random random = new Random(count);
    for (float bad : NOT_FINITE) {
      for (int at : new int[] {0, count / 2, count - 1}) {
        float[] gate = gaussians(random, count);
        float[] up = gaussians(random, count);
        for (boolean inGate : new boolean[] {true, false}) {
          float[] brokenGate = gate.clone();
          float[] brokenUp = up.clone();
          (inGate ? brokenGate : brokenUp)[at] = bad;
          float[] expected = brokenGate.clone();
          float[] actual = brokenGate.clone();
          definition.swiglu(expected, brokenUp, count);
          ops().swiglu(actual, brokenUp, count);
          assertBits(expected, actual, bad + " at " + at);
          float[] sum = brokenGate.clone();
          ops().add(sum, brokenUp, count);
          assertTrue(Float.isNaN(bad) ? Float.isNaN(actual[at]) : !Float.isFinite(actual[at]));
          assertTrue(Float.isNaN(bad) ? Float.isNaN(sum[at]) : !Float.isFinite(sum[at]));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 13, 33, 1025, 4098})
  void nan_argMax_andSumExp(int count) {
    for (int at : new int[] {0, count / 3, count / 2, count - 1}) {
      float[] x = gaussians(new Random(count), count + 8);
      float largest = x[3 + ops().argMax(x, 3, count)];
      x[3 + at] = Float.NaN;
      assertEquals(at, definition.argMax(x, 3, count), "defined");
      assertEquals(at, ops().argMax(x, 3, count), "first NaN of " + count);
      assertTrue(Double.isNaN(ops().sumExp(x, 3, count, largest)), "sum");
      assertTrue(Double.isNaN(ops().sumExp(x, 3, count, Float.NaN)), "sum above NaN");
      x[3 + count - 1] = Float.NaN;
      assertEquals(at, ops().argMax(x, 3, count), "the first of two");
    }
  }

  /** However a token is asked for. */
  @Test
  void nan_logits_areNoAnswer() {
    int vocab = 1100;
    long[] allowed = new long[18];
    allowed[0] = 0b110;
    TokenCounts generated = new TokenCounts();
    generated.add(3);
    Penalties penalties = new Penalties(0.5f, 0.5f, 1.2f, generated, new TokenCounts());
    List<SamplingRow> rows =
        List.of(
            SamplingRow.sample(0).build(),
            SamplingRow.sample(0).temperature(1).build(),
            SamplingRow.sample(0).temperature(0.7f).topP(0.9f).numLogprobs(5).build(),
            SamplingRow.sample(0).temperature(1).topK(20).build(),
            SamplingRow.sample(0).temperature(1).minP(0.1f).build(),
            SamplingRow.sample(0).penalties(penalties).build(),
            SamplingRow.sample(0).temperature(1).logitBias(Map.of(2, 5f)).numLogprobs(3).build(),
            SamplingRow.sample(0).forbidden(Set.of(4)).build(),
            SamplingRow.sample(0).temperature(1).allowed(allowed).build(),
            SamplingRow.score(0, 9, 4));
    Sampler sampler = new Sampler(ops(), vocab);
    float[] clean = gaussians(new Random(1), vocab);
    for (SamplingRow row : rows) {
      TokenResult before = sampler.sample(clean, 0, row);
      assertTrue(!before.isBroken());
      for (int at : new int[] {0, 1, 700, vocab - 1}) {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          float[] logits = clean.clone();
          logits[at] = bad;
          assertTrue(sampler.sample(logits, 0, row).isBroken(), row + ": " + bad + " at " + at);
        }
      }
      float[] none = new float[vocab];
      Arrays.fill(none, Float.NEGATIVE_INFINITY);
      assertTrue(sampler.sample(none, 0, row).isBroken(), "nothing is possible");
      assertEquals(before, sampler.sample(clean, 0, row), "after it");
    }
  }

  /** A client's numbers make no NaN of sound logits. */
  @Test
  void extremePenalties_overflowToNoNaN() {
    TokenCounts generated = new TokenCounts();
    generated.add(3);
    generated.add(4);
    float[] logits = {1, -2, 0.5f, 30, 40, -1, 2};
    Sampler sampler = new Sampler(ops(), logits.length);
    for (float temperature : new float[] {0, 1}) {
      Penalties tiny = new Penalties(0, 0, Float.MIN_VALUE, generated, new TokenCounts());
      SamplingRow.Builder row = SamplingRow.sample(0).temperature(temperature);
      TokenResult one = sampler.sample(logits, 0, row.penalties(tiny).build());
      assertTrue(one.tokenId() == 3 || one.tokenId() == 4, "drawn: " + one);
      Penalties huge = new Penalties(0, 0, Float.MAX_VALUE, generated, new TokenCounts());
      TokenResult other = sampler.sample(logits, 0, row.penalties(huge).build());
      assertTrue(other.tokenId() != 3 && other.tokenId() != 4, "drawn: " + other);
    }
    Set<Integer> all = Set.of(0, 1, 2, 3, 4, 5, 6);
    SamplingRow nothing = SamplingRow.sample(0).forbidden(all).build();
    assertThrows(IllegalStateException.class, () -> sampler.sample(logits, 0, nothing));
  }

  private static void assertOnlyRow(int broken, int width, float[] before, float[] after) {
    float[] rest = before.clone();
    System.arraycopy(after, broken * width, rest, broken * width, width);
    assertBits(rest, after, "rows beside row " + broken);
  }

  private static void assertAllNaN(float[] x, int from, int count) {
    for (int i = from; i < from + count; i++) {
      assertTrue(Float.isNaN(x[i]), "element " + (i - from) + " is " + x[i]);
    }
  }

  /** Any NaN is as good as another. */
  private static void assertBits(float[] expected, float[] actual, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      if (Float.floatToIntBits(expected[i]) != Float.floatToIntBits(actual[i])) {
        throw new AssertionError(
            "%s, element %d: %s instead of %s".formatted(what, i, actual[i], expected[i]));
      }
    }
  }

  private static float[] gaussians(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static PackedMatrix dense(Arena arena, Dense format, int rows, int cols, Random random) {
    MemorySegment s = arena.allocate(format.bytes(rows, cols), 64);
    for (long i = 0; i < (long) rows * cols; i++) {
      float w = (float) (0.1 * random.nextGaussian());
      int bf16 = Float.floatToRawIntBits(w) >>> 16;
      switch (format) {
        case FP32 -> s.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i, w);
        case FP16 -> s.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i, Float.floatToFloat16(w));
        case BF16 -> s.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i, (short) bf16);
      }
    }
    return new PackedMatrix("test", s, rows, cols, format, null);
  }

  private static PackedMatrix w3(Arena arena, int rows, int cols, boolean actOrder, Random random) {
    QuantFormat format = Grouped.W3G128;
    MemorySegment s = arena.allocate(format.bytes(rows, cols), 64);
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    byte[] zeros = new byte[W3Block.ROWS];
    short[] scales = new short[W3Block.ROWS];
    for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
      for (int g = 0; g < W3Block.groups(cols); g++) {
        for (int i = 0; i < codes.length; i++) {
          codes[i] = (byte) random.nextInt(8);
        }
        for (int r = 0; r < W3Block.ROWS; r++) {
          zeros[r] = (byte) random.nextInt(8);
          scales[r] = Float.floatToFloat16(0.01f + 0.02f * random.nextFloat());
        }
        W3Block.pack(codes, scales, zeros, s, W3Block.blockOffset(tile, g, W3Block.groups(cols)));
      }
    }
    int[] order = null;
    if (actOrder) {
      List<Integer> inputs = new ArrayList<>();
      for (int i = 0; i < cols; i++) {
        inputs.add(i);
      }
      Collections.shuffle(inputs, random);
      order = inputs.stream().mapToInt(i -> i).toArray();
    }
    return new PackedMatrix("test", s, rows, cols, format, order);
  }
}
