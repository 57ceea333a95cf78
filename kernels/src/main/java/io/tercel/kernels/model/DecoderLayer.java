package io.tercel.kernels.model;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of one decoder layer of Qwen2 and Qwen3 over a step's rows, read top to bottom:
 * {@link #attention}, then {@link #feedForward}, each adding to the hidden states. It owns the
 * activations in between, [rows][width] floats that grow with the largest batch seen; one instance
 * serves all layers in turn.
 *
 * <p>Calibration taps it: a {@link Watch} is shown the input of some linears, and the pass ends
 * there, with the hidden states as they were.
 */
public final class DecoderLayer {
  /** Inputs of linears that can be watched. */
  public enum Tap {
    /** Of q, k and v. */
    ATTENTION,
    /** Of o. */
    OUTPUT,
    /** Of gate and up. */
    MLP,
    /** Of down. */
    DOWN
  }

  /** Is shown an input. */
  @FunctionalInterface
  public interface Inputs {
    /**
     * @param x [rows][inputs], to be read before this returns
     */
    void accept(float[] x, int rows);
  }

  /** Where the pass ends, and who is shown what the linears there would read. */
  public record Watch(Tap tap, Inputs inputs) {}

  private final ModelConfig config;
  private final Ops ops;
  private final RopeTable rope;
  private final PreparedInput input = new PreparedInput();
  private int capacity;
  private float[] normed = new float[0];
  private float[] q = new float[0];
  private float[] k = new float[0];
  private float[] v = new float[0];
  private float[] attended = new float[0];
  private float[] gate = new float[0];
  private float[] up = new float[0];
  private float[] projected = new float[0];

  public DecoderLayer(ModelConfig config, Ops ops) {
    this.config = config;
    this.ops = ops;
    this.rope = new RopeTable(config.headDim(), config.ropeTheta());
  }

  /** Floats that a batch of so many rows takes here, prepared inputs not counted. */
  static long activationFloats(ModelConfig c, int rows) {
    return (long) rows
        * (c.hiddenSize() + 2L * c.queryDim() + 2L * c.kvDim() + 2L * c.intermediateSize());
  }

  /** Must be called for each batch, before its first layer. */
  public void begin(StepBatch batch) {
    reserve(batch.numTokens());
    rope.fill(batch);
  }

  private void reserve(int n) {
    if (n <= capacity) {
      return;
    }
    projected = new float[n * config.hiddenSize()];
    q = new float[n * config.queryDim()];
    attended = new float[n * config.queryDim()];
    k = new float[n * config.kvDim()];
    v = new float[n * config.kvDim()];
    gate = new float[n * config.intermediateSize()];
    up = new float[n * config.intermediateSize()];
    capacity = n;
  }

  /** The whole layer, unwatched. */
  void forward(LayerWeights w, KvPool kv, int layer, StepBatch batch, float[] hidden) {
    attention(w, kv, layer, batch, hidden, null);
    feedForward(w, batch.numTokens(), hidden, null);
  }

  /**
   * The first half: writes keys and values, and adds the attention to the hidden states.
   *
   * @param w with what it takes as far as the watch goes
   * @param layer of the pool
   * @param hidden [rows][hidden]
   */
  public void attention(
      LayerWeights w,
      KvPool kv,
      int layer,
      StepBatch batch,
      float[] hidden,
      @Nullable Watch watch) {
    int n = batch.numTokens();
    if (watched(watch, Tap.ATTENTION, w.inputNorm(), hidden, n)) {
      return;
    }
    project(List.of(w.q(), w.k(), w.v()), w.inputNorm(), hidden, n, q, k, v);
    headNorm(q, w.qNorm(), n * config.numHeads());
    headNorm(k, w.kNorm(), n * config.numKvHeads());
    ops.rope(q, config.numHeads(), config.headDim(), rope, n);
    ops.rope(k, config.numKvHeads(), config.headDim(), rope, n);
    transformHeads(w.kv(), n);
    ops.appendKv(kv, layer, batch, k, v, w.kv());
    ops.attention(kv, layer, batch, q, config.numHeads(), attended);
    if (watched(watch, Tap.OUTPUT, attended, n)) {
      return;
    }
    Projection o = Projection.of(w.o());
    ops.prepare(o, attended, n, input);
    ops.linear(o, input, new float[][] {projected});
    ops.add(hidden, projected, n * config.hiddenSize());
  }

  /** The second half: adds the MLP to the hidden states of n rows. */
  public void feedForward(LayerWeights w, int n, float[] hidden, @Nullable Watch watch) {
    if (watched(watch, Tap.MLP, w.postAttentionNorm(), hidden, n)) {
      return;
    }
    project(List.of(w.gate(), w.up()), w.postAttentionNorm(), hidden, n, gate, up);
    if (watch != null && watch.tap == Tap.DOWN) {
      ops.swiglu(gate, up, n * config.intermediateSize());
      watch.inputs.accept(gate, n);
      return;
    }
    Projection down = Projection.of(w.down());
    ops.gatePrepare(down, gate, up, n, input);
    ops.linear(down, input, new float[][] {projected});
    ops.add(hidden, projected, n * config.hiddenSize());
  }

  /** Norms the rows and multiplies by each linear, into the array of the same place. */
  private void project(List<Linear> linears, float[] norm, float[] x, int n, float[]... outs) {
    int at = 0;
    for (Projection projection : Projection.split(linears)) {
      int end = at + projection.linears().size();
      ops.normPrepare(projection, x, norm, config.rmsNormEps(), n, input);
      ops.linear(projection, input, Arrays.copyOfRange(outs, at, end));
      at = end;
    }
  }

  private void headNorm(float[] x, float @Nullable [] weight, int heads) {
    if (weight != null) {
      ops.rmsNorm(x, weight, config.rmsNormEps(), heads, x);
    }
  }

  private void transformHeads(KvTransform transform, int n) {
    float[] key = transform.key();
    float[] query = transform.query();
    if (key != null && query != null) {
      ops.transformHeads(q, config.numHeads(), config.headDim(), query, n);
      ops.transformHeads(k, config.numKvHeads(), config.headDim(), key, n);
    }
  }

  private boolean watched(@Nullable Watch watch, Tap tap, float[] norm, float[] x, int n) {
    if (watch == null || watch.tap != tap) {
      return false;
    }
    if (normed.length < n * norm.length) {
      normed = new float[n * norm.length];
    }
    ops.rmsNorm(x, norm, config.rmsNormEps(), n, normed);
    watch.inputs.accept(normed, n);
    return true;
  }

  private static boolean watched(@Nullable Watch watch, Tap tap, float[] x, int n) {
    if (watch == null || watch.tap != tap) {
      return false;
    }
    watch.inputs.accept(x, n);
    return true;
  }
}
