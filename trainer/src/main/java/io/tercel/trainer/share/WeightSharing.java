package io.tercel.trainer.share;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.PatchObserver;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.engine.Engine;
import io.tercel.server.model.RunningEngine;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Brings what is trained into the weights that an engine serves. All processors round the latents,
 * pack the codes as they lie in the store and compare them with what lies there, while the engine
 * goes on; then it stands still for as long as it takes to copy what differs. There is no file, no
 * second model, and each publication is a version of the weights, so that every token says which
 * optimizer step it is of.
 *
 * <p>Used by the trainer's thread, which changes no latent meanwhile.
 */
public final class WeightSharing {
  /** Somebody else's update, such as a reload, may come between comparing and copying. */
  private static final int ATTEMPTS = 4;

  private final Engine engine;
  private final WeightStore store;
  private final Supplier<? extends @Nullable PatchObserver> observer;
  private final List<Job> jobs = new ArrayList<>();

  /** Pieces of one tensor that can be packed at the same time. */
  private record Job(int pieces, Piece piece) {}

  private interface Piece {
    void pack(TilePacker packer, int index);
  }

  /**
   * Of a model that runs.
   *
   * @param tensors all that training changes
   * @throws IllegalArgumentException that names the first which the model doesn't have, or has in
   *     another shape or format
   */
  public WeightSharing(RunningEngine running, Collection<? extends TrainedTensor> tensors) {
    this(running, tensors, () -> null);
  }

  /**
   * The same, of which somebody is told what each publication changes; or nobody, or somebody else
   * from some time on.
   *
   * @throws IllegalArgumentException as the other
   */
  public WeightSharing(
      RunningEngine running,
      Collection<? extends TrainedTensor> tensors,
      Supplier<? extends @Nullable PatchObserver> observer) {
    this(running.engine(), running.weights(), tensors, observer);
  }

  WeightSharing(Engine engine, WeightStore store, Collection<? extends TrainedTensor> tensors) {
    this(engine, store, tensors, () -> null);
  }

  private WeightSharing(
      Engine engine,
      WeightStore store,
      Collection<? extends TrainedTensor> tensors,
      Supplier<? extends @Nullable PatchObserver> observer) {
    this.engine = engine;
    this.store = store;
    this.observer = observer;
    StoredTensors stored = store.tensors();
    for (TrainedTensor tensor : tensors) {
      jobs.add(
          switch (tensor) {
            case TrainedTensor.Linear linear -> job(linear, matrix(stored, linear.name()));
            case TrainedTensor.Floats floats -> job(floats, stored);
          });
    }
  }

  private static PackedMatrix matrix(StoredTensors stored, String name) {
    PackedMatrix matrix = stored.matrix(name);
    if (matrix == null) {
      throw new IllegalArgumentException(
          "%s is trained, but the served model has no such matrix".formatted(name));
    }
    return matrix;
  }

  private static Job job(TrainedTensor.Linear linear, PackedMatrix target) {
    WeightRounding rounding = linear.rounding();
    int group =
        switch (target.format()) {
          case QuantFormat.Grouped.W3G128 -> W3Block.GROUP;
          case QuantFormat.PerRow.W4A4 -> target.cols();
          case QuantFormat.Grouped.INT8G128 -> 0;
          case QuantFormat.Dense _ -> 0;
        };
    if (rounding.group() != group
        || rounding.rows() != target.rows()
        || rounding.cols() != target.cols()) {
      throw new IllegalArgumentException(
          "%s is trained as %d x %d in groups of %d, but served as %s of %d x %d"
              .formatted(
                  linear.name(),
                  rounding.rows(),
                  rounding.cols(),
                  rounding.group(),
                  target.format().label(),
                  target.rows(),
                  target.cols()));
    }
    if (target.inputOrder() != null) {
      throw new IllegalArgumentException(
          linear.name()
              + " is served with its columns reordered (act-order), which can't be trained on; quantize without it");
    }
    requireSize(linear, (long) target.rows() * target.cols());
    return new Job(
        W3Block.tiles(target.rows()), (packer, tile) -> packer.pack(linear, target, tile));
  }

