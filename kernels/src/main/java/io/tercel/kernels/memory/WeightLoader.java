package io.tercel.kernels.memory;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.CompressedDecoder;
import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.GptqDecoder;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Decoder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Packs a checkpoint into a {@link WeightStore}: plain matrices as their bytes are, 3-bit ones into
 * {@link W3Block}s, 4-bit ones into tiles, norms, biases and transforms onto the heap, and the head
 * into 8 bits where that is asked for. The one time that weights are copied.
 */
public final class WeightLoader {
  private static final long COPY_BYTES = 8 << 20;

  private final WeightArena memory;
  private final RowTasks tasks;
  private final LmHeadType headType;
  private final LoadProgress progress;
  private final long totalBytes;
  private final Map<String, PackedMatrix> packed = new HashMap<>();
  private @Nullable PackedFile cached;
  private @Nullable RoundingLoss loss;
  private long doneBytes;

  private WeightLoader(
      WeightArena memory,
      RowTasks tasks,
      LmHeadType headType,
      LoadProgress progress,
      long totalBytes) {
    this.memory = memory;
    this.tasks = tasks;
    this.headType = headType;
    this.progress = progress;
    this.totalBytes = totalBytes;
  }

  /** Loads all weights, the head as it is stored. */
  public static WeightStore load(
      Checkpoint checkpoint, long availableBytes, LoadProgress progress) {
    return load(checkpoint, LmHeadType.STORED, PackedCache.off(), availableBytes, progress);
  }

