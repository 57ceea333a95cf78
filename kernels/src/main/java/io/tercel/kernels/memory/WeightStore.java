package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import java.lang.foreign.Arena;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * The packed weights of one model: the only copy, read by every backend and written in place by the
 * trainer. It owns the arena that its matrices lie in.
 *
 * <p>Threads: any thread reads between two steps' writes; writes happen on the engine thread
 * between steps, each raising {@link #version()}.
 */
public final class WeightStore implements AutoCloseable {
  private final ModelConfig config;
  private final Arena arena;
  private final PackedMatrix embedding;
  private final List<LayerWeights> layers;
  private final float[] finalNorm;
  private final Linear head;
  private volatile long version;

  /**
   * @param arena holds every matrix; closed by {@link #close()}
   * @param embedding [vocab, H]
   * @param finalNorm [H]
   * @param head [vocab, H]; its weight is the embedding itself when tied
   */
  public WeightStore(
      ModelConfig config,
      Arena arena,
      PackedMatrix embedding,
      List<LayerWeights> layers,
      float[] finalNorm,
      Linear head) {
    this.config = config;
    this.arena = arena;
    this.embedding = embedding;
    this.layers = List.copyOf(layers);
    this.finalNorm = finalNorm;
    this.head = head;
  }

  public ModelConfig config() {
    return config;
  }

  public PackedMatrix embedding() {
    return embedding;
  }

  public List<LayerWeights> layers() {
    return layers;
  }

  public float[] finalNorm() {
    return finalNorm;
  }

  public Linear head() {
    return head;
  }

  /** Rises by one with each in-place update; 0 as loaded. */
  public long version() {
    return version;
  }

  /** Off-heap bytes of all matrices; a tied head counts once. */
  public long bytes() {
    Set<PackedMatrix> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    seen.add(embedding);
    seen.add(head.weight());
    for (LayerWeights l : layers) {
      for (Linear m : List.of(l.q(), l.k(), l.v(), l.o(), l.gate(), l.up(), l.down())) {
        seen.add(m.weight());
      }
    }
    return seen.stream().mapToLong(m -> m.segment().byteSize()).sum();
  }

  @Override
  public void close() {
    arena.close();
  }
}
