package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.model.DecoderLayer;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.kernels.model.DecoderLayer.Watch;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.StepBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The calibration sequences on their way through the decoder, one layer at a time, on the engine's
 * own {@link DecoderLayer} with keys and values in full precision. It keeps the hidden states of
 * all sequences and the activations of one batch.
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
  private final DecoderLayer pass;
  private final KvPool kv;
  private final List<Batch> batches = new ArrayList<>();
  private LayerWeights weights = new LayerWeights(Map.of(), Map.of());

  LayerForward(ModelConfig config, Ops ops, PackedMatrix embedding, Calibration calibration) {
    this.config = config;
    this.pass = new DecoderLayer(config, ops);
    deal(calibration.sequences());
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
  }

  /** Deals the sequences out to batches. */
  private void deal(List<int[]> sequences) {
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
    }
    batches.add(batch);
  }

  /** Goes on to a layer, of which nothing is quantized yet; the hidden states are its input now. */
  void enter(LayerSource layer) {
    enter(layer.mapNorms(Tensor::toFloats));
  }

  /** Likewise, by the layer's norms. */
  void enter(Map<LayerTensors.Norm, float[]> norms) {
    weights = new LayerWeights(Map.of(), norms);
  }

  /** From now on the layer is computed with these norms. */
  void norms(Map<LayerTensors.Norm, float[]> norms) {
    weights = new LayerWeights(weights.mapMatrices(m -> m), norms);
  }

  /** Passes through a layer that is finished. */
  void pass(LayerWeights layer) {
    weights = layer;
    for (Batch batch : batches) {
      attention(batch, null);
      feedForward(batch, null);
    }
  }

  /** What the hidden states would be after the attention, one array a batch. */
  List<float[]> afterAttention() {
    return after(batch -> attention(batch, null));
  }

  /** What the hidden states would be after the MLP. */
  List<float[]> afterFeedForward() {
    return after(batch -> feedForward(batch, null));
  }

  private List<float[]> after(Consumer<Batch> half) {
    List<float[]> states = new ArrayList<>();
    for (Batch batch : batches) {
      float[] before = batch.hidden.clone();
      half.accept(batch);
      states.add(batch.hidden);
      batch.hidden = before;
    }
    return states;
  }

  /** From now on the layer is computed with this linear. */
  void put(LayerTensors.Matrix which, Linear linear) {
    weights = weights.with(which, linear);
  }

  /** Shows the inputs of q, k and v. */
  void attentionInputs(Inputs sink) {
    batches.forEach(batch -> attention(batch, watch(Tap.ATTENTION, batch, sink)));
  }

  /** Shows the inputs of o. */
  void outputInputs(Inputs sink) {
    batches.forEach(batch -> attention(batch, watch(Tap.OUTPUT, batch, sink)));
  }

  /** Adds the attention to the hidden states and shows the inputs of gate and up. */
  void mlpInputs(Inputs sink) {
    for (Batch batch : batches) {
      attention(batch, null);
      feedForward(batch, watch(Tap.MLP, batch, sink));
    }
  }

  /** Shows the inputs of down. */
  void downInputs(Inputs sink) {
    batches.forEach(batch -> feedForward(batch, watch(Tap.DOWN, batch, sink)));
  }

  /** Adds the MLP to the hidden states, which ends the layer. */
  void leave() {
    batches.forEach(batch -> feedForward(batch, null));
  }

  private static Watch watch(Tap tap, Batch batch, Inputs sink) {
    return new Watch(tap, (x, rows) -> sink.accept(x, rows, batch.steps.numSequences()));
  }

  private void attention(Batch batch, @Nullable Watch watch) {
    pass.begin(batch.steps);
    pass.attention(weights, kv, 0, batch.steps, batch.hidden, watch);
  }

  private void feedForward(Batch batch, @Nullable Watch watch) {
    pass.begin(batch.steps);
    pass.feedForward(weights, batch.steps.numTokens(), batch.hidden, watch);
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

  @Override
  public void close() {
    kv.close();
  }
}
