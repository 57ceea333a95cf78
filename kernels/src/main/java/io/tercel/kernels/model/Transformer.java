package io.tercel.kernels.model;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.ops.StepBatch;

/**
 * The forward pass of Qwen2 and Qwen3 decoders over one step's batch, on any {@link Ops}:
 * embedding, {@link DecoderLayer}s, head. Hidden states are [rows][hidden] floats that grow with
 * the largest batch seen and are reused.
 */
public final class Transformer {
  /** Most rows that one call of {@link #logits} takes. */
  public static final int MAX_LOGIT_ROWS = 16;

  private final WeightStore weights;
  private final ModelConfig config;
  private final Ops ops;
  private final KvPool kv;
  private final DecoderLayer layer;
  private final PreparedInput input = new PreparedInput();
  private final float[] last;
  private float[] hidden = new float[0];

  public Transformer(WeightStore weights, Ops ops, KvPool kv) {
    this.weights = weights;
    this.config = weights.config();
    this.ops = ops;
    this.kv = kv;
    this.layer = new DecoderLayer(config, ops);
    this.last = new float[MAX_LOGIT_ROWS * config.hiddenSize()];
  }

  /**
   * Bytes of activations that batches of up to so many rows take, on the heap and off.
   *
   * @param integers whether the layers' linears read integers
   */
  public static long activationBytes(ModelConfig c, int rows, boolean integers) {
    long floats = DecoderLayer.activationFloats(c, rows) + (long) rows * c.hiddenSize();
    int widest = Math.max(c.hiddenSize(), Math.max(c.queryDim(), c.intermediateSize()));
    long head = (long) MAX_LOGIT_ROWS * c.hiddenSize();
    return Float.BYTES * (floats + head)
        + Attention.PARTIAL_BYTES
        + PreparedInput.bytes(rows, widest, integers)
        + PreparedInput.bytes(MAX_LOGIT_ROWS, c.hiddenSize(), false);
  }

  /**
   * Computes all layers for every row of the batch, writing K and V; the rows' hidden states stay
   * here.
   */
  public void forward(StepBatch batch) {
    int size = batch.numTokens() * config.hiddenSize();
    if (hidden.length < size) {
      hidden = new float[size];
    }
    layer.begin(batch);
    ops.embed(weights.embedding(), batch, hidden);
    for (int i = 0; i < config.numLayers(); i++) {
      layer.forward(weights.layers().get(i), kv, i, batch, hidden);
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
      System.arraycopy(hidden, rows[from + i] * width, last, i * width, width);
    }
    Projection head = Projection.of(weights.head());
    ops.normPrepare(head, last, weights.finalNorm(), config.rmsNormEps(), count, input);
    ops.linear(head, input, new float[][] {logits});
  }
}
