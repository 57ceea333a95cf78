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
  private final KvTasks kv;
  private final int rows;

  /**
   * @param four whether linear layers take four tokens a work group
   * @param cuda see {@link LinearTasks}
   */
  LayerTasks(
      ModelConfig config,
      Activations act,
      StepInputs inputs,
      FloatArray powers,
      Grids grids,
      KvLayout layout,
      boolean four,
      boolean cuda) {
    KernelContext context = new KernelContext();
    this.config = config;
    this.act = act;
    this.rope = inputs.rope();
    this.linear = new LinearTasks(context, inputs.ints(), powers, grids, four, cuda);
    this.kv = new KvTasks(context, inputs, powers, grids, layout);
    this.rows = inputs.layout().rows();
  }

  /** How many of {@link #GRAPH_BYTES} the tasks of a layer take at most. */
  static int graphBytes(LayerImage w) {
    int linears = w.qkv().size() + w.gateUp().size() + 2;
    int others = 115 + 90; // heads, attention
    int each = 115 + 110; // and what makes its input
    int transforms = w.o().format() == PerRow.W4A4 ? 120 * linears : 0; // instead of that
    return others + each * linears + transforms;
  }

  /** From hidden to hidden. */
  void add(TaskGraph graph, int layer, LayerImage w, DeviceKv cache) {
    String name = "l" + layer;
    float eps = config.rmsNormEps();
    FloatArray p = w.image().floats();
    KvTasks.Heads heads =
        new KvTasks.Heads(config.numHeads(), true, w.qNorm(), w.kNorm(), eps, w.kv());
    Source in = new Source.Normed(act.hidden(), w.inputNorm(), eps, -1);
    linears(graph, name + "Qkv", w.qkv(), w.image(), in, act.normed(), act.qkv(), false);
    kv.heads(graph, name + "Heads", cache, p, rope, act.qkv(), heads);
    kv.attend(graph, name + "Attend", cache, act.qkv(), act.part(), config.numHeads());
    Source attended = new Source.Joined(act.part(), rows, config.numHeads(), config.headDim());
    List<MatrixStack> o = List.of(w.o());
    linears(graph, name + "O", o, w.image(), attended, act.attended(), act.hidden(), true);

    Source between = new Source.Normed(act.hidden(), w.postAttentionNorm(), eps, -1);
    linears(
        graph, name + "GateUp", w.gateUp(), w.image(), between, act.normed(), act.gateUp(), false);
    Source gated = new Source.Gated(act.gateUp(), MatrixStack.padded(config.intermediateSize()));
    List<MatrixStack> down = List.of(w.down());
    linears(graph, name + "Down", down, w.image(), gated, act.gated(), act.hidden(), true);
  }

  private void linears(
      TaskGraph graph,
      String task,
      List<MatrixStack> stacks,
      WeightImage image,
      Source source,
      Rows floats,
      Rows y,
      boolean add) {
    Grids.Axis axis = Grids.Axis.ROWS;
    linear.project(graph, task, stacks, image, source, floats, act.rounded(), y, axis, add);
  }
}
