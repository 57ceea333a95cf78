package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.tornado.Grids.Size;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * A model as task graphs, few and large, since the host pays for each graph and each task:
 *
 * <pre>
 *   boot       sends zeroed activations, once
 *   weights    of a layer, or of embedding and head: once, and when they change
 *   input      sends the ints and rotations of several rows, embeds
 *   rows       a group of layers, for each number of rows that there are graphs for; a single row's
 *              begin with its input, and all end with final norm, head and sampling, which bring a
 *              few numbers a row back
 *   more       final norm, head and sampling, for more answers than a pass could take
 *   fetch      brings one row of logits to the host, for what is done there
 * </pre>
 *
 * All are graphs of one execution plan and share buffers; {@link GraphChain} sees to that.
 */
final class LayerPlan implements AutoCloseable {
  /** From so many rows on four tokens share a work group. */
  private static final int FEW = 2;

  /**
   * Work groups for each head, of a row, up to four rows, in graphs whose grids never change:
   * enough to fill a large device, and few enough that those without a slot cost little.
   */
  private static final int SPREAD = 64;

  /**
   * The graphs of passes of at most so many rows, of which at most as many are wanted.
   *
   * @param inputs of a pass, whose layout says how many splits a row has at most
   * @param fixed whether their grids have that size whatever a pass has, so that they can be
   *     captured
   */
  private record Bucket(StepInputs inputs, int rows, boolean fixed, List<Integer> graphs) {
    Bucket(StepInputs inputs, int rows, boolean fixed) {
      this(inputs, rows, fixed, new ArrayList<>());
    }

    boolean several() {
      return rows >= FEW;
    }
  }

  private final ModelConfig config;
  private final StepInputs manyRows;
  private final SamplingBuffers sampling;
  private final Activations act;
  private final List<LayerImage> layers = new ArrayList<>();
  private final List<DeviceKv> kv = new ArrayList<>();
  private final WeightImage ends = new WeightImage("embedding and head");
  private final MatrixStack embedding;
  private final MatrixStack head;
  private final int finalNorm;
  private final FloatArray powers = Powers.table();
  private final Grids grids = new Grids();
  private final GraphChain chain = new GraphChain(grids);
  private final KvLayout layout;
  private final boolean cuda;
  private final int splits; // most of a row

  private final List<Integer> weightGraphs = new ArrayList<>();
  private final List<WeightImage> weightImages = new ArrayList<>();
  private final int input;
  private final List<Bucket> buckets = new ArrayList<>();
  private final Map<Integer, Integer> taskBytes = new HashMap<>();
  private final int more;
  private final int fetch;
  private StepInputs inputs;

  /**
   * Allocates, sends and compiles everything.
   *
   * @param oneRow how passes of a single row are laid out
   * @param manyRows how all others are
   * @param captured rows of passes, ascending, that have graphs of their own, with grids that never
   *     change, so that a device can capture them; there are always graphs for one row and for most
   */
  LayerPlan(
      WeightStore weights,
      KvLayout layout,
      int numBlocks,
      StepLayout oneRow,
      StepLayout manyRows,
      TornadoDevice device,
      List<Integer> captured) {
    this.config = weights.config();
    this.layout = layout;
    this.cuda = device.getTornadoVMBackend() == TornadoVMBackendType.CUDA;
    this.splits = oneRow.slots();
    this.manyRows = inputs(manyRows);
    this.inputs = this.manyRows;
    this.sampling = new SamplingBuffers(manyRows.rows(), config.vocabSize());
    for (int i = 0; i < config.numLayers(); i++) {
      layers.add(LayerImage.of(i, weights.layers().get(i)));
      kv.add(DeviceKv.of(layout, numBlocks));
    }
    PackedMatrix table = weights.embedding();
    this.embedding = ends.stack(List.of(new Linear(table, null)));
    Linear last = weights.head();
    boolean tied = last.weight() == table && last.bias() == null;
    this.head = tied ? embedding : ends.stack(List.of(last));
    this.finalNorm = ends.vector(weights.finalNorm());
    layers.forEach(l -> l.image().allocate());
    ends.allocate();
    this.act =
        Activations.of(
            config,
            manyRows,
            LayerImage.width(layers.getFirst().qkv()),
            LayerImage.width(layers.getFirst().gateUp()),
            layers.getFirst().o().format() == PerRow.W4A4,
            sums());
    boolean fixed = captured.contains(1);
    if (oneRow.slots() > W3RowKernels.MOST_SPLITS && joins()) {
      buckets.add(new Bucket(inputs(StepLayout.row(W3RowKernels.MOST_SPLITS)), 1, fixed));
    }
    buckets.add(new Bucket(inputs(oneRow), 1, fixed));
    captured.stream()
        .filter(rows -> rows > 1)
        .forEach(rows -> buckets.add(new Bucket(this.manyRows, rows, true)));
    if (!captured.contains(manyRows.rows())) {
      buckets.add(new Bucket(this.manyRows, manyRows.rows(), false));
    }

    boot();
    weightGraph("Ends", ends, null, List.of());
    Bucket all = new Bucket(this.manyRows, manyRows.rows(), !captured.isEmpty());
    TaskGraph graph = chain.graph("input", List.of());
    addInput(graph, this.manyRows);
    this.input = end(graph, all);
    List<Integer> starts = parts(buckets.getFirst(), 0, config.numLayers());
    for (int i = 1; i < starts.size(); i++) {
      layerGraphs(starts.get(i - 1), starts.get(i));
    }
    graph = chain.graph("more", List.of());
    addHead(graph, true);
    this.more = end(graph, all);
    this.fetch = end(fetchGraph(), all);
    chain.start(device);
  }

