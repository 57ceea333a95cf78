package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * New weights for a store, packed in its layout and kept as far as they differ from what it holds:
 * what a trainer's threads make while the engine computes, so that between two steps nothing is
 * left but to copy, see {@link WeightStore#update(WeightPatch)}.
 *
 * <p>All that it holds is finite: a {@link PatchWriter} refuses what is not, and the store goes on
 * with the weights it has.
 *
 * <p>Threads: each has a {@link #writer} of its own. The patch is applied when all are done.
 */
public final class WeightPatch implements AutoCloseable {
  private final WeightStore store;
  private final long baseVersion;
  private final @Nullable PatchObserver observer;
  private final Arena arena = Arena.ofShared();
  private final Set<PackedMatrix> matrices = Collections.newSetFromMap(new IdentityHashMap<>());
  private final Set<float[]> vectors = Collections.newSetFromMap(new IdentityHashMap<>());
  private final Set<float[]> keys = Collections.newSetFromMap(new IdentityHashMap<>());
  private final List<PatchWriter> writers = new ArrayList<>();

  private WeightPatch(WeightStore store, @Nullable PatchObserver observer) {
    this.store = store;
    this.baseVersion = store.version();
    this.observer = observer;
    if (observer != null) {
      observer.begin(baseVersion);
    }
    matrices.addAll(store.matrices());
    vectors.addAll(store.vectors());
    for (LayerWeights layer : store.layers()) {
      float[] key = layer.kv().key();
      if (key != null) {
        keys.add(key);
      }
    }
  }

  /** Of no weights yet, against those that the store holds now. */
  public static WeightPatch against(WeightStore store) {
    return new WeightPatch(store, null);
  }

  /** The same, of which somebody is told what it changes; or nobody. */
  public static WeightPatch against(WeightStore store, @Nullable PatchObserver observer) {
    return new WeightPatch(store, observer);
  }

  /** For one thread's part. */
  public PatchWriter writer() {
    PatchWriter writer = new PatchWriter(this, arena, observer);
    synchronized (writers) {
      writers.add(writer);
    }
    return writer;
  }

  private List<PatchWriter> writers() {
    synchronized (writers) {
      return List.copyOf(writers);
    }
  }

  /** The store's version that this was compared with. */
  public long baseVersion() {
    return baseVersion;
  }

  /** Codes of quantized matrices that differ from the store's. */
  public long codesFlipped() {
    return writers().stream().mapToLong(PatchWriter::codesFlipped).sum();
  }

  /** Bytes that applying it copies: those that differ, and a few between them. */
  public long bytes() {
    return writers().stream().mapToLong(PatchWriter::bytes).sum();
  }

  WeightStore store() {
    return store;
  }

  /** Whether keys are transformed otherwise from now on. */
  boolean changesKeys() {
    return writers().stream().anyMatch(writer -> writer.changesAnyOf(keys));
  }

  /**
   * @throws IllegalStateException if one of its writers refused something
   */
  void requireWhole() {
    for (PatchWriter writer : writers()) {
      if (writer.failed()) {
        throw new IllegalStateException("a part of these weights was refused; none are written");
      }
    }
  }

  /** Copies everything to its place, on all processors: the engine's threads have nothing to do. */
  void write() {
    writers().parallelStream().forEach(PatchWriter::write);
  }

  void applied() {
    if (observer != null) {
      observer.applied();
    }
  }

  void requireOwn(PackedMatrix matrix) {
    if (!matrices.contains(matrix)) {
      throw new IllegalArgumentException(matrix.name() + " is no matrix of the patched store");
    }
  }

  void requireOwn(String name, float[] vector) {
    if (!vectors.contains(vector)) {
      throw new IllegalArgumentException(name + " is no vector of the patched store");
    }
  }

  /** Frees its memory; the weights it has brought stay. */
  @Override
  public void close() {
    arena.close();
  }
}