  /**
   * Loads all weights; the checkpoint may be closed afterwards.
   *
   * @param cache where packed matrices are found, or left for the next time
   * @param availableBytes how much the packed weights may take
   * @return a store that the caller closes
   * @throws CheckpointException if they take more than that, before anything is allocated, or if a
   *     weight or a scale is not finite, a zero point is not what the checkpoint promises, or a
   *     tied head is not the embedding; nothing stays allocated then
   */
  public static WeightStore load(
      Checkpoint checkpoint,
      LmHeadType headType,
      PackedCache cache,
      long availableBytes,
      LoadProgress progress) {
    WeightPlan plan = WeightPlan.of(checkpoint, headType);
    if (plan.offHeapBytes() > availableBytes) {
      throw new CheckpointException(
          "%s: its weights take %d MiB, of which %d MiB are available"
              .formatted(
                  checkpoint.directory(),
                  Math.ceilDiv(plan.offHeapBytes(), 1 << 20),
                  Math.max(0, availableBytes) >> 20));
    }
    checkpoint.checkTiedHead();
    Arena arena = Arena.ofShared();
    try (RowTasks tasks = new RowTasks(Runtime.getRuntime().availableProcessors())) {
      WeightArena memory = new WeightArena(arena);
      return new WeightLoader(memory, tasks, headType, progress, plan.offHeapBytes())
          .load(checkpoint, cache.entry(checkpoint, headType, plan, progress));
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  /** Takes what is cached, and caches what had to be packed. */
  private WeightStore load(Checkpoint checkpoint, PackedCache.@Nullable Entry entry) {
    if (entry == null) {
      return load(checkpoint);
    }
    boolean found;
    WeightStore store;
    try (PackedFile file = entry.open(progress)) {
      cached = file;
      store = load(checkpoint);
      found = cached != null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (found) {
      progress.note("packed weights read from " + entry.path());
    } else {
      entry.write(checkpoint, packed, loss, progress);
    }
    return store;
  }

  private WeightStore load(Checkpoint checkpoint) {
    PackedMatrix embedding = matrix(checkpoint.embedding());
    List<LayerWeights> layers = new ArrayList<>(checkpoint.layers().size());
    for (LayerSource layer : checkpoint.layers()) {
      layers.add(layer(layer));
    }
    float[] finalNorm = FiniteWeights.floats(checkpoint.finalNorm());
    return new WeightStore(
        checkpoint.config(),
        memory.arena(),
        embedding,
        layers,
        finalNorm,
        head(checkpoint, embedding));
  }

  private Linear head(Checkpoint checkpoint, PackedMatrix embedding) {
    LinearSource.Plain head = checkpoint.head();
    return switch (headType) {
      case STORED -> head == null ? new Linear(embedding, null) : linear(head);
      case INT8 -> {
        LinearSource.Plain source = head == null ? checkpoint.embedding() : head;
        yield new Linear(int8(source), floats(source.bias()));
      }
    };
  }

  private PackedMatrix int8(LinearSource.Plain source) {
    PackedMatrix matrix =
        memory.allocate(WeightPlan.HEAD, source.rows(), source.cols(), Grouped.INT8G128, null);
    if (fromCache(matrix)) {
      loss = Objects.requireNonNull(cached).loss();
    } else {
      Tensor weight = source.weight();
      FiniteWeights.check(weight, 0, weight.data().byteSize());
      Dense stored = Objects.requireNonNull(weight.dtype().dense());
      loss = Int8Rounding.round(weight.data(), stored, matrix, tasks);
    }
    if (loss != null) {
      progress.rounded(matrix.name(), loss);
    }
    loaded(matrix);
    return matrix;
  }

  private LayerWeights layer(LayerSource layer) {
    Map<DecoderInput, InputTransform> transforms = LayerTransforms.inputs(layer);
    Map<LayerTensors.Matrix, Linear> linears =
        LayerTensors.matrices(
            m ->
                linear(
                    layer.matrix(m), Objects.requireNonNull(transforms.get(DecoderInput.of(m)))));
    return new LayerWeights(
        linears, layer.mapNorms(FiniteWeights::floats), LayerTransforms.kv(layer.kv()));
  }

  private Linear linear(LinearSource source, InputTransform transform) {
    return source instanceof LinearSource.W4
        ? new Linear(matrix(source), floats(source.bias()), transform)
        : linear(source);
  }

  private static float @Nullable [] floats(@Nullable Tensor tensor) {
    return tensor == null ? null : FiniteWeights.floats(tensor);
  }

  private Linear linear(LinearSource source) {
    return new Linear(matrix(source), floats(source.bias()));
  }

  private PackedMatrix matrix(LinearSource source) {
    PackedMatrix matrix =
        switch (source) {
          case LinearSource.Plain plain -> copy(plain);
          case LinearSource.Gptq gptq -> decode(gptq);
          case LinearSource.Compressed compressed -> decode(compressed);
          case LinearSource.W4 w4 -> decode(w4);
        };
    loaded(matrix);
    return matrix;
  }

  private void loaded(PackedMatrix matrix) {
    doneBytes += matrix.segment().byteSize();
    progress.loaded(matrix.name(), doneBytes, totalBytes);
  }

  private PackedMatrix copy(LinearSource.Plain source) {
    PackedMatrix matrix =
        memory.allocate(source.name(), source.rows(), source.cols(), source.format(), null);
    MemorySegment from = source.weight().data();
    MemorySegment to = matrix.segment();
    int pieces = Math.toIntExact(Math.ceilDiv(to.byteSize(), COPY_BYTES));
    tasks.forEach(
        pieces,
        () ->
            piece -> {
              long at = piece * COPY_BYTES;
              long bytes = Math.min(COPY_BYTES, to.byteSize() - at);
              MemorySegment.copy(from, at, to, at, bytes);
              FiniteWeights.check(source.weight(), at, bytes);
            });
    return matrix;
  }

  /**
   * Whether a matrix could be read as it was packed before; the first that can't be is the last.
   */
  private boolean fromCache(PackedMatrix matrix) {
    packed.put(matrix.name(), matrix);
    PackedFile file = cached;
    if (file == null) {
      return false;
    }
    String fault = "damaged";
    try {
      if (file.read(matrix, tasks)) {
        return true;
      }
    } catch (IOException e) {
      fault = String.valueOf(e.getMessage());
    }
    progress.warn("packed weights of %s, packing anew: %s".formatted(matrix.name(), fault));
    cached = null;
    return false;
  }

  private PackedMatrix decode(LinearSource.Gptq source) {
    PackedMatrix matrix =
        memory.allocate(
            source.name(), source.rows(), source.cols(), source.format(), source.inputOrder());
    if (fromCache(matrix)) {
      return matrix;
    }
    // a tile touches every file row: on a cold disk that would be read all over the place
    source.qweight().data().load();
    tasks.forEach(
        W3Block.tiles(source.rows()),
        () -> {
          GptqDecoder decoder = new GptqDecoder(source);
          return rowBlock -> decoder.decode(rowBlock, matrix.segment());
        });
    return matrix;
  }

  private PackedMatrix decode(LinearSource.Compressed source) {
    PackedMatrix matrix =
        memory.allocate(
            source.name(), source.rows(), source.cols(), source.format(), source.inputOrder());
    if (fromCache(matrix)) {
      return matrix;
    }
    tasks.forEach(
        W3Block.tiles(source.rows()),
        () -> {
          CompressedDecoder decoder = new CompressedDecoder(source);
          return rowBlock -> decoder.decode(rowBlock, matrix.segment());
        });
    return matrix;
  }

  private PackedMatrix decode(LinearSource.W4 source) {
    PackedMatrix matrix =
        memory.allocate(source.name(), source.rows(), source.cols(), source.format(), null);
    tasks.forEach(
        W3Block.tiles(source.rows()),
        () -> {
          W4Decoder decoder = new W4Decoder(source);
          return tile -> decoder.decode(tile, matrix.segment());
        });
    return matrix;
  }
}
