package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import java.util.ArrayList;
import java.util.List;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A model as task graphs, few and large, since the host pays for each graph and each task:
 *
 * <pre>
 *   boot       sends zeroed activations, once
 *   weights    of a group of layers, or of embedding and head: once, and when they change
 *   input      sends the step's ints and rotations, embeds
 *   layers     a group of layers; for one token a work group, and for four
 *   head       final norm, head, sampling; likewise; brings a few numbers a row back
 *   fetch      brings one row of logits to the host, for what is done there
 * </pre>
 *
 * All are graphs of one execution plan and share buffers; {@link GraphChain} sees to that.
 */
final class LayerPlan implements AutoCloseable {
  /** Layers of a graph at most; fewer where they have so many tasks that no more fit. */
  private static final int LAYERS = 7;

  /** From so many rows on four tokens share a work group. */
  private static final int FEW = 2;

  private final ModelConfig config;
  private final StepInputs inputs;
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
  private final int capturedSlots;
  private final boolean dp4a;

  private final List<Integer> weightGraphs = new ArrayList<>();
  private final List<List<WeightImage>> weightImages = new ArrayList<>();
  private final int input;
  private final List<Integer> one = new ArrayList<>();
  private final List<Integer> four = new ArrayList<>();
  private final int headOne;
  private final int headFour;
  private final int fetch;

  /**
   * Allocates, sends and compiles everything.
   *
   * @param capturedSlots where it is above 0, the layers' graphs for a single row have grids that
   *     never change, of so many slots, and are captured as CUDA graphs where the device has them
   */
  LayerPlan(
      WeightStore weights,
      KvLayout layout,
      int numBlocks,
      StepLayout step,
      TornadoDevice device,
      int capturedSlots) {
    this.config = weights.config();
    this.layout = layout;
    this.capturedSlots = capturedSlots;
    this.dp4a = device.getTornadoVMBackend() == TornadoVMBackendType.CUDA;
    this.inputs = new StepInputs(step, config.headDim(), config.ropeTheta());
    this.sampling = new SamplingBuffers(step.rows(), config.vocabSize());
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
            step,
            LayerImage.width(layers.getFirst().qkv()),
            LayerImage.width(layers.getFirst().gateUp()),
            layers.getFirst().o().format() == PerRow.W4A4);