  /** Whether a bucket's 4-bit linears are multiplied by {@link W4MmaKernels}. */
  private boolean mma(Bucket bucket) {
    return cuda && bucket.rows >= W4MmaKernels.FEWEST;
  }

  /** The most sums that {@link W4MmaKernels} leaves, 0 where it is not used. */
  private int sums() {
    return layers.stream()
        .flatMap(w -> Stream.of(w.qkv(), List.of(w.o()), w.gateUp(), List.of(w.down())))
        .flatMap(List::stream)
        .filter(stack -> cuda && stack.format() == PerRow.W4A4)
        .mapToInt(stack -> W4MmaKernels.sums(stack.rows(), stack.cols(), TornadoBackend.ROWS))
        .max()
        .orElse(0);
  }

  /** Ends a graph; its number. */
  private int end(TaskGraph graph, Bucket bucket) {
    if (!bucket.fixed) {
      return chain.end(graph);
    }
    return chain.end(graph, new Size(bucket.rows, groups(bucket), bucket.rows));
  }

  /** Work groups for each head that take a pass's slots, where that may not depend on it. */
  private int groups(Bucket bucket) {
    int most = Math.min(bucket.inputs.layout().slots(), bucket.rows * splits);
    return Math.min(most, SPREAD * Math.min(bucket.rows, 4));
  }

