package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import java.util.List;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Adds the tasks of whole decoder layers to task graphs. */
final class LayerTasks {
  /** Bytes that TornadoVM has for the tasks of a graph: 15 for each, and 5 for each argument. */
  static final int GRAPH_BYTES = 8192;

  private final ModelConfig config;
  private final Activations act;
  private final FloatArray rope;
  private final LinearTasks linear;
  private final RowTasks row;
  private final KvTasks kv;

  /**
   * @param four whether linear layers take four tokens a work group
   */
  LayerTasks(
      ModelConfig config,
      Activations act,
      StepInputs inputs,
      FloatArray powers,
      Grids grids,
      KvLayout layout,
      boolean four) {
    KernelContext context = new KernelContext();
    this.config = config;
    this.act = act;
    this.rope = inputs.rope();
    this.linear = new LinearTasks(context, inputs.ints(), powers, grids, four);
    this.row = new RowTasks(context, inputs.ints(), powers, grids);
    this.kv = new KvTasks(context, inputs, powers, grids, layout);
  }

  /** How many of {@link #GRAPH_BYTES} the tasks of a layer take at most. */
  static int graphBytes(LayerImage w) {
    int linears = w.qkv().size() + w.gateUp().size() + 2;
    int others = 2 * 70 + 75 + 95 + 90 + 60 + 60; // norms, heads, append, attend, join, gate
    int transforms = w.o().format() == PerRow.W4A4 ? 65 + 2 * 70 * linears : 0;
    return others + (90 + 65) * linears + transforms; // and the rounding before each
  }

  /** From hidden to hidden. */
  void add(TaskGraph graph, int layer, LayerImage w, DeviceKv cache) {
    String name = "l" + layer;
    int hidden = config.hiddenSize();
    float eps = config.rmsNormEps();
    FloatArray p = w.image().floats();
    int kAt = MatrixStack.padded(config.queryDim());
    int vAt = kAt + MatrixStack.padded(config.kvDim());

    row.norm(graph, name + "InNorm", p, w.inputNorm(), hidden, eps, act.hidden(), act.normed());
    linears(graph, name + "Qkv", w.qkv(), w.image(), act.normed(), act.qkv(), false);
    RowTasks.Heads heads =
        new RowTasks.Heads(
            config.numHeads(),
            config.numKvHeads(),
            config.headDim(),
            kAt,
            w.qNorm(),
            w.kNorm(),
            eps);
    row.heads(graph, name + "Heads", p, rope, act.qkv(), heads);
    if (w.kv().keyAt() >= 0) {
      row.transformHeads(graph, name + "Transform", p, w.kv(), act.qkv(), heads);
    }
    kv.append(graph, name + "Append", cache, p, w.kv().clipAt(), act.qkv(), kAt, vAt);
    kv.attend(
        graph, name + "Attend", cache, act.qkv(), act.part(), act.attended(), config.numHeads());
    linears(graph, name + "O", List.of(w.o()), w.image(), act.attended(), act.hidden(), true);

    row.norm(
        graph,
        name + "PostNorm",
        p,
        w.postAttentionNorm(),
        hidden,
        eps,
        act.hidden(),
        act.normed());
    linears(graph, name + "GateUp", w.gateUp(), w.image(), act.normed(), act.gateUp(), false);
    int ffn = config.intermediateSize();
    int upAt = MatrixStack.padded(ffn);
    row.swiglu(graph, name + "Swiglu", ffn, upAt, act.gateUp(), act.gated());
    linears(graph, name + "Down", List.of(w.down()), w.image(), act.gated(), act.hidden(), true);
  }

  private void linears(
      TaskGraph graph,
      String task,
      List<MatrixStack> stacks,
      WeightImage image,
      Rows x,
      Rows y,
      boolean add) {
    linear.project(graph, task, stacks, image, x, act.rounded(), y, Grids.Axis.ROWS, add);
  }
}