  private Job job(TrainedTensor.Floats floats, StoredTensors stored) {
    float[] vector = stored.vector(floats.name());
    if (vector != null) {
      requireSize(floats, vector.length);
      return new Job(1, (packer, _) -> packer.copy(floats, vector));
    }
    PackedMatrix target = matrix(stored, floats.name());
    boolean roundedHead =
        target == store.embedding()
            && store.config().tieWordEmbeddings()
            && store.head().weight() != target;
    if (!(target.format() instanceof QuantFormat.Dense) || roundedHead) {
      throw new IllegalArgumentException(
          "%s is trained in 16 or 32 bits, but served as %s: serve it as it is stored"
              .formatted(
                  floats.name(),
                  roundedHead
                      ? "a head of " + store.head().weight().format().label()
                      : target.format().label()));
    }
    long size = (long) target.rows() * target.cols();
    requireSize(floats, size);
    return new Job(
        Math.toIntExact(Math.ceilDiv(size, (long) TilePacker.DENSE_PIECE)),
        (packer, piece) -> packer.round(floats, target, piece));
  }

  private static void requireSize(TrainedTensor tensor, long size) {
    if (tensor.values().byteSize() != Float.BYTES * size) {
      throw new IllegalArgumentException(
          "%s has %d trained values, but %d are served"
              .formatted(tensor.name(), tensor.values().byteSize() / Float.BYTES, size));
    }
  }

  /**
   * Puts what is trained now into service, as the next version, whether or not a code has changed.
   * Waits until that is done.
   *
   * @throws ArithmeticException if a latent is not finite; nothing has changed then
   * @throws io.tercel.kernels.memory.NonFiniteWeightsException if a scale or a float is not finite;
   *     nothing has changed then
   * @throws ConcurrentModificationException if somebody else writes to the weights all the time
   * @throws IllegalStateException if the engine has stopped
   */
  public Publication publish() {
    for (int attempt = 1; ; attempt++) {
      try {
        return attempt();
      } catch (ConcurrentModificationException e) {
        if (attempt == ATTEMPTS) {
          throw e;
        }
      }
    }
  }

  private Publication attempt() {
    long start = System.nanoTime();
    try (WeightPatch patch = WeightPatch.against(store, observer.get())) {
      pack(patch);
      long packed = System.nanoTime() - start;
      long flipped = patch.codesFlipped();
      long bytes = patch.bytes();
      // whatever happens to this thread: the patch must stay until it is copied
      return engine
          .betweenSteps(
              () -> {
                long stopped = System.nanoTime();
                store.update(patch);
                long pause = System.nanoTime() - stopped;
                return new Publication(store.version(), packed, pause, flipped, bytes);
              })
          .join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    }
  }

  private void pack(WeightPatch patch) {
    int[] first = new int[jobs.size()];
    int total = 0;
    for (int i = 0; i < first.length; i++) {
      first[i] = total;
      total += jobs.get(i).pieces;
    }
    ConcurrentLinkedQueue<TilePacker> idle = new ConcurrentLinkedQueue<>();
    AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();
    IntStream.range(0, total)
        .parallel()
        .forEach(
            i -> {
              if (failure.get() != null) {
                return;
              }
              TilePacker packer = idle.poll();
              if (packer == null) {
                packer = new TilePacker(patch.writer());
              }
              int at = jobAt(first, i);
              try {
                jobs.get(at).piece.pack(packer, i - first[at]);
                idle.add(packer);
              } catch (RuntimeException e) { // thrown when all are done: the patch is freed then
                failure.compareAndSet(null, e);
              }
            });
    RuntimeException thrown = failure.get();
    if (thrown != null) {
      throw thrown;
    }
  }

  private static int jobAt(int[] first, int piece) {
    int found = Arrays.binarySearch(first, piece);
    return found >= 0 ? found : -found - 2;
  }
}
