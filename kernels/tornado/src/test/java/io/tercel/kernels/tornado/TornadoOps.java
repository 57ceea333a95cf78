package io.tercel.kernels.tornado;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.InputSpec;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
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
    FloatArray padded = new FloatArray(Math.max(1, n * stride));
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
        new Object[] {inputs.ints(), POWERS, image.ints(), image.floats()},
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
    FloatArray p = FloatArray.fromArray(weight);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .norm(
                    graph,
                    "norm",
                    p,
                    0,
                    width,
                    eps,
                    new LinearTasks.Rows(in, width),
                    new LinearTasks.Rows(y, stride)),
        n,
        1,
        new Object[] {step, in, p},
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
    WeightImage image = new WeightImage("test");
    MatrixStack stack = image.stack(projection.linears().subList(0, 1));
    image.allocate();
    int stride = cols + 3;
    FloatArray in = floats(x, n, cols, stride);
    for (int row = 0; row < n; row++) {
      in.set(row * stride + cols, Float.NaN); // padding is not read
    }
    boolean fourBits = projection.input() instanceof InputSpec.Int4PerToken;
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(n, cols, fourBits);
    rounded.transformed().init(Float.NaN);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new LinearTasks(new KernelContext(), step, POWERS, grids, four)
                .prepare(
                    graph,
                    "ints",
                    stack,
                    image,
                    new LinearTasks.Rows(in, stride),
                    rounded,
                    Grids.Axis.ROWS),
        n,
        1,
        new Object[] {
          step, image.ints(), image.floats(), in, rounded.halfway(), rounded.transformed()
        },
        rounded.codes(),
        rounded.scales());
    if (fourBits) {
      rows(rounded, n, cols, input);
      return;
    }
    input.grouped(n, cols);
    for (int token = 0; token < n; token++) {
      for (int g = 0; g < input.groups(); g++) {
        int from = token * GroupedIntKernels.rowInts(input.groups());
        long to = input.codesOffset(token, g);
        for (int k = 0; k < GroupedInts.GROUP; k++) {
          int code = rounded.codes().get(from + g * GroupedInts.GROUP + k);
          input.codes().set(ValueLayout.JAVA_BYTE, to + k, GroupedInts.low(code));
          input
              .codes()
              .set(ValueLayout.JAVA_BYTE, to + GroupedInts.GROUP + k, GroupedInts.high(code));
        }
        int sum = rounded.codes().get(from + input.groups() * GroupedInts.GROUP + g);
        input.meta(token, g, rounded.scales().get(token * input.groups() + g), sum);
      }
    }
  }

  /** What the device has as one int a code, as the CPU keeps it. */
  private static void rows(LinearTasks.Rounded rounded, int n, int cols, PreparedInput input) {
    input.rows(n, cols);
    int columns = input.groups() * GroupedInts.GROUP;
    for (int token = 0; token < n; token++) {
      int from = token * RowIntKernels.rowInts(input.groups());
      for (int k = 0; k < columns; k++) {
        long to = input.rowCodesOffset(token, k / GroupedInts.GROUP) + k % GroupedInts.GROUP;
        input.codes().set(ValueLayout.JAVA_BYTE, to, (byte) rounded.codes().get(from + k));
      }
      int meta = rounded.codes().get(from + columns);
      input.rowMeta(token, rounded.scales().get(token), meta & 15, meta >> 4);
    }
  }

  /** In a step too they are two kernels. */
  @Override
  public void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input) {
    float[] normed = new float[n * weight.length];
    rmsNorm(x, weight, eps, n, normed);
    prepare(projection, normed, n, input);
  }

  @Override
  public void gatePrepare(
      Projection projection, float[] gate, float[] up, int n, PreparedInput input) {
    swiglu(gate, up, n * projection.cols());
    prepare(projection, gate, n, input);
  }

  private static LinearTasks.Rounded roundedRows(PreparedInput input) {
    int columns = input.groups() * GroupedInts.GROUP;
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(input.tokens(), input.cols());
    for (int token = 0; token < input.tokens(); token++) {
      int to = token * RowIntKernels.rowInts(input.groups());
      for (int k = 0; k < columns; k++) {
        rounded.codes().set(to + k, input.rowCode(token, k));
      }
      rounded.codes().set(to + columns, (input.rowSum(token) << 4) + input.rowZero(token));
      rounded.scales().set(token, input.rowScale(token));
    }
    return rounded;
  }

  private static LinearTasks.Rounded rounded(PreparedInput input) {
    int groups = input.groups();
    LinearTasks.Rounded rounded = LinearTasks.Rounded.of(input.tokens(), input.cols());
    for (int token = 0; token < input.tokens(); token++) {
      int to = token * GroupedIntKernels.rowInts(groups);
      for (int k = 0; k < groups * GroupedInts.GROUP; k++) {
        rounded.codes().set(to + k, input.code(token, k));
      }
      for (int g = 0; g < groups; g++) {
        rounded.codes().set(to + groups * GroupedInts.GROUP + g, input.sum(token, g));
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
      List<Object> sent = new ArrayList<>(List.of(step, POWERS, image.ints(), image.floats()));
      sent.addAll(List.of(read));
      run(
          (graph, grids) ->
              new LinearTasks(new KernelContext(), step, POWERS, grids, four)
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
    int width = heads * headDim;
    FloatArray rows = floats(x, n, width, width);
    FloatArray rope = new FloatArray(n * headDim);
    StepInputs.copyRope(table, n, headDim, rope);
    FloatArray p = new FloatArray(1);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .heads(
                    graph,
                    "heads",
                    p,
                    rope,
                    new LinearTasks.Rows(rows, width),
                    new RowTasks.Heads(heads, 0, headDim, 0, -1, -1, 0f)),
        n,
        1,
        new Object[] {step, p, rope, rows},
        rows);
    copy(rows, width, 0, x, n, width);
  }

  @Override
  public void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n) {
    int width = heads * headDim;
    FloatArray rows = floats(x, n, width, width);
    FloatArray p = FloatArray.fromArray(matrix);
    IntArray step = step(n);
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .transformHeads(
                    graph,
                    "transform",
                    p,
                    new KvTransformPlace(0, 0, -1),
                    new LinearTasks.Rows(rows, width),
                    new RowTasks.Heads(heads, 0, headDim, 0, -1, -1, 0f)),
        n,
        1,
        new Object[] {step, p, rows},
        rows);
    copy(rows, width, 0, x, n, width);
  }

  @Override
  public void appendKv(
      KvPool pool, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform) {
    KvLayout layout = pool.layout();
    int n = batch.numTokens();
    int width = layout.numKvHeads() * layout.headDim();
    FloatArray rows = new FloatArray(n * 2 * width);
    for (int row = 0; row < n; row++) {
      for (int i = 0; i < width; i++) {
        rows.set(row * 2 * width + i, k[row * width + i]);
        rows.set(row * 2 * width + width + i, v[row * width + i]);
      }
    }
    StepInputs inputs = inputs(batch, layout.headDim());
    DeviceKv kv = image(pool, layer);
    WeightImage image = new WeightImage("test");
    KvTransformPlace place = KvTransformPlace.of(transform, image);
    image.allocate();
    FloatArray p = image.floats();
    run(
        (graph, grids) ->
            new KvTasks(new KernelContext(), inputs, POWERS, grids, layout)
                .append(
                    graph,
                    "append",
                    kv,
                    p,
                    place.clipAt(),
                    new LinearTasks.Rows(rows, 2 * width),
                    0,
                    width),
        n,
        1,
        new Object[] {inputs.ints(), POWERS, kv.array(), p, rows},
        kv.array());
    MemorySegment.copy(
        kv.segment(), 0, pool.segment(), pool.keyOffset(layer, 0, 0), layerBytes(pool));
  }

  @Override
  public void attention(
      KvPool pool, int layer, StepBatch batch, float[] q, int heads, float[] out) {
    KvLayout layout = pool.layout();
    int n = batch.numTokens();
    int width = heads * layout.headDim();
    FloatArray rows = floats(q, n, width, width);
    StepInputs inputs = inputs(batch, layout.headDim());
    FloatArray part = new FloatArray(inputs.slots() * heads * (layout.headDim() + 2));
    FloatArray y = new FloatArray(n * width);
    DeviceKv kv = image(pool, layer);
    run(
        (graph, grids) ->
            new KvTasks(new KernelContext(), inputs, POWERS, grids, layout)
                .attend(
                    graph,
                    "attend",
                    kv,
                    new LinearTasks.Rows(rows, width),
                    part,
                    new LinearTasks.Rows(y, width),
                    heads),
        n,
        inputs.slots(),
        new Object[] {inputs.ints(), POWERS, kv.array(), rows, part},
        y);
    copy(y, width, 0, out, n, width);
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
    run(
        (graph, grids) ->
            new RowTasks(new KernelContext(), step, POWERS, grids)
                .swiglu(
                    graph,
                    "swiglu",
                    count,
                    count,
                    new LinearTasks.Rows(x, 2 * count),
                    new LinearTasks.Rows(y, count)),
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
