package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.WeightStore;
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
  private final ModelConfig config;
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

  private final List<Integer> weightGraphs = new ArrayList<>();
  private final List<WeightImage> weightImages = new ArrayList<>();
  private final int input;
  private final Buckets buckets;
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
    this.buckets = new Buckets(config, oneRow, manyRows, captured, cuda);
    this.inputs = buckets.many().inputs();
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
    boot();
    weightGraph("Ends", ends, null, List.of());
    TaskGraph graph = chain.graph("input", List.of());
    addInput(graph, buckets.many().inputs());
    this.input = end(graph, buckets.many());
    List<Integer> starts = parts(buckets.first(), 0, config.numLayers());
    for (int i = 1; i < starts.size(); i++) {
      layerGraphs(starts.get(i - 1), starts.get(i));
    }
    graph = chain.graph("more", List.of());
    addHead(graph, true);
    this.more = end(graph, buckets.many());
    this.fetch = end(fetchGraph(), buckets.many());
    chain.start(device);
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
    return bucket.fixed() ? chain.end(graph, bucket.size()) : chain.end(graph);
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

  /** Where the graphs of a bucket begin that hold layers [from, to), and then {@code to}. */
  private List<Integer> parts(Bucket bucket, int from, int to) {
    return GraphBytes.parts(from, to, (first, end) -> bytes(bucket, first, end));
  }

  /** What the tasks of a graph of these layers take of {@link GraphBytes#MOST}. */
  private int bytes(Bucket bucket, int from, int to) {
    GraphBytes count = new GraphBytes(bucket.several(), bucket.mma());
    int bytes = bucket.beginsWithInput() && from == 0 ? GraphBytes.input(embedding) : 0;
    for (int i = from; i < to; i++) {
      LayerImage w = layers.get(i);
      bytes +=
          count.layer(
              w,
              LayerTasks.sources(config, act, w, bucket.rows(), bucket.splits()),
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
    for (Bucket bucket : buckets.all()) {
      List<Integer> starts = parts(bucket, from, to);
      for (int i = 1; i < starts.size(); i++) {
        layerGraph(bucket, starts.get(i - 1), starts.get(i), own);
      }
    }
  }

  private void layerGraph(Bucket bucket, int from, int to, List<Object> own) {
    String name = "rows" + bucket.rows() + "splits" + bucket.splits() + "from" + from;
    TaskGraph graph = chain.graph(name, own);
    if (from == 0 && bucket.beginsWithInput()) {
      addInput(graph, bucket.inputs()); // of the others each would have its own buffer
    }
    LayerTasks tasks = new LayerTasks(config, act, bucket, powers, grids, layout, cuda);
    for (int i = from; i < to; i++) {
      tasks.add(graph, i, layers.get(i), kv.get(i));
    }
    if (to == layers.size()) {
      addHead(graph, bucket.several());
    }
    chain.lend(own);
    int number = end(graph, bucket);
    bucket.graphs().add(number);
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

  /** What holds the passes of a step. */
  StepInputs inputs(StepBatch batch) {
    inputs = buckets.inputs(batch);
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

  /** How many rows of the pass that the inputs hold {@link #forward} can answer. */
  int answered() {
    return buckets.of(inputs).rows();
  }

  /** All layers for the rows of the pass, and answers for those that {@link #sampling} asks for. */
  void forward() {
    Size size = new Size(inputs.numRows(), inputs.slots(), sampling.count());
    Bucket pass = buckets.of(inputs);
    if (pass.fixed()) {
      inputs.spread(pass.groups());
    }
    if (!pass.beginsWithInput()) {
      chain.run(input, size);
    }
    for (int graph : pass.graphs()) {
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
    return buckets.first().graphs().size();
  }

  /** Tasks that a step of one row runs, of a short context. */
  int tasksOfStep() {
    return buckets.first().graphs().stream().mapToInt(chain::tasks).sum();
  }

  @Override
  public void close() {
    chain.close();
  }
}
