package io.tercel.server.engine;

/**
 * Which KV blocks are free. Pure bookkeeping over block numbers: the storage is the backend's.
 *
 * <p>Free blocks form a stack, so that the block freed last, whose memory is warmest, is used next.
 * Invariant: every block is free or held by exactly one sequence.
 */
final class BlockManager {
  private final int blockSize;
  private final int[] free;
  private int numFree;

  BlockManager(int numBlocks, int blockSize) {
    this.blockSize = blockSize;
    this.free = new int[numBlocks];
    for (int i = 0; i < numBlocks; i++) {
      free[i] = numBlocks - 1 - i;
    }
    numFree = numBlocks;
  }

  int blockSize() {
    return blockSize;
  }

  int numBlocks() {
    return free.length;
  }

  int numFree() {
    return numFree;
  }

  /** Blocks that so many tokens lie in. */
  int blocksFor(int tokens) {
    return Math.ceilDiv(tokens, blockSize);
  }

  /**
   * Gives the sequence blocks until it has room for so many tokens; false, and nothing given, if
   * too few are free.
   */
  boolean allocate(Sequence sequence, int tokens) {
    int missing = blocksFor(tokens) - sequence.numBlocks();
    if (missing > numFree) {
      return false;
    }
    for (int i = 0; i < missing; i++) {
      sequence.addBlock(free[--numFree]);
    }
    return true;
  }

  /** Takes all blocks of a sequence back, the last first: what is reused first is a tail. */
  void release(Sequence sequence) {
    for (int i = 0; i < sequence.numBlocks(); i++) {
      if (numFree == free.length) {
        throw new IllegalStateException("a block was freed twice");
      }
      free[numFree++] = sequence.block(i);
    }
    sequence.clearBlocks();
  }
}