  private void boot() {
    List<Object> shared = new ArrayList<>(act.arrays());
    shared.addAll(act.ints());
    shared.add(powers);
    TaskGraph graph = chain.graph("boot", List.of());
    graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, shared.toArray());
    for (int i = 0; i < act.arrays().size(); i++) {
      graph.task("touch" + i, RowKernels::touch, new KernelContext(), powers, act.arrays().get(i));
      grids.add("boot.touch" + i, Grids.Axis.ROWS, 1, 1, 1);
    }
    for (int i = 0; i < act.ints().size(); i++) {
      IntArray ints = act.ints().get(i);
      graph.task("touchInts" + i, RowKernels::touchInts, new KernelContext(), powers, ints);
      grids.add("boot.touchInts" + i, Grids.Axis.ROWS, 1, 1, 1);
    }
    chain.carry(shared);
    chain.end(graph);
  }

  /**
   * Sends weights whenever it runs, and keys and values once.
   *
   * @param cache of the layer whose weights they are
   * @param taken what is lent on to the next graph, beside these
   * @return what is lent
   */
  private List<Object> weightGraph(
      String name, WeightImage image, @Nullable DeviceKv cache, List<Object> taken) {
    TaskGraph graph = chain.graph("weights" + name, taken);
    List<Object> sent = new ArrayList<>(List.of(image.longs(), image.floats()));
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, sent.toArray());
    KernelContext context = new KernelContext();
    graph.task("touch", RowKernels::touchBoth, context, image.longs(), image.floats(), powers);
    grids.add(graph.getTaskGraphName() + ".touch", Grids.Axis.ROWS, 1, 1, 1);
    if (cache != null) {
      graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, cache.array());
      switch (cache) {
        case DeviceKv.Floats f ->
            graph.task("touchKv", RowKernels::touch, context, powers, f.array());
        case DeviceKv.Ints n ->
            graph.task("touchKv", RowKernels::touchInts, context, powers, n.array());
      }
      grids.add(graph.getTaskGraphName() + ".touchKv", Grids.Axis.ROWS, 1, 1, 1);
      sent.add(cache.array());
    }
    List<Object> lent = new ArrayList<>(taken);
    lent.addAll(sent);
    if (cache == null) {
      chain.carry(sent);
    } else {
      chain.lend(lent);
    }
    weightImages.add(image);
    weightGraphs.add(chain.end(graph));
    return lent;
  }

  /** Sends what a pass has, and embeds it. */
  private void addInput(TaskGraph graph, StepInputs step) {
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, step.ints(), step.rope());
    new RowTasks(new KernelContext(), step.ints(), powers, grids)
        .embed(graph, embedding, ends, act.hidden());
    graph.task("touch", RowKernels::touch, new KernelContext(), powers, step.rope());
    grids.add(graph.getTaskGraphName() + ".touch", Grids.Axis.FIXED, 1, 1, 1);
    chain.carry(List.of(step.ints(), step.rope()));
  }

  /** Whether a layer's o joins short attention itself, where there are graphs for that alone. */
  private boolean joins() {
    return layers.stream()
        .anyMatch(
            w ->
                OwnInputs.makes(
                    w.o(),
                    LayerTasks.sources(config, act, w, 1, W3RowKernels.MOST_SPLITS).attended()));
  }

  /** Where the graphs of a bucket begin that hold layers [from, to), and then {@code to}. */
  private List<Integer> parts(Bucket bucket, int from, int to) {
    return GraphBytes.parts(from, to, (first, end) -> bytes(bucket, first, end));
  }

  /** What the tasks of a graph of these layers take of {@link GraphBytes#MOST}. */
  private int bytes(Bucket bucket, int from, int to) {
    GraphBytes count = new GraphBytes(bucket.several(), mma(bucket));
    int bytes = bucket.inputs != manyRows && from == 0 ? GraphBytes.input(embedding) : 0;
    for (int i = from; i < to; i++) {
      LayerImage w = layers.get(i);
      bytes +=
          count.layer(
              w,
              LayerTasks.sources(config, act, w, bucket.rows, splits(bucket)),
              kv.get(i),
              layout.type() == KvType.INT4);
    }
    return to == layers.size() ? bytes + count.head(head, last()) : bytes;
  }

  /** What the head reads. */
  private Source last() {
    return new Source.Normed(act.hidden(), finalNorm, config.rmsNormEps(), StepLayout.HEADER);
  }

  /** The weights of some layers, and the graphs of each bucket for them. */
  private void layerGraphs(int from, int to) {
    List<Object> own = List.of();
    for (int i = from; i < to; i++) {
      own = weightGraph("Of" + i, layers.get(i).image(), kv.get(i), own);
    }
    for (Bucket bucket : buckets) {
      List<Integer> starts = parts(bucket, from, to);
      for (int i = 1; i < starts.size(); i++) {
        layerGraph(bucket, starts.get(i - 1), starts.get(i), own);
      }
    }
  }

  private void layerGraph(Bucket bucket, int from, int to, List<Object> own) {
    String name = "rows" + bucket.rows + "splits" + splits(bucket) + "from" + from;
    TaskGraph graph = chain.graph(name, own);
    if (from == 0 && bucket.inputs != manyRows) {
      addInput(graph, bucket.inputs); // of the others each would have its own buffer
    }
    LayerTasks tasks =
        new LayerTasks(
            config,
            act,
            bucket.inputs,
            powers,
            grids,
            layout,
            splits(bucket),
            bucket.several(),
            cuda,
            mma(bucket));
    for (int i = from; i < to; i++) {
      tasks.add(graph, i, layers.get(i), kv.get(i));
    }
    if (to == layers.size()) {
      addHead(graph, bucket.several());
    }
    chain.lend(own);
    int number = end(graph, bucket);
    bucket.graphs.add(number);
    taskBytes.put(number, bytes(bucket, from, to));
  }

  /** Final norm, head and sampling of the rows that {@link #sampling} asks for. */
  private void addHead(TaskGraph graph, boolean several) {
    SamplingBuffers s = sampling;
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, s.wants, s.asks, s.knobs, s.draws);
    graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, s.tokens, s.chunks, s.found);
    KernelContext context = new KernelContext();
    Rows logits = act.logits();
    new LinearTasks(context, s.wants, powers, grids, several, cuda, false)
        .project(
            graph,
            "head",
            List.of(head),
            ends,
            last(),
            act.normed(),
            act.rounded(),
            logits,
            Grids.Axis.WANTED,
            false);
    SamplingTasks tasks = new SamplingTasks(context, s, powers, grids);
    tasks.sum(graph, logits, config.vocabSize());
    tasks.pick(graph, logits, config.vocabSize());
    graph.transferToHost(DataTransferMode.EVERY_EXECUTION, s.tokens, s.values, s.totals);
  }

  private TaskGraph fetchGraph() {
    TaskGraph graph = chain.graph("fetch", List.of());
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, sampling.which);
    int vocab = config.vocabSize();
    graph.task(
        "row",
        RowKernels::copyRow,
        new KernelContext(),
        sampling.which,
        act.logits().array(),
        sampling.logits,
        vocab,
        act.logits().stride());
    grids.add(
        "fetch.row", Grids.Axis.FIXED, Math.ceilDiv(vocab, RowKernels.LOCAL), RowKernels.LOCAL, 1);
    graph.transferToHost(DataTransferMode.EVERY_EXECUTION, sampling.logits);
    return graph;
  }

  private StepInputs inputs(StepLayout step) {
    return new StepInputs(step, config.headDim(), config.ropeTheta());
  }

  /** Most splits of a row in a bucket. */
  private int splits(Bucket bucket) {
    return Math.min(splits, bucket.inputs.layout().slots());
  }

  /** What holds the passes of a step. */
  StepInputs inputs(StepBatch batch) {
    inputs = manyRows;
    if (batch.numTokens() == 1) {
      int slots = Attention.splits(batch.position(0) + 1);
      inputs =
          buckets.stream()
              .filter(b -> b.rows == 1 && (slots <= splits(b) || splits(b) == splits))
              .findFirst()
              .orElseThrow()
              .inputs;
    }
    return inputs;
  }

  SamplingBuffers sampling() {
    return sampling;
  }

  /** Sends the weights that have changed; says of how many layers, or ends, they were. */
  int refresh() {
    int sent = 0;
    for (int i = 0; i < weightGraphs.size(); i++) {
      if (weightImages.get(i).refresh()) {
        chain.run(weightGraphs.get(i), Size.NONE);
        sent++;
      }
    }
    return sent;
  }

  /** The bucket of the pass that the inputs hold. */
  private Bucket pass() {
    return buckets.stream()
        .filter(b -> b.inputs == inputs && inputs.numRows() <= b.rows)
        .findFirst()
        .orElseThrow();
  }

  /** How many rows of the pass that the inputs hold {@link #forward} can answer. */
  int answered() {
    return pass().rows;
  }

  /** All layers for the rows of the pass, and answers for those that {@link #sampling} asks for. */
  void forward() {
    Size size = new Size(inputs.numRows(), inputs.slots(), sampling.count());
    Bucket pass = pass();
    if (pass.fixed) {
      inputs.spread(groups(pass));
    }
    if (inputs == manyRows) {
      chain.run(input, size);
    }
    for (int graph : pass.graphs) {
      chain.run(graph, size);
    }
  }

  /** Answers for more rows of the pass. */
  void answer() {
    chain.run(more, new Size(inputs.numRows(), inputs.slots(), sampling.count()));
  }

  /** The logits of one of the rows answered last; valid until the next call. */
  FloatArray logits(int wanted) {
    sampling.which.set(0, wanted);
    chain.run(fetch, Size.NONE);
    return sampling.logits;
  }

  /** Bytes on the device. */
  long bytes() {
    long images = layers.stream().mapToLong(l -> l.image().bytes()).sum() + ends.bytes();
    long caches = kv.stream().mapToLong(k -> k.segment().byteSize()).sum();
    return images + caches + act.bytes();
  }

  /** What is counted of the bytes of each graph of layers, by the task graph's number. */
  Map<Integer, Integer> taskBytes() {
    return taskBytes;
  }

  GraphChain chain() {
    return chain;
  }

  /** Graphs that a step of one row runs, of a short context. */
  int graphsOfStep() {
    return buckets.getFirst().graphs.size();
  }

  /** Tasks that a step of one row runs, of a short context. */
  int tasksOfStep() {
    return buckets.getFirst().graphs.stream().mapToInt(chain::tasks).sum();
  }

  @Override
  public void close() {
    chain.close();
  }
}
