package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.InputTransform;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Exp;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.W4Weights;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/** Kernels in plain Java against the definition: no SDK and no device is needed. */
class SimulatorTest {
  private static final FloatArray POWERS = Powers.table();
  private final Ops definition = new ScalarOps();

  @Test
  void halves_allOfThem() {
    for (int bits = 0; bits < 65536; bits++) {
      float expected = Float.float16ToFloat((short) bits);
      if (Float.isFinite(expected)) {
        assertEquals(expected, Arithmetic.fp16(bits, POWERS), bits + " as fp16");
        assertEquals(bits, Arithmetic.half(expected, POWERS), expected + " to fp16");
      } else {
        assertTrue(Float.isNaN(Arithmetic.fp16(bits, POWERS)), bits + " as fp16");
        assertEquals(0x7e00, Arithmetic.half(expected, POWERS), expected + " to fp16");
      }
      float bf = Float.intBitsToFloat(bits << 16);
      if (Float.isFinite(bf)) {
        assertEquals(bf, Arithmetic.bf16(bits, POWERS), bits + " as bf16");
      }
    }
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      float x = (float) (random.nextGaussian() * Math.scalb(1.0, random.nextInt(44) - 26));
      float bounded = Math.max(-65504f, Math.min(65504f, x));
      int expected = Short.toUnsignedInt(Float.floatToFloat16(bounded));
      assertEquals(expected, Arithmetic.half(x, POWERS), x + " to fp16");
    }
  }

  @Test
  void exp_isTheDefinitionsWithinARounding() {
    for (float x = -90; x < 90; x += 0.0371f) {
      float expected = Exp.exp(x);
      assertEquals(expected, Arithmetic.exp(x, POWERS), expected * 4e-7);
    }
  }

  @Test
  void linear_w3() {
    Random random = new Random(2);
    int rows = 35;
    int cols = 200;
    try (Arena arena = Arena.ofConfined()) {
      Linear layer = w3(arena, rows, cols, random);
      WeightImage image = new WeightImage("w");
      MatrixStack stack = image.stack(List.of(layer));
      image.allocate();
      int n = 6;
      float[] x = new float[n * cols];
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) random.nextGaussian();
      }
      Arrays.fill(x, cols, cols + 128, 0x1p-101f); // a group of zeros
      x[2 * cols + 7] = Float.POSITIVE_INFINITY;
      Projection projection = Projection.of(layer);
      PreparedInput prepared = new PreparedInput();
      definition.prepare(projection, x, n, prepared);
      float[] expected = new float[n * rows];
      definition.linear(projection, prepared, new float[][] {expected});
      IntArray step = new IntArray(StepLayout.HEADER);
      step.init(0);
      step.set(StepLayout.N, n);
      LongArray w = image.longs();
      FloatArray p = image.floats();
      FloatArray in = FloatArray.fromArray(x);
      LinearTasks.Rounded rounded = LinearTasks.Rounded.of(n, cols);
      IntArray q = rounded.codes();
      FloatArray scales = rounded.scales();
      Simulator.run(
          2,
          n,
          GroupedIntKernels.LOCAL,
          c ->
              GroupedIntKernels.grouped(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  in,
                  q,
                  scales,
                  SourceArithmetic.GIVEN,
                  -1,
                  cols,
                  2,
                  cols,
                  0,
                  -1,
                  1,
                  0f));
      for (int token = 0; token < n; token++) {
        for (int k = 0; k < 256; k++) {
          int low = q.get(token * 130 + GroupedIntKernels.word(k, 0)) >> 8 * (k & 3);
          int high = q.get(token * 130 + GroupedIntKernels.word(k, 1)) >> 8 * (k & 3);
          int code = 256 * (byte) high + (byte) low;
          assertEquals(prepared.code(token, k), code, token + ", column " + k);
        }
        for (int g = 0; g < 2; g++) {
          assertEquals(prepared.sum(token, g), q.get(token * 130 + 128 + g), "sum");
          assertEquals(prepared.scale(token, g), scales.get(token * 2 + g), "scale");
        }
      }
      FloatArray one = new FloatArray(n * 48);
      FloatArray four = new FloatArray(n * 48);
      int at = stack.at() / 2;
      Simulator.run(
          3,
          n,
          8 * W3RowKernels.slices(2),
          c ->
              W3RowKernels.one(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  q,
                  scales,
                  one,
                  at,
                  cols,
                  0,
                  48,
                  -1,
                  0,
                  4,
                  W3RowKernels.ROUNDED,
                  0,
                  0,
                  1,
                  0f));
      Simulator.run(
          3,
          2,
          8 * W3Kernels.slicesOfFour(2),
          c -> W3Kernels.four(c, step, POWERS, w, p, q, scales, four, at, 2, 0, 48, -1, 0, 8));
      for (int i = 0; i < expected.length; i++) {
        int from = i / rows * 48 + i % rows;
        assertEquals(expected[i], one.get(from), 1e-6, "one, element " + i);
        assertEquals(one.get(from), four.get(from), "four, element " + i);
        assertEquals(i / rows == 2, Float.isNaN(expected[i]), "element " + i);
      }
    }
  }

  private static Linear w3(Arena arena, int rows, int cols, Random random) {
    MemorySegment s = arena.allocate(Grouped.W3G128.bytes(rows, cols), 64);
    for (long at = 0; at < s.byteSize(); at += W3Block.BLOCK_BYTES) {
      byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
      short[] scales = new short[W3Block.ROWS];
      byte[] zeros = new byte[W3Block.ROWS];
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) random.nextInt(8);
      }
      for (int r = 0; r < W3Block.ROWS; r++) {
        scales[r] = Float.floatToFloat16(0.01f + 0.01f * random.nextFloat());
        zeros[r] = (byte) random.nextInt(8);
      }
      W3Block.pack(codes, scales, zeros, s, at);
    }
    return new Linear(new PackedMatrix("w", s, rows, cols, Grouped.W3G128, null), null);
  }

  /**
   * Both factors of a transform, rounding, and the product. All values are multiples of 2^-9 below
   * 2^8, so that it does not matter how often the simulator rounds.
   */
  @Test
  void linear_w4_transformed() {
    Random random = new Random(4);
    int rows = 35;
    int cols = 200;
    int n = 6;
    float[] left = eighths(random, 10 * 10);
    float[] right = eighths(random, 20 * 20);
    InputTransform transform = new InputTransform(left, right, 0.75f, 0.5f);
    try (Arena arena = Arena.ofConfined()) {
      Linear layer = new Linear(W4Weights.random(arena, rows, cols, random), null, transform);
      WeightImage image = new WeightImage("w");
      MatrixStack stack = image.stack(List.of(layer));
      image.allocate();
      float[] x = eighths(random, n * cols);
      Arrays.fill(x, cols, 2 * cols, 0f);
      x[2 * cols + 7] = Float.POSITIVE_INFINITY;
      Projection projection = Projection.of(layer);
      PreparedInput prepared = new PreparedInput();
      definition.prepare(projection, x, n, prepared);
      float[] expected = new float[n * rows];
      definition.linear(projection, prepared, new float[][] {expected});
      IntArray step = new IntArray(StepLayout.HEADER);
      step.init(0);
      step.set(StepLayout.N, n);
      LongArray w = image.longs();
      FloatArray p = image.floats();
      FloatArray in = FloatArray.fromArray(x);
      LinearTasks.Rounded rounded = LinearTasks.Rounded.of(n, cols, true, 0);
      TransformPlace at = stack.transform();
      FloatArray half = rounded.halfway();
      FloatArray all = rounded.transformed();
      IntArray q = rounded.codes();
      FloatArray s = rounded.scales();
      int width = TransformKernels.width(10);
      Simulator.run(
          Math.ceilDiv(20, width),
          n,
          TransformKernels.LOCAL,
          c ->
              TransformKernels.left(
                  c,
                  step,
                  POWERS,
                  p,
                  in,
                  half,
                  SourceArithmetic.GIVEN,
                  at.leftAt(),
                  10,
                  20,
                  width,
                  cols,
                  0,
                  -1,
                  1,
                  0f));
      Simulator.run(
          4,
          n,
          TransformKernels.LOCAL,
          c -> TransformKernels.right(c, step, p, half, all, at.rightAt(), 20, cols, cols));
      int words = RowIntKernels.words(cols);
      Simulator.run(
          1,
          n,
          RowIntKernels.LOCAL,
          c ->
              RowIntKernels.rounded(c, step, POWERS, p, all, q, s, at.clipAt(), cols, words, cols));
      for (int token = 0; token < n; token++) {
        int from = token * RowIntKernels.rowInts(cols);
        assertEquals(prepared.rowScale(token), s.get(token), "scale of " + token);
        int meta = 16 * prepared.rowSum(token) + prepared.rowZero(token);
        assertEquals(meta, q.get(from + 2 * words), "sum and zero of " + token);
        for (int k = 0; k < 256; k++) {
          int code = q.get(from + RowIntKernels.word(k, words)) >> 8 * (k & 3) & 255;
          assertEquals(prepared.rowCode(token, k), code, token + ", column " + k);
        }
      }
      FloatArray one = new FloatArray(n * 48);
      FloatArray four = new FloatArray(n * 48);
      int wAt = stack.at() / 2;
      Simulator.run(
          3,
          n,
          W4Kernels.LOCAL,
          c -> W4Kernels.one(c, step, POWERS, w, p, q, s, one, wAt, cols, 0, 48, -1, 0));
      Simulator.run(
          3,
          2,
          W4Kernels.LOCAL,
          c -> W4Kernels.four(c, step, POWERS, w, p, q, s, four, wAt, cols, 0, 48, -1, 0));
      for (int i = 0; i < expected.length; i++) {
        int from = i / rows * 48 + i % rows;
        assertEquals(expected[i], one.get(from), "one, element " + i);
        assertEquals(expected[i], four.get(from), "four, element " + i);
        assertEquals(i / rows == 2, Float.isNaN(expected[i]), "element " + i);
      }
    }
  }

  /** Multiples of 1/8 from -1 to 1. */
  private static float[] eighths(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (random.nextInt(17) - 8) / 8f;
    }
    return x;
  }

  /** Appending, then attention over two splits, one of them full. */
  @ParameterizedTest
  @EnumSource(KvType.class)
  void appendAndAttention(KvType type) {
    int length = 261;
    KvLayout layout = new KvLayout(type, 1, 1, 24);
    Random random = new Random(3);
    try (KvPool pool = new KvPool(layout, 20)) {
      StepBatch batch = new StepBatch();
      int[] table = new int[17];
      for (int b = 0; b < table.length; b++) {
        table[b] = (b * 7 + 3) % 20;
      }
      batch.beginSequence(table);
      for (int p = 0; p < length; p++) {
        batch.addToken(0, p);
      }
      float[] k = gaussians(random, length * 24);
      float[] v = gaussians(random, length * 24);
      definition.appendKv(pool, 0, batch, k, v);
      DeviceKv cache = DeviceKv.of(layout, 20);
      StepInputs inputs = new StepInputs(new StepLayout(length, 300, 64), 24, 1e4);
      inputs.begin();
      inputs.add(batch, 0, 0, length);
      inputs.end();
      FloatArray x = new FloatArray(length * 64);
      for (int i = 0; i < k.length; i++) {
        x.set(i / 24 * 64 + i % 24, k[i]);
        x.set(i / 24 * 64 + 32 + i % 24, v[i]);
      }
      append(inputs, cache, x, layout, length);
      assertEquals(-1, pool.segment().mismatch(cache.segment()), "what was written");

      StepBatch last = new StepBatch();
      last.beginSequence(table);
      last.addToken(0, length - 1);
      inputs.begin();
      inputs.add(last, 0, 0, 1);
      inputs.end();
      float[] q = gaussians(random, 4 * 24);
      float[] expected = new float[4 * 24];
      definition.attention(pool, 0, last, q, 4, expected);
      FloatArray out = attend(inputs, cache, q, layout, 1);
      for (int i = 0; i < 4 * 24; i++) {
        assertEquals(expected[i], out.get(i), 1e-5, "element " + i);
      }
      for (int each : new int[] {2, 4}) {
        FloatArray together = attend(inputs, cache, q, layout, each);
        for (int i = 0; i < 4 * 24; i++) {
          assertEquals(out.get(i), together.get(i), each + " heads, element " + i);
        }
      }
    }
  }

  private static void append(
      StepInputs inputs, DeviceKv cache, FloatArray x, KvLayout layout, int n) {
    int rows = inputs.layout().rows();
    int bits = layout.type() == KvType.FP16 ? 16 : 4;
    IntArray step = inputs.ints();
    FloatArray rope = inputs.rope();
    Simulator.run(
        2,
        n,
        HeadKernels.LOCAL,
        c -> {
          switch (cache) {
            case DeviceKv.Floats f ->
                HeadKernels.single(
                    c, step, POWERS, f.array(), POWERS, rope, x, rows, 0, 1, 24, 64, -1, -1, 0f, 0,
                    -1, -1);
            case DeviceKv.Ints i ->
                HeadKernels.packed(
                    c, step, POWERS, i.array(), POWERS, rope, x, rows, 0, 1, 24, 64, -1, -1, 0f, 0,
                    -1, -1, bits, -1);
          }
        });
  }

  private static FloatArray attend(
      StepInputs inputs, DeviceKv cache, float[] q, KvLayout layout, int each) {
    int rows = inputs.layout().rows();
    int slots = inputs.layout().slots();
    int keyInts = Math.toIntExact(layout.keyBytes() / 4);
    int valueInts = Math.toIntExact(layout.valueBytes() / 4);
    float scale = Attention.scale(24);
    IntArray step = inputs.ints();
    FloatArray x = FloatArray.fromArray(q);
    FloatArray part = new FloatArray(2 * 4 * 26);
    FloatArray out = new FloatArray(4 * 24);
    Simulator.run(
        2,
        4 / each,
        AttentionKernels.LOCAL,
        c -> {
          switch (cache) {
            case DeviceKv.Floats f ->
                AttentionKernels.single(
                    c, step, POWERS, f.array(), x, part, rows, slots, 4, 1, 24, 96, scale, each);
            case DeviceKv.Ints i when layout.type() == KvType.FP16 ->
                AttentionKernels.sixteen(
                    c, step, POWERS, i.array(), x, part, rows, slots, 4, 1, 24, 96, scale, each);
            case DeviceKv.Ints i ->
                Int4AttentionKernels.fourBits(
                    c, step, POWERS, i.array(), x, part, rows, slots, 4, 1, 24, 96, scale, each,
                    keyInts, valueInts);
          }
        });
    Simulator.run(
        4,
        1,
        AttentionKernels.JOIN_LOCAL,
        c -> AttentionKernels.join(c, step, POWERS, part, out, rows, 4, 24, 96));
    return out;
  }

  /** What a kernel makes and rounds is what others write and round: for each source. */
  @ParameterizedTest
  @ValueSource(ints = {SourceArithmetic.NORMED, SourceArithmetic.GATED, SourceArithmetic.JOINED})
  void source_madeOrWritten_isTheSame(int number) {
    int cols = 200;
    int n = 2;
    int headDim = 50;
    StepBatch batch = new StepBatch();
    for (int length : new int[] {9, 600}) { // one split, and three
      batch.beginSequence(new int[40]);
      batch.addToken(0, length - 1);
    }
    StepInputs inputs = new StepInputs(new StepLayout(n, 4, 80), headDim, 1e4);
    inputs.begin();
    inputs.add(batch, 0, 0, 1);
    inputs.add(batch, 1, 1, 2);
    inputs.end();
    IntArray step = inputs.ints();
    Random random = new Random(7);
    FloatArray p = FloatArray.fromArray(gaussians(random, cols));
    FloatArray x =
        FloatArray.fromArray(gaussians(random, 4 * 4 * 52)); // positive where it is a sum
    for (int i = 51; i < x.getSize(); i += 52) {
      x.set(i, 1 + Math.abs(x.get(i)));
    }
    Source source =
        switch (number) {
          case SourceArithmetic.NORMED ->
              new Source.Normed(new LinearTasks.Rows(x, cols + 1), 0, 1e-6f, -1);
          case SourceArithmetic.GATED -> new Source.Gated(new LinearTasks.Rows(x, 410), 205);
          default -> new Source.Joined(x, n, 4, headDim, 3);
        };
    FloatArray written = new FloatArray(n * cols);
    Simulator.run(
        4,
        n,
        RowKernels.LOCAL,
        c -> {
          switch (source) {
            case Source.Normed _ ->
                RowKernels.rmsNorm(c, step, p, x, written, -1, 0, cols, cols + 1, cols, 1e-6f);
            case Source.Gated _ ->
                RowKernels.swiglu(c, step, POWERS, x, written, cols, 205, 410, cols);
            default -> AttentionKernels.join(c, step, POWERS, x, written, n, 4, headDim, cols);
          }
        });
    LinearTasks.Rounded made = rounded(source, p, step, cols, n);
    Source given = new Source.Given(new LinearTasks.Rows(written, cols));
    LinearTasks.Rounded expected = rounded(given, p, step, cols, n);
    assertTrue(expected.scales().get(0) > 0);
    for (int i = 0; i < 2 * n; i++) {
      assertEquals(expected.scales().get(i), made.scales().get(i), "scale " + i);
    }
    for (int i = 0; i < n * GroupedIntKernels.rowInts(2); i++) {
      assertEquals(expected.codes().get(i), made.codes().get(i), "word " + i);
    }
    multiplied(source, p, step, expected);
  }

  /** A linear kernel that makes and rounds its input, against one that finds it rounded. */
  private static void multiplied(
      Source source, FloatArray p, IntArray step, LinearTasks.Rounded rounded) {
    int cols = 200;
    int n = 2;
    try (Arena arena = Arena.ofConfined()) {
      WeightImage image = new WeightImage("w");
      MatrixStack stack = image.stack(List.of(w3(arena, 35, cols, new Random(9))));
      image.allocate();
      assertTrue(OwnInputs.makes(stack, source));
      LongArray w = image.longs();
      IntArray q = rounded.codes();
      FloatArray s = rounded.scales();
      int at = stack.at() / 2;
      FloatArray expected = new FloatArray(n * 48);
      Simulator.run(
          3,
          n,
          8 * 4,
          c ->
              W3RowKernels.one(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  q,
                  s,
                  expected,
                  at,
                  cols,
                  0,
                  48,
                  -1,
                  0,
                  4,
                  W3RowKernels.ROUNDED,
                  0,
                  0,
                  1,
                  0f));
      FloatArray actual = new FloatArray(n * 48);
      IntArray noCodes = new IntArray(1);
      Source.Numbers from = source.numbers();
      int items = OwnInputs.items(stack);
      Simulator.run(
          3,
          n,
          items,
          c ->
              W3RowKernels.one(
                  c,
                  step,
                  POWERS,
                  w,
                  p,
                  noCodes,
                  from.x(),
                  actual,
                  at,
                  cols,
                  0,
                  48,
                  -1,
                  0,
                  items / 8,
                  from.source(),
                  from.xStride(),
                  from.at(),
                  from.headDim(),
                  from.eps()));
      assertTrue(expected.get(0) != 0f);
      for (int i = 0; i < n * 48; i++) {
        assertEquals(expected.get(i), actual.get(i), "element " + i);
      }
    }
  }

  private static LinearTasks.Rounded rounded(
      Source source, FloatArray p, IntArray step, int cols, int n) {
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(n, cols);
    Source.Numbers from = source.numbers();
    LongArray none = new LongArray(1);
    Simulator.run(
        2,
        n,
        GroupedIntKernels.LOCAL,
        c ->
            GroupedIntKernels.grouped(
                c,
                step,
                POWERS,
                none,
                p,
                from.x(),
                rounded.codes(),
                rounded.scales(),
                from.source(),
                -1,
                cols,
                2,
                from.xStride(),
                from.at(),
                from.more(),
                from.headDim(),
                from.eps()));
    return rounded;
  }

  /** An item that fails ends its group, and is not mistaken for one that is still to come. */
  @Test
  void run_aFailure_isReported() {
    assertThrows(
        AssertionError.class,
        () ->
            Simulator.run(
                1,
                1,
                8,
                c -> {
                  if (c.localIdx == 3) {
                    throw new IllegalStateException("on purpose");
                  }
                  c.localBarrier();
                }));
  }

  private static float[] gaussians(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }
}
