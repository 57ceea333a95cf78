package io.tercel.kernels.model;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import java.util.Arrays;
import java.util.List;

/**
 * The forward pass of Qwen2 and Qwen3 decoders over one step's batch, on any {@link Ops}.
 * Activations are [rows][width] floats that grow with the largest batch seen and are reused.
 */
public final class Transformer {
  /** Most rows that one call of {@link #logits} takes. */
  public static final int MAX_LOGIT_ROWS = 16;

  private final WeightStore weights;
  private final ModelConfig config;
  private final Ops ops;
  private final KvPool kv;
  private final RopeTable rope;

  private final PreparedInput input = new PreparedInput();
  private int capacity;
  private float[] hidden = new float[0];
  private float[] q = new float[0];
  private float[] k = new float[0];
  private float[] v = new float[0];
  private float[] attended = new float[0];
  private float[] gate = new float[0];
  private float[] up = new float[0];
  private float[] projected = new float[0];

  public Transformer(WeightStore weights, Ops ops, KvPool kv) {
    this.weights = weights;
    this.config = weights.config();
    this.ops = ops;
    this.kv = kv;
    this.rope = new RopeTable(config.headDim(), config.ropeTheta());
  }

  /** Floats of activations that a batch of so many rows takes. */
  public static long activationFloats(ModelConfig c, int rows) {
    return (long) rows
        * (3L * c.hiddenSize() + 2L * c.queryDim() + 2L * c.kvDim() + 2L * c.intermediateSize());
  }

  /**
   * Computes all layers for every row of the batch, writing K and V; the rows' hidden states stay
   * here.
   */
  public void forward(StepBatch batch) {
    int n = batch.numTokens();
    reserve(Math.max(n, MAX_LOGIT_ROWS));
    rope.fill(batch);
    ops.embed(weights.embedding(), batch, hidden);
    for (int layer = 0; layer < config.numLayers(); layer++) {
      LayerWeights w = weights.layers().get(layer);
      attend(w, layer, batch, n);
      feedForward(w, n);
    }
  }

  private void attend(LayerWeights w, int layer, StepBatch batch, int n) {
    norm(w.inputNorm(), List.of(w.q(), w.k(), w.v()), n, q, k, v);
    float[] qNorm = w.qNorm();
    if (qNorm != null) {
      ops.rmsNorm(q, qNorm, config.rmsNormEps(), n * config.numHeads(), q);
    }
    float[] kNorm = w.kNorm();
    if (kNorm != null) {
      ops.rmsNorm(k, kNorm, config.rmsNormEps(), n * config.numKvHeads(), k);
    }
    ops.rope(q, config.numHeads(), config.headDim(), rope, n);
    ops.rope(k, config.numKvHeads(), config.headDim(), rope, n);
    ops.appendKv(kv, layer, batch, k, v);
    ops.attention(kv, layer, batch, q, config.numHeads(), attended);
    Projection o = Projection.of(w.o());
    ops.prepare(o, attended, n, input);
    ops.linear(o, input, new float[][] {projected});
    ops.add(hidden, projected, n * config.hiddenSize());
  }

  private void feedForward(LayerWeights w, int n) {
    norm(w.postAttentionNorm(), List.of(w.gate(), w.up()), n, gate, up);
    Projection down = Projection.of(w.down());
    ops.gatePrepare(down, gate, up, n, input);
    ops.linear(down, input, new float[][] {projected});
    ops.add(hidden, projected, n * config.hiddenSize());
  }

  private void norm(float[] weight, List<Linear> linears, int n, float[]... outs) {
    int at = 0;
    for (Projection p : Projection.split(linears)) {
      ops.normPrepare(p, hidden, weight, config.rmsNormEps(), n, input);
      ops.linear(p, input, Arrays.copyOfRange(outs, at, at + p.linears().size()));
      at += p.linears().size();
    }
  }

  /**
   * Logits of some rows of the batch last run.
   *
   * @param rows flat rows, count of them from {@code from} on
   * @param count at most {@link #MAX_LOGIT_ROWS}
   * @param logits [count][vocab]
   */
  public void logits(int[] rows, int from, int count, float[] logits) {
    int width = config.hiddenSize();
    for (int i = 0; i < count; i++) {
      System.arraycopy(hidden, rows[from + i] * width, projected, i * width, width);
    }
    Linear head = weights.head();
    Projection projection = Projection.of(head);
    ops.normPrepare(projection, projected, weights.finalNorm(), config.rmsNormEps(), count, input);
    ops.linear(projection, input, new float[][] {logits});
  }

  private void reserve(int n) {
    if (n <= capacity) {
      return;
    }
    hidden = new float[n * config.hiddenSize()];
    projected = new float[n * config.hiddenSize()];
    q = new float[n * config.queryDim()];
    attended = new float[n * config.queryDim()];
    k = new float[n * config.kvDim()];
    v = new float[n * config.kvDim()];
    gate = new float[n * config.intermediateSize()];
    up = new float[n * config.intermediateSize()];
    capacity = n;
  }
}
