package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.tercel.trainer.qat.RowLoss.RowGradient;
import io.tercel.trainer.torch.Parameter;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;

/**
 * From final hidden states to logits, so many rows at a time that their logits fit into {@value
 * #CHUNK_BYTES} bytes: logits of a whole batch over 151,936 tokens would be gigabytes.
 */
final class Head {
  private static final long CHUNK_BYTES = 128L << 20;

  private final Parameter weight; // [vocab, hidden]
  private final int vocab;
  private final int hidden;

  Head(Parameter weight) {
    this.weight = weight;
    this.vocab = Math.toIntExact(weight.shape().getFirst());
    this.hidden = Math.toIntExact(weight.shape().getLast());
  }

  /** Rows of a chunk. */
  private int chunk() {
    return (int) Math.max(1, Math.min(4096, CHUNK_BYTES / (4L * vocab)));
  }

  /**
   * Shows all rows' logits.
   *
   * @param states final hidden states, fp32 [rows, hidden]
   */
  void forward(NDManager manager, MemorySegment states, int rows, QatModel.LogitsReader reader) {
    for (int first = 0; first < rows; first += chunk()) {
      try (NDManager step = manager.newSubManager();
          NDScope scope = new NDScope()) {
        scope.suppressNotUsedWarning();
        int count = Math.min(chunk(), rows - first);
        NDArray logits =
            rows(step, states, first, count).matMul(weight.leaf(step, false).transpose());
        reader.read(logits, first);
      }
    }
  }

  /**
   * The loss of all rows, with its gradients.
   *
   * @param states as in {@link #forward}
   * @param gradient of them, to be written
   */
  double backward(
      NDManager manager,
      MemorySegment states,
      TokenBatch batch,
      RowLoss loss,
      MemorySegment gradient) {
    double[] sum = {0};
    int rows = batch.rows().length;
    for (int first = 0; first < rows; first += chunk()) {
      try (NDManager step = manager.newSubManager();
          NDScope scope = new NDScope()) {
        scope.suppressNotUsedWarning();
        int count = Math.min(chunk(), rows - first);
        NDArray h = rows(step, states, first, count);
        NDArray w = weight.leaf(step, false);
        RowGradient of = loss.at(h.matMul(w.transpose()), first, batch);
        sum[0] += of.loss();
        slice(gradient, first, count).copyFrom(memory(of.logits().matMul(w)));
        if (weight.trained()) {
          weight.accumulate(memory(of.logits().transpose().matMul(h)));
        }
      }
    }
    return sum[0];
  }

  private static MemorySegment memory(NDArray array) {
    return MemorySegment.ofBuffer(array.toByteBuffer(true));
  }

  private MemorySegment slice(MemorySegment states, int first, int count) {
    return states.asSlice(4L * first * hidden, 4L * count * hidden);
  }

  private NDArray rows(NDManager manager, MemorySegment states, int first, int count) {
    return manager.create(
        slice(states, first, count).asByteBuffer().order(ByteOrder.nativeOrder()),
        new Shape(count, hidden),
        DataType.FLOAT32);
  }
}
