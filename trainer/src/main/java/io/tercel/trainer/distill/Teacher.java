package io.tercel.trainer.distill;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.torch.DecoderPass;
import io.tercel.trainer.torch.LayerArrays;
import io.tercel.trainer.torch.Precision;
import io.tercel.trainer.torch.Torch;
import io.tercel.trainer.torch.TorchScript;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A model in full precision, read from its checkpoint a layer at a time: all batches go through one
 * layer, then through the next, so that beside the student there is never more of it in memory than
 * that layer and the batches' hidden states.
 */
final class Teacher implements AutoCloseable {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final Checkpoint checkpoint;
  private final ModelConfig config;
  private final NDManager manager = Torch.newManager();
  private final TorchScript script = DecoderPass.script(manager);

  private Teacher(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
    this.config = checkpoint.config();
  }

  /**
   * Opens a plain checkpoint.
   *
   * @throws io.tercel.kernels.format.CheckpointException if it cannot be used
   */
  static Teacher open(Path directory) {
    return new Teacher(Checkpoint.open(directory));
  }

  ModelConfig config() {
    return config;
  }

  /** [vocab, hidden], by which final hidden states become logits. */
  Tensor head() {
    LinearSource.Plain own = checkpoint.head();
    return own == null ? checkpoint.embedding().weight() : own.weight();
  }

  /**
   * The final hidden states, normed, of those rows of each batch that predict something, fp32
   * [rows, hidden].
   *
   * @param arena holds them
   */
  List<MemorySegment> states(List<TokenBatch> batches, Arena arena) {
    try (Arena passing = Arena.ofShared()) {
      List<MemorySegment> states = new ArrayList<>();
      for (TokenBatch batch : batches) {
        MemorySegment embedded = passing.allocate(4L * batch.tokens() * config.hiddenSize(), 64);
        embed(batch, embedded);
        states.add(embedded);
      }
      for (LayerSource layer : checkpoint.layers()) {
        pass(layer, batches, states);
      }
      List<MemorySegment> predicting = new ArrayList<>();
      for (int i = 0; i < batches.size(); i++) {
        predicting.add(finish(batches.get(i), states.get(i), arena));
      }
      return predicting;
    }
  }

  private void embed(TokenBatch batch, MemorySegment to) {
    Tensor table = checkpoint.embedding().weight();
    int hidden = config.hiddenSize();
    for (int t = 0; t < batch.tokens(); t++) {
      long row = (long) batch.ids()[t] * hidden;
      for (int j = 0; j < hidden; j++) {
        to.setAtIndex(FLOAT, (long) t * hidden + j, table.floatAt(row + j));
      }
    }
  }

  private void pass(LayerSource layer, List<TokenBatch> batches, List<MemorySegment> states) {
    try (NDManager ofLayer = manager.newSubManager()) {
      LayerArrays arrays = LayerArrays.plain(layer, ofLayer);
      for (int i = 0; i < batches.size(); i++) {
        MemorySegment state = states.get(i);
        try (NDManager step = manager.newSubManager();
            NDScope scope = new NDScope()) {
          scope.suppressNotUsedWarning();
          DecoderPass decoder = new DecoderPass(script, config, step, batches.get(i).lengths());
          NDArray output = decoder.layer(array(state, step), arrays, Precision.FULL);
          state.copyFrom(MemorySegment.ofBuffer(output.toByteBuffer(true)));
        }
      }
    }
  }

  private MemorySegment finish(TokenBatch batch, MemorySegment state, Arena arena) {
    try (NDManager step = manager.newSubManager();
        NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      DecoderPass decoder = new DecoderPass(script, config, step, batch.lengths());
      NDArray norm = step.create(checkpoint.finalNorm().toFloats());
      NDArray rows = decoder.predicting(array(state, step), norm, batch.rows());
      MemorySegment kept = arena.allocate(4L * batch.rows().length * config.hiddenSize(), 64);
      kept.copyFrom(MemorySegment.ofBuffer(rows.toByteBuffer(true)));
      return kept;
    }
  }

  /** A view of [N, hidden]. */
  private NDArray array(MemorySegment state, NDManager step) {
    return step.create(
        state.asByteBuffer().order(ByteOrder.nativeOrder()),
        new Shape(state.byteSize() / 4 / config.hiddenSize(), config.hiddenSize()),
        DataType.FLOAT32);
  }

  @Override
  public void close() {
    script.close();
    manager.close();
    checkpoint.close();
  }
}
