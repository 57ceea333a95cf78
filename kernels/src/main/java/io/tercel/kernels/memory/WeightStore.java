package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.ConcurrentModificationException;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;

/**
 * The packed weights of one model: the only copy, read by every backend and written in place by the
 * trainer. It owns the arena that its matrices lie in.
 *
 * <p>Threads: any thread reads between two steps' writes; writes happen on the engine thread
 * between steps, through {@link #update}, each raising {@link #version()}.
 */
public final class WeightStore implements AutoCloseable {
  private final ModelConfig config;
  private final Arena arena;
  private final PackedMatrix embedding;
  private final List<LayerWeights> layers;
  private final float[] finalNorm;
  private final Linear head;
  private final StampedLock writing = new StampedLock();
  private volatile long version;
  private volatile long keyVersion;
  private volatile @Nullable String fault;

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

  /**
   * Writes weights in place and raises the version. On the engine thread between two steps, or
   * before there is an engine. All weights are looked through for NaN and infinities afterwards.
   *
   * @param write may fail halfway; the version rises then too, since the weights are others
   * @throws NonFiniteWeightsException if a dense value, a scale, a norm or a bias is not finite
   *     now, naming it; nothing is computed with such weights, until an update has mended them
   */
  public void update(Runnable write) {
    update(matrices(), write);
  }

  /**
   * As {@link #update(Runnable)}, but of the matrices only these are looked through, and all norms
   * and biases: what a trainer leaves alone, such as a large embedding, costs it nothing.
   *
   * @param written at least those that are written to
   */
  public void update(Collection<PackedMatrix> written, Runnable write) {
    long stamp = writing.writeLock(); // readers are optimistic: nobody is waited for
    try {
      write.run();
    } finally {
      version++;
      // a fault from before may lie in a matrix that was not written to now
      fault = findFault(fault == null ? written : matrices());
      writing.unlockWrite(stamp);
    }
    requireFinite();
  }

  /**
   * Copies in what a patch holds and raises the version, also if that is nothing. As {@link
   * #update(Runnable)}, on the engine thread between two steps; since a patch is finite, nothing is
   * looked through.
   *
   * @throws ConcurrentModificationException if somebody else has written since the patch was begun;
   *     nothing has changed then
   * @throws NonFiniteWeightsException if an earlier update has left values that are not finite and
   *     this one has not mended all of them
   */
  public void update(WeightPatch patch) {
    if (patch.store() != this) {
      throw new IllegalArgumentException("a patch of another store");
    }
    patch.requireWhole();
    if (patch.baseVersion() != version) {
      throw new ConcurrentModificationException(
          "the weights are of version %d, and the new ones were compared with version %d"
              .formatted(version, patch.baseVersion()));
    }
    boolean otherKeys = patch.changesKeys();
    long stamp = writing.writeLock();
    try {
      patch.write();
    } finally {
      version++;
      if (otherKeys) {
        keyVersion = version;
      }
      patch.applied();
      if (fault != null) {
        fault = findFault(matrices());
      }
      writing.unlockWrite(stamp);
    }
    requireFinite();
  }

  /** Its weights by name. */
  public StoredTensors tensors() {
    return new StoredTensors(this);
  }

  /**
   * To be called before weights are computed with.
   *
   * @throws NonFiniteWeightsException if the last update has left values that are not finite
   */
  public void requireFinite() {
    String what = fault;
    if (what != null) {
      throw NonFiniteWeightsException.stored(what, version);
    }
  }

  private @Nullable String findFault(Collection<PackedMatrix> among) {
    for (PackedMatrix matrix : among) {
      String found = FiniteWeights.fault(matrix);
      if (found != null) {
        return found;
      }
    }
    return vectorFault();
  }

  private @Nullable String vectorFault() {
    for (int i = 0; i < layers.size(); i++) {
      int layer = i;
      Map<String, float[]> named = new LinkedHashMap<>();
      layers.get(i).mapNorms(v -> v).forEach((norm, v) -> named.put(norm.name(layer), v));
      for (Linear linear : layers.get(i).matrices()) {
        named.put("the bias of " + linear.weight().name(), orEmpty(linear.bias()));
      }
      List<float[]> transforms = layers.get(i).transforms();
      for (int t = 0; t < transforms.size(); t++) {
        named.put("transform " + t + " of layer " + layer, transforms.get(t));
      }
      for (Map.Entry<String, float[]> vector : named.entrySet()) {
        String found = FiniteWeights.fault(vector.getKey(), vector.getValue());
        if (found != null) {
          return found;
        }
      }
    }
    String found = FiniteWeights.fault("model.norm", finalNorm);
    return found != null
        ? found
        : FiniteWeights.fault("the bias of " + head.weight().name(), orEmpty(head.bias()));
  }

  /**
   * Takes over another store's weights as one update.
   *
   * @throws IllegalArgumentException if shapes or formats differ; nothing has changed then
   * @throws NonFiniteWeightsException if the other's are not finite; nothing has changed then
   */
  public void replaceWith(WeightStore other) {
    WeightShapes.requireSame(this, other);
    String found = other.findFault(other.matrices());
    if (found != null) {
      throw NonFiniteWeightsException.stored(found, other.version());
    }
    fault = null;
    boolean sameKeys = sameKeysAs(other);
    update(List.of(), () -> WeightShapes.copy(other, this));
    keyVersion = sameKeys ? keyVersion : version;
  }

  /** The version since which keys are transformed as they are now. */
  public long keyVersion() {
    return keyVersion;
  }

  /** For readers on other threads: to be asked of {@link #unchangedSince} when they have read. */
  public long readStamp() {
    return writing.tryOptimisticRead();
  }

  /** Whether all that was read since then belongs to one version. */
  public boolean unchangedSince(long stamp) {
    return writing.validate(stamp);
  }

  /** Every matrix once, in the order of the forward pass; a tied head is the embedding. */
  List<PackedMatrix> matrices() {
    Set<PackedMatrix> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    List<PackedMatrix> all = new ArrayList<>();
    all.add(embedding);
    for (LayerWeights l : layers) {
      l.matrices().forEach(m -> all.add(m.weight()));
    }
    all.add(head.weight());
    return all.stream().filter(seen::add).toList();
  }

  /**
   * Whether keys and values of another store's model could be read by this one's: where they are
   * transformed otherwise, whatever is cached of them means nothing after {@link #replaceWith}.
   */
  public boolean sameKeysAs(WeightStore other) {
    for (int i = 0; i < layers.size(); i++) {
      if (!layers.get(i).kv().sameKeysAs(other.layers.get(i).kv())) {
        return false;
      }
    }
    return true;
  }

  /**
   * Every norm, bias and transform in the order of the forward pass; empty where a model has none.
   */
  List<float[]> vectors() {
    List<float[]> all = new ArrayList<>();
    for (LayerWeights l : layers) {
      all.add(l.inputNorm());
      l.matrices().forEach(m -> all.add(orEmpty(m.bias())));
      all.add(orEmpty(l.qNorm()));
      all.add(orEmpty(l.kNorm()));
      all.add(l.postAttentionNorm());
      all.addAll(l.transforms());
    }
    all.add(finalNorm);
    all.add(orEmpty(head.bias()));
    return all;
  }

  private static float[] orEmpty(float @Nullable [] vector) {
    return vector == null ? new float[0] : vector;
  }

  /** Off-heap bytes of all matrices; a tied head counts once. */
  public long bytes() {
    return matrices().stream().mapToLong(m -> m.segment().byteSize()).sum();
  }

  @Override
  public void close() {
    arena.close();
  }
}