    boot();
    weightGraph("ends", List.of(ends), List.of());
    this.input = inputGraph();
    int bytes = layers.stream().mapToInt(LayerTasks::graphBytes).max().orElseThrow();
    int most = Math.min(LAYERS, LayerTasks.GRAPH_BYTES / bytes);
    int groups = Math.ceilDiv(config.numLayers(), most);
    for (int g = 0; g < groups; g++) {
      int from = g * config.numLayers() / groups;
      int to = (g + 1) * config.numLayers() / groups;
      layerGraphs(g, from, to);
    }
    this.headOne = headGraph("headOne", false);
    this.headFour = headGraph("headFour", true);
    this.fetch = fetchGraph();
    chain.start(device, capturedSlots > 0 ? one : List.of());
  }

  private void boot() {
    List<Object> shared = new ArrayList<>(act.arrays());
    shared.add(act.rounded().codes());
    shared.add(powers);
    TaskGraph graph = chain.graph("boot", List.of());
    graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, shared.toArray());
    for (int i = 0; i < act.arrays().size(); i++) {
      graph.task("touch" + i, RowKernels::touch, new KernelContext(), powers, act.arrays().get(i));
      grids.add("boot.touch" + i, Grids.Axis.ROWS, 1, 1, 1);
    }
    graph.task(
        "touchCodes", RowKernels::touchInts, new KernelContext(), powers, act.rounded().codes());
    grids.add("boot.touchCodes", Grids.Axis.ROWS, 1, 1, 1);
    chain.carry(shared);
    chain.end(graph);
  }

  /** Sends weights whenever it runs, and keys and values once. */
  private void weightGraph(String name, List<WeightImage> images, List<DeviceKv> caches) {
    TaskGraph graph = chain.graph("weights" + name, List.of());
    List<Object> sent = new ArrayList<>();
    for (WeightImage image : images) {
      sent.add(image.longs());
      sent.add(image.floats());
    }
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, sent.toArray());
    for (int i = 0; i < images.size(); i++) {
      String task = "touch" + i;
      WeightImage image = images.get(i);
      graph.task(
          task, RowKernels::touchBoth, new KernelContext(), image.longs(), image.floats(), powers);
      grids.add(graph.getTaskGraphName() + "." + task, Grids.Axis.ROWS, 1, 1, 1);
    }
    for (int i = 0; i < caches.size(); i++) {
      DeviceKv cache = caches.get(i);
      String task = "touchKv" + i;
      graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, cache.array());
      switch (cache) {
        case DeviceKv.Floats f ->
            graph.task(task, RowKernels::touch, new KernelContext(), powers, f.array());
        case DeviceKv.Ints n ->
            graph.task(task, RowKernels::touchInts, new KernelContext(), powers, n.array());
      }
      grids.add(graph.getTaskGraphName() + "." + task, Grids.Axis.ROWS, 1, 1, 1);
      sent.add(cache.array());
    }
    if (caches.isEmpty()) {
      chain.carry(sent);
    } else {
      chain.lend(sent);
    }
    weightImages.add(images);
    weightGraphs.add(chain.end(graph));
  }

  private int inputGraph() {
    TaskGraph graph = chain.graph("input", List.of());
    graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, inputs.ints(), inputs.rope());
    new RowTasks(new KernelContext(), inputs.ints(), powers, grids)
        .embed(graph, embedding, ends, act.hidden());
    graph.task("touch", RowKernels::touch, new KernelContext(), powers, inputs.rope());
    grids.add("input.touch", Grids.Axis.ROWS, 1, 1, 1);
    chain.carry(List.of(inputs.ints(), inputs.rope()));
    return chain.end(graph);
  }

  private void layerGraphs(int group, int from, int to) {
    List<WeightImage> images = new ArrayList<>();
    List<Object> own = new ArrayList<>();
    for (int i = from; i < to; i++) {
      images.add(layers.get(i).image());
      own.add(layers.get(i).image().longs());
      own.add(layers.get(i).image().floats());
      own.add(kv.get(i).array());
    }
    weightGraph("Of" + group, images, kv.subList(from, to));
    for (boolean several : new boolean[] {false, true}) {
      TaskGraph graph = chain.graph((several ? "four" : "one") + group, own);
      grids.fixSlots(several ? 0 : capturedSlots);
      LayerTasks tasks = new LayerTasks(config, act, inputs, powers, grids, layout, several, dp4a);
      for (int i = from; i < to; i++) {
        tasks.add(graph, i, layers.get(i), kv.get(i));
      }
      chain.lend(own);
      grids.fixSlots(0);
      (several ? four : one).add(chain.end(graph));
    }
  }

  private int headGraph(String name, boolean several) {
    TaskGraph graph = chain.graph(name, List.of());
    SamplingBuffers s = sampling;
    graph.transferToDevice(
        DataTransferMode.EVERY_EXECUTION, s.wants, s.asks, s.knobs, s.draws, s.tokens, s.chunks);
    KernelContext context = new KernelContext();
    Source last =
        new Source.Normed(act.hidden(), finalNorm, config.rmsNormEps(), StepLayout.HEADER);
    Rows logits = act.logits();
    new LinearTasks(context, s.wants, powers, grids, several, dp4a)
        .project(
            graph,
            "head",
            List.of(head),
            ends,
            last,
            act.normed(),
            act.rounded(),
            logits,
            Grids.Axis.WANTED,
            false);
    sample(graph, context, logits);
    graph.transferToHost(DataTransferMode.EVERY_EXECUTION, s.tokens, s.values, s.totals);
    return chain.end(graph);
  }

  private void sample(TaskGraph graph, KernelContext context, Rows logits) {
    SamplingBuffers s = sampling;
    int vocab = config.vocabSize();
    int chunks = Math.ceilDiv(vocab, SamplingKernels.CHUNK);
    String name = graph.getTaskGraphName();
    graph.task(
        "argMax",
        SamplingKernels::argMax,
        context,
        s.wants,
        logits.array(),
        s.tokens,
        vocab,
        logits.stride());
    grids.add(name + ".argMax", Grids.Axis.WANTED, 1, SamplingKernels.LOCAL, 1);
    graph.task(
        "sums",
        SamplingKernels::sums,
        context,
        s.wants,
        powers,
        logits.array(),
        s.tokens,
        s.knobs,
        s.chunks,
        vocab,
        logits.stride(),
        chunks);
    grids.add(name + ".sums", Grids.Axis.WANTED, chunks, SamplingKernels.LANES, 1);
    graph.task(
        "pick",
        SamplingKernels::pick,
        context,
        s.wants,
        powers,
        logits.array(),
        s.chunks,
        s.asks,
        s.knobs,
        s.draws,
        s.tokens,
        s.values,
        s.totals,
        vocab,
        logits.stride(),
        chunks);
    grids.add(name + ".pick", Grids.Axis.WANTED, 1, SamplingKernels.LOCAL, 1);
  }

  private int fetchGraph() {
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
    return chain.end(graph);
  }

  StepInputs inputs() {
    return inputs;
  }

  SamplingBuffers sampling() {
    return sampling;
  }

  /** Sends the weights that have changed; says how many graphs' worth they were. */
  int refresh() {
    int sent = 0;
    for (int i = 0; i < weightGraphs.size(); i++) {
      boolean changed = false;
      for (WeightImage image : weightImages.get(i)) {
        changed |= image.refresh();
      }
      if (changed) {
        chain.run(weightGraphs.get(i));
        sent++;
      }
    }
    return sent;
  }

  /** All layers for the rows of the pass that {@link #inputs} holds. */
  void forward() {
    grids.fit(inputs.numRows(), inputs.slots(), 0);
    chain.run(input);
    for (int graph : inputs.numRows() < FEW ? one : four) {
      chain.run(graph);
    }
  }

  /** Logits and answers of the rows that {@link #sampling} asks for. */
  void answer() {
    grids.fit(inputs.numRows(), inputs.slots(), sampling.count());
    chain.run(sampling.count() < FEW ? headOne : headFour);
  }

  /** The logits of one of the rows answered last; valid until the next call. */
  FloatArray logits(int wanted) {
    sampling.which.set(0, wanted);
    chain.run(fetch);
    return sampling.logits;
  }

  /** Bytes on the device. */
  long bytes() {
    long images = layers.stream().mapToLong(l -> l.image().bytes()).sum() + ends.bytes();
    long caches = kv.stream().mapToLong(k -> k.segment().byteSize()).sum();
    return images + caches + act.bytes();
  }

  /** Graphs that a step of so many rows runs. */
  int graphsOfStep() {
    return one.size() + 2;
  }

  /** Tasks that a step runs. */
  int tasksOfStep() {
    return chain.tasks(input) + one.stream().mapToInt(chain::tasks).sum() + chain.tasks(headOne);
  }

  @Override
  public void close() {
    chain.close();
  }
}
