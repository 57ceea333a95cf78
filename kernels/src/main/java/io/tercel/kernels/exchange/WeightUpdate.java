package io.tercel.kernels.exchange;

import io.tercel.kernels.memory.PatchWriter;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * New weights for a store as they come from elsewhere, piece by piece. Nothing is written before
 * all have come and been checked; kept are those that differ from what the store holds, and the
 * unpacked blocks of one tensor.
 *
 * <p>Used by one thread. Whatever is refused makes it useless.
 */
public final class WeightUpdate implements AutoCloseable {
  private final WeightPatch patch;
  private final PatchWriter writer;
  private final boolean everything;
  private final Map<String, TensorBytes> tensors = new HashMap<>();
  private final Set<String> done = new HashSet<>();
  private final PiecesDigest digest = new PiecesDigest();
  private @Nullable Open open;
  private long bytes;

  /** The tensor whose pieces are coming. */
  private static final class Open {
    final TensorBytes tensor;
    final TensorBytes.Overlay overlay;
    final long[] next = new long[TensorPart.values().length];
    final long[] taken = new long[TensorPart.values().length];

    Open(TensorBytes tensor, TensorBytes.Overlay overlay) {
      this.tensor = tensor;
      this.overlay = overlay;
    }
  }

  /**
   * For the version that the store holds now.
   *
   * @param everything whether every byte of every tensor is to come
   * @throws IllegalArgumentException if the store has a tensor that can't be sent
   */
  public WeightUpdate(WeightStore store, boolean everything) {
    this.everything = everything;
    for (TensorBytes tensor : TensorBytes.of(store)) {
      tensors.put(tensor.name(), tensor);
    }
    patch = WeightPatch.against(store);
    writer = patch.writer();
  }

  /** The version that the pieces are laid over. */
  public long baseVersion() {
    return patch.baseVersion();
  }

  /** That have come. */
  public long bytes() {
    return bytes;
  }

  /** That differ from what the store holds, so far. */
  public long keptBytes() {
    return patch.bytes();
  }

  /**
   * Takes a piece. All of a tensor come one after another, of each part in ascending order.
   *
   * @throws IllegalArgumentException that says what is wrong with it
   * @throws io.tercel.kernels.memory.NonFiniteWeightsException if a value or a scale is not finite
   */
  public void put(String name, TensorPart part, long offset, byte[] data, int from, int length) {
    Open to = open;
    if (to == null || !to.tensor.name().equals(name)) {
      to = begin(name);
    }
    TensorBytes tensor = to.tensor;
    if (!tensor.parts().contains(part)) {
      throw new IllegalArgumentException("%s has no %s here".formatted(name, part));
    }
    long size = tensor.bytes(part);
    long unit = tensor.unitBytes(part);
    if (length <= 0 || offset < 0 || offset > size - length) {
      throw new IllegalArgumentException(
          "%s: %d bytes at %d, but its %s are %d".formatted(name, length, offset, part, size));
    }
    if (offset % unit != 0 || (length % unit != 0 && offset + length != size)) {
      throw new IllegalArgumentException(
          "%s: %d bytes at %d, but its %s come in units of %d"
              .formatted(name, length, offset, part, unit));
    }
    if (offset < to.next[part.ordinal()]) {
      throw new IllegalArgumentException(
          "%s: %s at %d come after those up to %d; offsets ascend"
              .formatted(name, part, offset, to.next[part.ordinal()]));
    }
    to.next[part.ordinal()] = offset + length;
    to.taken[part.ordinal()] += length;
    bytes += length;
    digest.add(name, part, offset, data, from, length);
    to.overlay.put(part, offset, data, from, length);
  }

  private Open begin(String name) {
    finishOpen();
    TensorBytes tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("the served model has no tensor %s".formatted(name));
    }
    if (!done.add(name)) {
      throw new IllegalArgumentException(name + " comes twice; a tensor's pieces come together");
    }
    Open begun = new Open(tensor, tensor.overlay(writer));
    open = begun;
    return begun;
  }

  private void finishOpen() {
    Open last = open;
    if (last == null) {
      return;
    }
    open = null;
    for (TensorPart part : everything ? last.tensor.parts() : Set.<TensorPart>of()) {
      long taken = last.taken[part.ordinal()];
      if (taken != last.tensor.bytes(part)) {
        throw new IllegalArgumentException(
            "%s: %d bytes of its %s have come, but all weights are to come, so %d"
                .formatted(last.tensor.name(), taken, part, last.tensor.bytes(part)));
      }
    }
    last.overlay.finish();
  }

  /**
   * Ends it; to be called once all pieces have come.
   *
   * @return what is to be applied, which belongs to this
   * @throws IllegalArgumentException that says what is wrong or missing
   * @throws io.tercel.kernels.memory.NonFiniteWeightsException if a scale is not finite
   */
  public WeightPatch finish() {
    finishOpen();
    if (everything) {
      for (String name : tensors.keySet()) {
        if (!done.contains(name)) {
          throw new IllegalArgumentException(
              "all weights are to come, but nothing of %s has".formatted(name));
        }
      }
    }
    return patch;
  }

  /** SHA-256 of the pieces that have come, see {@link PiecesDigest}; to be asked once. */
  public byte[] digest() {
    return digest.bytes();
  }

  /** Frees its memory; weights that it has brought stay. */
  @Override
  public void close() {
    patch.close();
  }
}
