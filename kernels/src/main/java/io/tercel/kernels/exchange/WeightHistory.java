package io.tercel.kernels.exchange;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.PatchObserver;
import io.tercel.kernels.memory.WeightStore;
import java.util.ConcurrentModificationException;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Which units of a store's tensors have changed when, as patches told it: so that others who hold a
 * version of the weights can be sent what they lack. It takes 4 bytes a unit of what has ever
 * changed: of 3-bit codes a twelfth of their size.
 *
 * <p>Threads: patches are told by any of their threads, one patch at a time. Any thread reads; what
 * it reads while somebody writes is refused.
 */
public final class WeightHistory implements PatchObserver {
  /** A version that nobody holds: everything is to be sent. */
  public static final long NONE = -1;

  private final WeightStore store;
  private final List<TensorBytes> tensors;
  private final Map<Object, Changes> changes = new IdentityHashMap<>();
  private volatile long applied;
  private volatile long floor;
  private volatile int stamp;

  /** Who takes batches of pieces. */
  @FunctionalInterface
  public interface Sink {
    /** A batch, which is filled anew afterwards. */
    void take(Pieces pieces) throws InterruptedException;
  }

  /** For each part the version of each unit's last change, made when the first comes. */
  private static final class Changes {
    final TensorBytes tensor;
    final AtomicReferenceArray<int[]> versions = new AtomicReferenceArray<>(4);

    Changes(TensorBytes tensor) {
      this.tensor = tensor;
    }

    int[] of(TensorPart part) {
      int[] known = versions.get(part.ordinal());
      if (known != null) {
        return known;
      }
      versions.compareAndSet(part.ordinal(), null, new int[tensor.units(part)]);
      return versions.get(part.ordinal());
    }
  }

  /**
   * Of a store from now on.
   *
   * @throws IllegalArgumentException if it has a tensor that can't be sent
   */
  public WeightHistory(WeightStore store) {
    this.store = store;
    this.tensors = TensorBytes.of(store);
    for (TensorBytes tensor : tensors) {
      changes.put(tensor.target(), new Changes(tensor));
    }
    applied = floor = store.version();
  }

  @Override
  public void begin(long baseVersion) {
    if (baseVersion != applied) { // somebody else has written, who knows what
      floor = baseVersion;
    }
    stamp = Math.toIntExact(baseVersion + 1);
  }

  @Override
  public void applied() {
    applied = stamp;
  }

  private Changes of(Object target) {
    Changes known = changes.get(target);
    if (known == null) {
      throw new IllegalArgumentException("a patch of another store");
    }
    return known;
  }

  @Override
  public void block(PackedMatrix target, int tile, int group, int codeRows, int scaleRows) {
    Changes known = of(target);
    int groups = W3Block.groups(target.cols());
    mark(known, TensorPart.CODES, tile, groups, group, codeRows);
    mark(known, TensorPart.SCALES, tile, groups, group, scaleRows);
    mark(known, TensorPart.ZEROS, tile, groups, group, scaleRows);
  }

  @Override
  public void tile(PackedMatrix target, int tile, int codeRows, int scaleRows) {
    Changes known = of(target);
    mark(known, TensorPart.CODES, tile, 1, 0, codeRows);
    mark(known, TensorPart.SCALES, tile, 1, 0, scaleRows);
  }

  private void mark(Changes known, TensorPart part, int tile, int groups, int group, int rows) {
    for (int left = rows; left != 0; left &= left - 1) {
      int row = tile * W3Block.ROWS + Integer.numberOfTrailingZeros(left);
      known.of(part)[row * groups + group] = stamp;
    }
  }

  @Override
  public void dense(PackedMatrix target, long from, long length) {
    int[] versions = of(target).of(TensorPart.VALUES);
    int last = (int) ((from + length - 1) / DenseBytes.UNIT);
    for (int unit = (int) (from / DenseBytes.UNIT); unit <= last; unit++) {
      versions[unit] = stamp;
    }
  }

  @Override
  public void vector(float[] target) {
    of(target).of(TensorPart.VALUES)[0] = stamp;
  }

  /** Whether what has changed since a version is known. */
  public boolean knows(long since) {
    return since >= floor && applied == store.version();
  }

  /**
   * Reads what has changed since a version, or everything, in batches: all of a tensor together,
   * and of each part in ascending order.
   *
   * @param since {@link #NONE} for everything, else one that is {@linkplain #knows known}
   * @return the version that was read
   * @throws ConcurrentModificationException if the weights change before all was read: batches that
   *     were taken are sound, but of no use without the others
   */
  public long read(long since, Sink sink) throws InterruptedException {
    long read = store.readStamp();
    long version = store.version();
    if (since != NONE && !knows(since)) {
      throw new ConcurrentModificationException("what changed since then is not known");
    }
    Pieces pieces = new Pieces();
    for (TensorBytes tensor : tensors) {
      for (TensorPart part : tensor.parts()) {
        pieces.begin(tensor.name(), part);
        read(tensor, part, since, read, pieces, sink);
        flush(read, pieces, sink);
      }
    }
    return version;
  }

  private void read(
      TensorBytes tensor, TensorPart part, long since, long read, Pieces pieces, Sink sink)
      throws InterruptedException {
    Changes known = of(tensor.target());
    int[] versions = known.versions.get(part.ordinal());
    if (versions == null && since != NONE) {
      return;
    }
    for (int unit = 0; unit < tensor.units(part); unit++) {
      if (since == NONE || (versions != null && versions[unit] > since)) {
        long offset = (long) unit * tensor.unitBytes(part);
        int at = pieces.add(offset, tensor.unitBytes(part, unit));
        tensor.read(part, unit, pieces.data(), at);
        if (pieces.full()) {
          flush(read, pieces, sink);
        }
      }
    }
  }

  private void flush(long read, Pieces pieces, Sink sink) throws InterruptedException {
    if (pieces.count() == 0) {
      return;
    }
    if (!store.unchangedSince(read)) {
      throw changed();
    }
    sink.take(pieces);
    pieces.begin(pieces.name(), pieces.part());
  }

  private static ConcurrentModificationException changed() {
    return new ConcurrentModificationException("the weights have changed while they were read");
  }
}
