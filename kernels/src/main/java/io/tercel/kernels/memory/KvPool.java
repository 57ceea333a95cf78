package io.tercel.kernels.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The storage of all keys and values: a fixed number of blocks, allocated once. Which block belongs
 * to whom is the scheduler's business. Written and read by the backend's threads during a step
 * only.
 */
public final class KvPool implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final KvLayout layout;
  private final int numBlocks;
  private final MemorySegment segment;

  public KvPool(KvLayout layout, int numBlocks) {
    this.layout = layout;
    this.numBlocks = numBlocks;
    this.segment = HugePages.allocate(arena, bytes(layout, numBlocks));
  }

  /** What a pool of so many blocks takes. */
  public static long bytes(KvLayout layout, int numBlocks) {
    return numBlocks * layout.blockBytes();
  }

  public KvLayout layout() {
    return layout;
  }

  public int numBlocks() {
    return numBlocks;
  }

  public MemorySegment segment() {
    return segment;
  }

  public long bytes() {
    return segment.byteSize();
  }

  /** Byte offset of K of a head of a block. */
  public long keyOffset(int layer, int block, int head) {
    return layout.keyOffset(numBlocks, layer, block, head);
  }

  /** Byte offset of V of a head of a block. */
  public long valueOffset(int layer, int block, int head) {
    return layout.valueOffset(numBlocks, layer, block, head);
  }

  /** Makes one block equal to another, in all layers. */
  public void copyBlock(int from, int to) {
    long bytes = layout.layerBlockBytes();
    for (int layer = 0; layer < layout.numLayers(); layer++) {
      long source = keyOffset(layer, from, 0);
      MemorySegment.copy(segment, source, segment, keyOffset(layer, to, 0), bytes);
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
