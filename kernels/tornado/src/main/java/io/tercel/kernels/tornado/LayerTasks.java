package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.tornado.LinearTasks.Rows;
import java.util.List;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Adds the tasks of whole decoder layers to task graphs. */
final class LayerTasks {
  private final ModelConfig config;
  private final Activations act;
  private final FloatArray rope;
  private final LinearTasks linear;
  private final KvTasks kv;
  private final int rows;
  private final int splits;

  /**
   * @param bucket whose passes they take
   * @param cuda see {@link LinearTasks}
   */
  LayerTasks(
      ModelConfig config,
      Activations act,
      Bucket bucket,
      FloatArray powers,
      Grids grids,
      KvLayout layout,
      boolean cuda) {
    KernelContext context = new KernelContext();
    StepInputs inputs = bucket.inputs();
    this.config = config;
    this.act = act;
    this.rope = inputs.rope();
    this.linear =
        new LinearTasks(
            context, inputs.ints(), powers, grids, bucket.several(), cuda, bucket.mma());
    this.kv = new KvTasks(context, inputs, powers, grids, layout, bucket.rows());
    this.rows = inputs.layout().rows();
    this.splits = bucket.splits();
  }

  /**
   * What the linears of a layer read.
   *
   * @param in of q, k and v
   * @param attended of o
   * @param between of gate and up
   * @param gated of down
   */
  record Sources(Source in, Source attended, Source between, Source gated) {}

  /** What the linears of a layer read. */
  Sources sources(LayerImage w) {
    return sources(config, act, w, rows, splits);
  }

  /**
   * What the linears of a layer read.
   *
   * @param rows most rows of a pass
   * @param splits most splits of attention of a row
   */
  static Sources sources(ModelConfig config, Activations act, LayerImage w, int rows, int splits) {
    float eps = config.rmsNormEps();
    return new Sources(
        new Source.Normed(act.hidden(), w.inputNorm(), eps, -1),
        new Source.Joined(act.part(), rows, config.numHeads(), config.headDim(), splits),
        new Source.Normed(act.hidden(), w.postAttentionNorm(), eps, -1),
        new Source.Gated(act.gateUp(), MatrixStack.padded(config.intermediateSize())));
  }

  /** From hidden to hidden. */
  void add(TaskGraph graph, int layer, LayerImage w, DeviceKv cache) {
    String name = "l" + layer;
    float eps = config.rmsNormEps();
    FloatArray p = w.image().floats();
    KvTasks.Heads heads =
        new KvTasks.Heads(config.numHeads(), true, w.qNorm(), w.kNorm(), eps, w.kv());
    Sources sources = sources(w);
    linears(graph, name + "Qkv", w.qkv(), w.image(), sources.in, act.normed(), act.qkv(), false);
    kv.heads(graph, name + "Heads", cache, p, rope, act.qkv(), heads);
    kv.attend(graph, name + "Attend", cache, act.qkv(), act.part(), config.numHeads());
    Rows hidden = act.hidden();
    List<MatrixStack> o = List.of(w.o());
    linears(graph, name + "O", o, w.image(), sources.attended, act.attended(), hidden, true);

    Source between = sources.between;
    linears(
        graph, name + "GateUp", w.gateUp(), w.image(), between, act.normed(), act.gateUp(), false);
    List<MatrixStack> down = List.of(w.down());
    linears(graph, name + "Down", down, w.image(), sources.gated, act.gated(), hidden, true);
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
