package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The calibration sequences on their way through the decoder, one layer at a time, on the engine's
 * own operations with keys and values in full precision. It keeps the hidden states of all
 * sequences and the activations of one batch.
 *
 * <p>A layer is walked in four passes, one for each set of linears that share an input; each pass
 * shows that input to its caller, computed with the linears quantized before. What lies between is
 * computed again rather than kept.
 */
final class LayerForward implements AutoCloseable {
  /** Tokens that are computed at a time, unless one sequence has more. */
  private static final int BATCH_TOKENS = 2048;

  /** Is shown the inputs of some linears. */
  @FunctionalInterface
  interface Inputs {
    /**
     * One batch.
     *
     * @param x [tokens, inputs], to be read before this returns
     * @param sequences how many these tokens are
     */
    void accept(float[] x, int tokens, int sequences);
  }

  /** Some sequences: where they stand, and their hidden states. */
  private static final class Batch {
    private final StepBatch steps = new StepBatch();
    private float[] hidden = {};
  }

  private final ModelConfig config;
  private final Ops ops;
  private final RopeTable rope;
  private final KvPool kv;
  private final List<Batch> batches = new ArrayList<>();
  private final float[] normed;
  private final float[] q;
  private final float[] k;
  private final float[] v;
  private final float[] attended;
  private final float[] gate;
  private final float[] up;
  private final float[] projected;

  private float[] inputNorm = {};
  private float[] postAttentionNorm = {};
  private float @Nullable [] qNorm;
  private float @Nullable [] kNorm;

  LayerForward(ModelConfig config, Ops ops, PackedMatrix embedding, Calibration calibration) {
    this.config = config;
    this.ops = ops;
    this.rope = new RopeTable(config.headDim(), config.ropeTheta());
    int most = deal(calibration.sequences());
    int blocks = 0;
    for (Batch batch : batches) {
      int n = batch.steps.numTokens();
      batch.hidden = new float[n * config.hiddenSize()];
      ops.embed(embedding, batch.steps, batch.hidden);
      int last = batch.steps.numSequences() - 1;
      int[] table = batch.steps.blockTable(last);
      blocks = Math.max(blocks, table[table.length - 1] + 1);
    }
    kv = new KvPool(new KvLayout(KvType.FP32, 1, config.numKvHeads(), config.headDim()), blocks);
    normed = new float[most * config.hiddenSize()];
    projected = new float[most * config.hiddenSize()];
    q = new float[most * config.queryDim()];
    attended = new float[most * config.queryDim()];
    k = new float[most * config.kvDim()];
    v = new float[most * config.kvDim()];
    gate = new float[most * config.intermediateSize()];
    up = new float[most * config.intermediateSize()];
  }

  /** Deals the sequences out to batches; returns the most tokens of one. */
  private int deal(List<int[]> sequences) {
    int most = 0;
    int nextBlock = 0;
    Batch batch = new Batch();
    for (int[] sequence : sequences) {
      int before = batch.steps.numTokens();
      if (before > 0 && before + sequence.length > BATCH_TOKENS) {
        batches.add(batch);
        batch = new Batch();
        nextBlock = 0;
      }
      int[] table = new int[Math.ceilDiv(sequence.length, KvLayout.BLOCK_SIZE)];
      for (int b = 0; b < table.length; b++) {
        table[b] = nextBlock++;
      }
      batch.steps.beginSequence(table);
      for (int position = 0; position < sequence.length; position++) {
        batch.steps.addToken(sequence[position], position);
      }
      most = Math.max(most, batch.steps.numTokens());
    }
    batches.add(batch);
    return most;
  }

  /** Goes on to a layer; the hidden states are its input now. */
  void enter(LayerSource layer) {
    inputNorm = layer.inputNorm().toFloats();
    postAttentionNorm = layer.postAttentionNorm().toFloats();
    qNorm = floats(layer.qNorm());
    kNorm = floats(layer.kNorm());
  }

