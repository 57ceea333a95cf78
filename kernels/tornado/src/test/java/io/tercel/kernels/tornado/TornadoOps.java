package io.tercel.kernels.tornado;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.GroupedInts;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.scalar.ScalarOps;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The backend's kernels behind the CPU's interface, each operation a task graph of its own, for the
 * contract test. What a step does with a whole model is {@link LayerPlan}'s.
 *
 * @param four whether linear layers use the kernels for several tokens
 */
record TornadoOps(boolean four) implements Ops {
  private static final FloatArray POWERS = Powers.table();
  private static final Ops DEFINITION = new ScalarOps();
  private static final boolean DP4A =
      TornadoBackends.device(0).getTornadoVMBackend() == TornadoVMBackendType.CUDA;

  @Override
  public String name() {
    return "tornado";
  }

  /** Runs a graph once: everything to the device, everything named back. */
  private static void run(
      BiConsumer<TaskGraph, Grids> tasks, int n, int slots, Object[] in, Object... out) {
    TaskGraph graph = new TaskGraph("ops");
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, in);
    Grids grids = new Grids();
    tasks.accept(graph, grids);
    graph.transferToHost(DataTransferMode.EVERY_EXECUTION, out);
    grids.fit("ops", new Grids.Size(n, slots, n));
    try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
      plan.withGridScheduler(grids.scheduler("ops")).execute();
    } catch (TornadoExecutionPlanException e) {
      throw new IllegalStateException(e);
    }
  }

  private static IntArray step(int n) {
    IntArray step = new IntArray(StepLayout.HEADER);
    step.init(0);
    step.set(StepLayout.N, n);
    return step;
  }

  private static FloatArray floats(float[] x, int n, int width, int stride) {
    FloatArray padded = new FloatArray(LinearTasks.Rounded.padded(n) * Math.max(1, stride));
    padded.init(0f);
    for (int row = 0; row < n; row++) {
      for (int k = 0; k < width; k++) {
        padded.set(row * stride + k, x[row * width + k]);
      }
    }
    return padded;
  }

  private static void copy(FloatArray from, int stride, int at, float[] to, int n, int width) {
    for (int row = 0; row < n; row++) {
      for (int k = 0; k < width; k++) {
        to[row * width + k] = from.get(row * stride + at + k);
      }
    }
  }

  @Override
  public void embed(PackedMatrix table, StepBatch batch, float[] out) {
    int n = batch.numTokens();
    StepInputs inputs = new StepInputs(new StepLayout(n, 1, 1), table.cols(), 1e4);
    inputs.begin();
    for (int row = 0; row < n; row++) {
      inputs.ints().set(StepLayout.tokens() + row, batch.tokenId(row));
    }
    inputs.ints().set(StepLayout.N, n);
    WeightImage image = new WeightImage("test");
    MatrixStack stack = image.stack(List.of(new Linear(table, null)));
    image.allocate();
    FloatArray y = new FloatArray(n * table.cols());
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), inputs.ints(), POWERS, grids)
                .embed(graph, stack, image, new LinearTasks.Rows(y, table.cols())),
        n,
        1,
        new Object[] {inputs.ints(), POWERS, image.longs(), image.floats()},
        y);
    copy(y, table.cols(), 0, out, n, table.cols());
  }

  @Override
  public void rmsNorm(float[] x, float[] weight, float eps, int n, float[] out) {
    int width = weight.length;
    FloatArray in = floats(x, n, width, width);
    int stride = width + 3;
    FloatArray y = new FloatArray(n * stride);
    y.init(Float.NaN);
    WeightImage image = new WeightImage("test");
    int at = image.vector(weight);
    image.allocate();
    Source source = new Source.Normed(new LinearTasks.Rows(in, width), at, eps, -1);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .write(
                    graph,
                    "norm",
                    source,
                    image,
                    width,
                    new LinearTasks.Rows(y, stride),
                    Grids.Axis.ROWS),
        n,
        1,
        new Object[] {step, in, image.floats()},
        y);
    copy(y, stride, 0, out, n, width);
    for (int row = 0; row < n; row++) {
      for (int k = width; k < stride; k++) {
        if (y.get(row * stride + k) != 0f) {
          throw new AssertionError("the padding of row " + row + " is not zero");
        }
      }
    }
  }

  @Override
  public void prepare(Projection projection, float[] x, int n, PreparedInput input) {
    int cols = projection.cols();
    if (projection.input() instanceof InputSpec.Plain) {
      input.plain(x, n, cols);
      return;
    }
    int stride = cols + 3;
    FloatArray in = floats(x, n, cols, stride);
    for (int row = 0; row < n; row++) {
      in.set(row * stride + cols, Float.NaN); // padding is not read
    }
    WeightImage image = new WeightImage("test");
    Source source = new Source.Given(new LinearTasks.Rows(in, stride));
    prepare(projection, image, source, n, input);
  }

  /**
   * Makes integers of what a source makes.
   *
   * @param image not allocated yet; what the source needs of it is placed
   */
  private void prepare(
      Projection projection, WeightImage image, Source source, int n, PreparedInput input) {
    int cols = projection.cols();
    MatrixStack stack = image.stack(projection.linears().subList(0, 1));
    image.allocate();
    boolean fourBits = projection.input() instanceof InputSpec.Int4PerToken;
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(n, cols, fourBits, 0);
    rounded.halfway().init(Float.NaN);
    rounded.transformed().init(Float.NaN);
    FloatArray rows = new FloatArray(n * cols);
    rows.init(Float.NaN);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new LinearTasks(new KernelContext(), step, POWERS, grids, four, DP4A, false)
                .prepare(
                    graph,
                    "ints",
                    stack,
                    image,
                    source,
                    new LinearTasks.Rows(rows, cols),
                    rounded,
                    Grids.Axis.ROWS),
        n,
        1,
        new Object[] {
          step,
          POWERS,
          image.longs(),
          image.floats(),
          source.numbers().x(),
          rows,
          rounded.halfway(),
          rounded.transformed()
        },
        rounded.codes(),
        rounded.scales());
    if (fourBits) {
      rows(rounded, n, cols, input);
    } else {
      groups(rounded, n, cols, input);
    }
  }

  /** What the device has as the CPU keeps it. */
  private static void groups(LinearTasks.Rounded rounded, int n, int cols, PreparedInput input) {
    input.grouped(n, cols);
    int groups = input.groups();
    for (int token = 0; token < n; token++) {
      int from = token * GroupedIntKernels.rowInts(groups);
      for (int g = 0; g < groups; g++) {
        long to = input.codesOffset(token, g);
        for (int k = 0; k < GroupedInts.GROUP; k++) {
          int column = g * GroupedInts.GROUP + k;
          for (int half = 0; half < 2; half++) {
            int word = rounded.codes().get(from + GroupedIntKernels.word(column, half));
            byte value = (byte) (word >> 8 * (k & 3));
            long offset = to + k + (long) half * GroupedInts.GROUP;
            input.codes().set(ValueLayout.JAVA_BYTE, offset, value);
          }
        }
        int sum = rounded.codes().get(from + groups * GroupedIntKernels.CODE_INTS + g);
        input.meta(token, g, rounded.scales().get(token * groups + g), sum);
      }
    }
  }

  /** What the device has as the CPU keeps it. */
  private static void rows(LinearTasks.Rounded rounded, int n, int cols, PreparedInput input) {
    input.rows(n, cols);
    int words = RowIntKernels.words(cols);
    for (int token = 0; token < n; token++) {
      int from = token * RowIntKernels.rowInts(cols);
      for (int k = 0; k < 8 * words; k++) {
        long to = input.rowCodesOffset(token, k / GroupedInts.GROUP) + k % GroupedInts.GROUP;
        int word = rounded.codes().get(from + RowIntKernels.word(k, words));
        input.codes().set(ValueLayout.JAVA_BYTE, to, (byte) (word >> 8 * (k & 3)));
      }
      int meta = rounded.codes().get(from + 2 * words);
      input.rowMeta(token, rounded.scales().get(token), meta & 15, meta >> 4);
    }
  }

  @Override
  public void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    int cols = projection.cols();
    if (projection.input() instanceof InputSpec.Plain) {
      float[] normed = new float[n * cols];
      rmsNorm(x, weight, eps, n, normed);
      prepare(projection, normed, n, input);
      return;
    }
    WeightImage image = new WeightImage("test");
    LinearTasks.Rows rows = new LinearTasks.Rows(floats(x, n, cols, cols), cols);
    prepare(projection, image, new Source.Normed(rows, image.vector(weight), eps, -1), n, input);
  }

  @Override
  public void gatePrepare(
      Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    int cols = projection.cols();
    if (projection.input() instanceof InputSpec.Plain) {
      swiglu(gate, up, n * cols);
      prepare(projection, gate, n, input);
      return;
    }
    FloatArray rows = new FloatArray(LinearTasks.Rounded.padded(n) * 2 * cols);
    for (int i = 0; i < n * cols; i++) {
      int to = i / cols * 2 * cols + i % cols;
      rows.set(to, gate[i]);
      rows.set(to + cols, up[i]);
    }
    Source source = new Source.Gated(new LinearTasks.Rows(rows, 2 * cols), cols);
    prepare(projection, new WeightImage("test"), source, n, input);
  }

  private static LinearTasks.Rounded roundedRows(PreparedInput input) {
    int cols = input.cols();
    int words = RowIntKernels.words(cols);
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(input.tokens(), cols);
    for (int token = 0; token < input.tokens(); token++) {
      int to = token * RowIntKernels.rowInts(cols);
      for (int k = 0; k < 8 * words; k += 4) {
        int word =
            FourBytes.of(
                input.rowCode(token, k),
                input.rowCode(token, k + 1),
                input.rowCode(token, k + 2),
                input.rowCode(token, k + 3));
        rounded.codes().set(to + RowIntKernels.word(k, words), word);
      }
      int meta = (input.rowSum(token) << 4) + input.rowZero(token);
      rounded.codes().set(to + 2 * words, meta);
      rounded.scales().set(token, input.rowScale(token));
    }
    return rounded;
  }

  private static LinearTasks.Rounded rounded(PreparedInput input) {
    int groups = input.groups();
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(input.tokens(), input.cols());
    for (int token = 0; token < input.tokens(); token++) {
      int to = token * GroupedIntKernels.rowInts(groups);
      for (int k = 0; k < groups * GroupedInts.GROUP; k += 4) {
        int low = 0;
        int high = 0;
        for (int j = 0; j < 4; j++) {
          int code = input.code(token, k + j);
          low |= (GroupedInts.low(code) & 255) << 8 * j;
          high |= (GroupedInts.high(code) & 255) << 8 * j;
        }
        rounded.codes().set(to + GroupedIntKernels.word(k, 0), low);
        rounded.codes().set(to + GroupedIntKernels.word(k, 1), high);
      }
      for (int g = 0; g < groups; g++) {
        rounded.codes().set(to + groups * GroupedIntKernels.CODE_INTS + g, input.sum(token, g));
        rounded.scales().set(token * groups + g, input.scale(token, g));
      }
    }
    return rounded;
  }

  @Override
  public void linear(Projection projection, PreparedInput input, float[][] outs) {
    int n = input.tokens();
    int cols = input.cols();
    int stride = LinearTasks.stride(cols);
    boolean plain = projection.input() instanceof InputSpec.Plain;
    FloatArray in = plain ? floats(input.values(), n, cols, stride) : new FloatArray(1);
    LinearTasks.Rounded rounded =
        switch (projection.input()) {
          case InputSpec.Plain _ -> LinearTasks.Rounded.of(1, 1);
          case InputSpec.Int16PerGroup _ -> rounded(input);
          case InputSpec.Int4PerToken _ -> roundedRows(input);
        };
    int done = 0;
    for (List<Linear> run : MatrixStack.runs(projection.linears())) {
      WeightImage image = new WeightImage("test");
      MatrixStack stack = image.stack(run);
      image.allocate();
      FloatArray y = new FloatArray(n * stack.rows());
      y.init(Float.NaN);
      IntArray step = step(n);
      Object[] read = plain ? new Object[] {in} : new Object[] {rounded.codes(), rounded.scales()};
      List<Object> sent = new ArrayList<>(List.of(step, POWERS, image.longs(), image.floats()));
      sent.addAll(List.of(read));
      run(
          (graph, grids) ->
              new LinearTasks(new KernelContext(), step, POWERS, grids, four, DP4A, false)
                  .linear(
                      graph,
                      "linear",
                      stack,
                      image,
                      new LinearTasks.Rows(in, stride),
                      rounded,
                      new LinearTasks.Rows(y, stack.rows()),
                      Grids.Axis.ROWS,
                      false),
          n,
          1,
          sent.toArray(),
          y);
      int at = 0;
      for (Linear layer : run) {
        copy(y, stack.rows(), at, outs[done++], n, layer.weight().rows());
        at += MatrixStack.padded(layer.weight().rows());
      }
    }
  }

  @Override
  public void rope(float[] x, int heads, int headDim, RopeTable table, int n) {
    FloatArray rope = new FloatArray(n * headDim);
    StepInputs.copyRope(table, n, headDim, rope);
    heads(x, heads, headDim, n, new FloatArray(1), rope, true, new KvTransformPlace(-1, -1, -1));
  }

  @Override
  public void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n) {
    FloatArray rope = new FloatArray(n * headDim);
    rope.init(Float.NaN); // they aren't rotated
    FloatArray p = FloatArray.fromArray(matrix);
    heads(x, heads, headDim, n, p, rope, false, new KvTransformPlace(0, 0, -1));
  }

  /** Heads of queries alone. */
  private static void heads(
      float[] x,
      int heads,
      int headDim,
      int n,
      FloatArray p,
      FloatArray rope,
      boolean rotated,
      KvTransformPlace place) {
    int width = heads * headDim;
    FloatArray rows = floats(x, n, width, width);
    KvLayout none = new KvLayout(KvType.FP32, 1, 0, headDim);
    StepInputs inputs = new StepInputs(new StepLayout(n, 1, 1), headDim, 1e4);
    inputs.ints().set(StepLayout.N, n);
    DeviceKv kv = new DeviceKv.Floats(new FloatArray(1));
    run(
        (graph, grids) ->
            new KvTasks(new KernelContext(), inputs, POWERS, grids, none, n)
                .heads(
                    graph,
                    "heads",
                    kv,
                    p,
                    rope,
                    new LinearTasks.Rows(rows, width),
                    new KvTasks.Heads(heads, rotated, -1, -1, 0f, place)),
        n,
        1,
        new Object[] {inputs.ints(), POWERS, kv.array(), p, rope, rows},
        rows);
    copy(rows, width, 0, x, n, width);
  }

  @Override
  public void appendKv(
      KvPool pool, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform) {
    KvLayout layout = pool.layout();
    int n = batch.numTokens();
    int width = layout.numKvHeads() * layout.headDim();
    int vAt = MatrixStack.padded(width);
    FloatArray rows = new FloatArray(n * 2 * vAt);
    for (int row = 0; row < n; row++) {
      for (int i = 0; i < width; i++) {
        rows.set(row * 2 * vAt + i, k[row * width + i]);
        rows.set(row * 2 * vAt + vAt + i, v[row * width + i]);
      }
    }
    FloatArray rope = new FloatArray(n * layout.headDim());
    StepInputs inputs = inputs(batch, layout.headDim());
    DeviceKv kv = image(pool, layer);
    WeightImage image = new WeightImage("test");
    KvTransformPlace place = KvTransformPlace.of(transform, image);
    image.allocate();
    FloatArray p = image.floats();
    run(
        (graph, grids) ->
            new KvTasks(
                    new KernelContext(),
                    inputs,
                    POWERS,
                    grids,
                    layout,
                    four ? TornadoBackend.ROWS : 1)
                .heads(
                    graph,
                    "append",
                    kv,
                    p,
                    rope,
                    new LinearTasks.Rows(rows, 2 * vAt),
                    new KvTasks.Heads(
                        0, false, -1, -1, 0f, new KvTransformPlace(-1, -1, place.clipAt()))),
        n,
        1,
        new Object[] {inputs.ints(), POWERS, kv.array(), p, rope, rows},
        kv.array());
    MemorySegment.copy(
        kv.segment(), 0, pool.segment(), pool.keyOffset(layer, 0, 0), layerBytes(pool));
  }

  @Override
  public void attention(
      KvPool pool, int layer, StepBatch batch, float[] q, int heads, float[] result) {
    KvLayout layout = pool.layout();
    int n = batch.numTokens();
    int width = heads * layout.headDim();
    FloatArray rows = floats(q, n, width, width);
    StepInputs inputs = inputs(batch, layout.headDim());
    FloatArray part = new FloatArray(inputs.slots() * heads * (layout.headDim() + 2));
    FloatArray y = new FloatArray(n * width);
    DeviceKv kv = image(pool, layer);
    Source source = new Source.Joined(part, n, heads, layout.headDim(), inputs.slots());
    WeightImage none = new WeightImage("test");
    run(
        (graph, grids) -> {
          KernelContext context = new KernelContext();
          LinearTasks.Rows in = new LinearTasks.Rows(rows, width);
          new KvTasks(context, inputs, POWERS, grids, layout, four ? TornadoBackend.ROWS : 1)
              .attend(graph, "attend", kv, in, part, heads);
          LinearTasks.Rows out = new LinearTasks.Rows(y, width);
          new RowTasks(context, inputs.ints(), POWERS, grids)
              .write(graph, "join", source, none, width, out, Grids.Axis.ROWS);
        },
        n,
        inputs.slots(),
        new Object[] {inputs.ints(), POWERS, kv.array(), rows, part},
        y);
    copy(y, width, 0, result, n, width);
  }

  private static StepInputs inputs(StepBatch batch, int headDim) {
    int slots = 0;
    int tableInts = 0;
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int row = batch.queryStart(s); row < batch.queryStart(s + 1); row++) {
        slots += Attention.splits(batch.position(row) + 1);
      }
      tableInts += batch.blockTable(s).length;
    }
    StepInputs inputs =
        new StepInputs(new StepLayout(batch.numTokens(), slots, tableInts), headDim, 1e4);
    inputs.begin();
    for (int s = 0; s < batch.numSequences(); s++) {
      inputs.add(batch, s, batch.queryStart(s), batch.queryStart(s + 1));
    }
    inputs.end();
    return inputs;
  }

  private static long layerBytes(KvPool pool) {
    return pool.numBlocks() * pool.layout().layerBlockBytes();
  }

  private static DeviceKv image(KvPool pool, int layer) {
    DeviceKv kv = DeviceKv.of(pool.layout(), pool.numBlocks());
    MemorySegment.copy(
        pool.segment(), pool.keyOffset(layer, 0, 0), kv.segment(), 0, layerBytes(pool));
    return kv;
  }

  @Override
  public void swiglu(float[] gate, float[] up, int count) {
    FloatArray x = new FloatArray(2 * count);
    for (int i = 0; i < count; i++) {
      x.set(i, gate[i]);
      x.set(count + i, up[i]);
    }
    FloatArray y = new FloatArray(count);
    IntArray step = step(1);
    Source source = new Source.Gated(new LinearTasks.Rows(x, 2 * count), count);
    WeightImage none = new WeightImage("test");
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .write(
                    graph,
                    "swiglu",
                    source,
                    none,
                    count,
                    new LinearTasks.Rows(y, count),
                    Grids.Axis.ROWS),
        1,
        1,
        new Object[] {step, POWERS, x},
        y);
    copy(y, count, 0, gate, 1, count);
  }

  /** Addition is a part of the linear kernels here: y += 1 x, by the fp32 one. */
  @Override
  public void add(float[] x, float[] y, int count) {
    FloatArray to = new FloatArray(16 * count);
    FloatArray from = new FloatArray(count);
    to.init(0f);
    for (int i = 0; i < count; i++) {
      to.set(16 * i, x[i]);
      from.set(i, y[i]);
    }
    FloatArray one = new FloatArray(16);
    one.init(1f);
    IntArray step = step(count);
    run(
        (graph, grids) -> {
          graph.task(
              "add",
              DenseKernels::single,
              new KernelContext(),
              step,
              one,
              from,
              to,
              0,
              1,
              1,
              0,
              16,
              -1,
              1);
          grids.add("ops.add", Grids.Axis.ROWS, 1, DenseKernels.LOCAL, 1);
        },
        count,
        1,
        new Object[] {step, one, from, to},
        to);
    for (int i = 0; i < count; i++) {
      x[i] = to.get(16 * i);
    }
  }

  @Override
  public int argMax(float[] x, int offset, int count) {
    return sampled(x, offset, count).tokens.get(3);
  }

  private static SamplingBuffers sampled(float[] x, int offset, int count) {
    FloatArray logits = FloatArray.fromArray(Arrays.copyOfRange(x, offset, offset + count));
    SamplingBuffers s = new SamplingBuffers(1, count);
    s.wants.set(StepLayout.N, 1);
    run(
        (graph, grids) ->
            new SamplingTasks(new KernelContext(), s, POWERS, grids)
                .sum(graph, new LinearTasks.Rows(logits, count), count),
        1,
        1,
        new Object[] {s.wants, s.asks, POWERS, logits, s.found, s.knobs, s.tokens, s.chunks},
        s.tokens,
        s.chunks);
    return s;
  }

  /** Masked rows are drawn from on the host. */
  @Override
  public int mask(float[] x, int offset, int count, long[] allowed, float[] out) {
    return DEFINITION.mask(x, offset, count, allowed, out);
  }

  /** Draws with a temperature are made on the host where they aren't plain. */
  @Override
  public void weigh(float[] x, int offset, int count, float max, float temperature, float[] out) {
    DEFINITION.weigh(x, offset, count, max, temperature, out);
  }

  @Override
  public int atLeast(float[] x, int offset, int count, float least, int[] found) {
    return DEFINITION.atLeast(x, offset, count, least, found);
  }

  @Override
  public double sumExp(float[] x, int offset, int count, float max) {
    DoubleArray sums = sampled(x, offset, count).chunks;
    double total = 0;
    for (int i = 0; i < SamplingBuffers.chunks(count); i++) {
      total += sums.get(i);
    }
    return total;
  }

  @Override
  public void forEach(int count, Task task) {
    for (int i = 0; i < count; i++) {
      task.run(i, 0);
    }
  }

  @Override
  public int workers() {
    return 1;
  }

  @Override
  public void close() {}
}