  private static float @Nullable [] floats(@Nullable Tensor tensor) {
    return tensor == null ? null : tensor.toFloats();
  }

  /** Shows the inputs of q, k and v. */
  void attentionInputs(Inputs sink) {
    for (Batch batch : batches) {
      normalize(batch, inputNorm);
      show(sink, batch, normed);
    }
  }

  /** Shows the inputs of o. */
  void outputInputs(Linear qProj, Linear kProj, Linear vProj, Inputs sink) {
    for (Batch batch : batches) {
      attend(batch, qProj, kProj, vProj);
      show(sink, batch, attended);
    }
  }

  /** Adds the attention to the hidden states and shows the inputs of gate and up. */
  void mlpInputs(Linear qProj, Linear kProj, Linear vProj, Linear oProj, Inputs sink) {
    for (Batch batch : batches) {
      attend(batch, qProj, kProj, vProj);
      project(batch, oProj, attended);
      normalize(batch, postAttentionNorm);
      show(sink, batch, normed);
    }
  }

  /** Shows the inputs of down. */
  void downInputs(Linear gateProj, Linear upProj, Inputs sink) {
    for (Batch batch : batches) {
      activate(batch, gateProj, upProj);
      show(sink, batch, gate);
    }
  }

  /** Adds the MLP to the hidden states, which ends the layer. */
  void leave(Linear gateProj, Linear upProj, Linear downProj) {
    for (Batch batch : batches) {
      activate(batch, gateProj, upProj);
      project(batch, downProj, gate);
    }
  }

  /** The hidden states of the sequence, [tokens, hidden]. */
  float[] hidden(int sequence) {
    int first = 0;
    for (Batch batch : batches) {
      int s = sequence - first;
      if (s < batch.steps.numSequences()) {
        int width = config.hiddenSize();
        return Arrays.copyOfRange(
            batch.hidden, batch.steps.queryStart(s) * width, batch.steps.queryStart(s + 1) * width);
      }
      first += batch.steps.numSequences();
    }
    throw new IndexOutOfBoundsException(sequence);
  }

  private static void show(Inputs sink, Batch batch, float[] x) {
    sink.accept(x, batch.steps.numTokens(), batch.steps.numSequences());
  }

  private void normalize(Batch batch, float[] weight) {
    ops.rmsNorm(batch.hidden, weight, config.rmsNormEps(), batch.steps.numTokens(), normed);
  }

  private void attend(Batch batch, Linear qProj, Linear kProj, Linear vProj) {
    int n = batch.steps.numTokens();
    normalize(batch, inputNorm);
    ops.linear(List.of(qProj, kProj, vProj), normed, n, new float[][] {q, k, v});
    if (qNorm != null) {
      ops.rmsNorm(q, qNorm, config.rmsNormEps(), n * config.numHeads(), q);
    }
    if (kNorm != null) {
      ops.rmsNorm(k, kNorm, config.rmsNormEps(), n * config.numKvHeads(), k);
    }
    rope.fill(batch.steps);
    ops.rope(q, config.numHeads(), config.headDim(), rope, n);
    ops.rope(k, config.numKvHeads(), config.headDim(), rope, n);
    ops.appendKv(kv, 0, batch.steps, k, v);
    ops.attention(kv, 0, batch.steps, q, config.numHeads(), attended);
  }

  private void activate(Batch batch, Linear gateProj, Linear upProj) {
    int n = batch.steps.numTokens();
    normalize(batch, postAttentionNorm);
    ops.linear(List.of(gateProj, upProj), normed, n, new float[][] {gate, up});
    ops.swiglu(gate, up, n * config.intermediateSize());
  }

  private void project(Batch batch, Linear linear, float[] x) {
    int n = batch.steps.numTokens();
    ops.linear(List.of(linear), x, n, new float[][] {projected});
    ops.add(batch.hidden, projected, n * config.hiddenSize());
  }

  @Override
  public void close() {
    kv.close();
  }
}
