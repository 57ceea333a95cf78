package io.tercel.server.engine;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Which full blocks hold which tokens behind which prefix, so that another sequence with the same
 * beginning need not compute it again. Pure bookkeeping over block numbers, for {@link
 * BlockManager}.
 *
 * <p>An entry is found by its parent entry and its own tokens, both compared in full. A parent is
 * named by an id that is given once and never again, so it stands for one exact prefix: two
 * contexts can't be taken for each other whatever hashes collide. (vLLM chains hashes and needs a
 * cryptographic one, since a client who can make two prefixes collide reads another's context. Here
 * a collision costs a comparison.) One cache serves one weight version; {@link #clear} starts the
 * next.
 *
 * <p>A block that no sequence holds stays here until its room is needed; the one unused longest
 * goes first. Who holds a block holds its parent too, and blocks are given back tails first; so
 * children always go before their parent, and every entry can be reached from the root.
 */
final class PrefixCache {
  /** The parent of a sequence's first block. */
  static final long ROOT = 0;

  /** The block before a sequence's first one. */
  static final int NO_BLOCK = -1;

  private static final int NONE = NO_BLOCK;

  private final int blockSize;
  private final int mask;
  private final int[] buckets;
  private final long seed = new SplittableRandom().nextLong(); // a client can't aim at a bucket
  private long lastId = ROOT;
  private int size;

  // by block number
  private final long[] id; // ROOT: not cached
  private final long[] parent;
  private final int[] tokens;
  private final int[] nextInBucket;

  private final PrefixCacheListener listener;
  private final BlockHash blockHash = new BlockHash();
  private final long[] hash; // by block number, computed where somebody listens

  // the unused ones, a ring by block number through a head behind the last block
  private final int[] older;
  private final int[] newer;
  private final int head;
  private int numUnused;

  PrefixCache(int numBlocks, int blockSize, PrefixCacheListener listener) {
    this(numBlocks, blockSize, listener, Integer.highestOneBit(Math.max(1, numBlocks)) * 2);
  }

  /**
   * With so many buckets; one makes everything collide.
   *
   * @param numBuckets a power of two
   */
  PrefixCache(int numBlocks, int blockSize, PrefixCacheListener listener, int numBuckets) {
    this.blockSize = blockSize;
    this.listener = listener;
    this.hash = new long[listener == PrefixCacheListener.NONE ? 0 : numBlocks];
    this.mask = numBuckets - 1;
    this.buckets = new int[mask + 1];
    this.id = new long[numBlocks];
    this.parent = new long[numBlocks];
    this.tokens = new int[Math.multiplyExact(numBlocks, blockSize)];
    this.nextInBucket = new int[numBlocks];
    this.older = new int[numBlocks + 1];
    this.newer = new int[numBlocks + 1];
    this.head = numBlocks;
    Arrays.fill(buckets, NONE);
    Arrays.fill(older, NONE);
    older[head] = head;
    newer[head] = head;
  }

  boolean contains(int block) {
    return id[block] != ROOT;
  }

  /** The id of a cached block, for its children to name. */
  long id(int block) {
    return id[block];
  }

  /** Cached blocks, used or not. */
  int size() {
    return size;
  }

  /** Cached blocks that no sequence holds. */
  int numUnused() {
    return numUnused;
  }

  /** The block with these tokens behind that parent, or -1. */
  int find(long parentId, int[] source, int from) {
    for (int b = buckets[bucket(parentId, source, from)]; b != NONE; b = nextInBucket[b]) {
      int at = b * blockSize;
      if (parent[b] == parentId
          && Arrays.equals(tokens, at, at + blockSize, source, from, from + blockSize)) {
        return b;
      }
    }
    return NONE;
  }

  /**
   * Enters a block that a sequence holds and that was not found.
   *
   * @param parentBlock the cached block before it, or {@link #NO_BLOCK}
   */
  void put(int block, int parentBlock, int[] source, int from) {
    if (contains(block)) {
      throw new IllegalStateException("block " + block + " is cached already");
    }
    if (parentBlock != NO_BLOCK && !contains(parentBlock)) {
      throw new IllegalStateException("block " + parentBlock + " is a parent, but not cached");
    }
    long parentId = parentBlock == NO_BLOCK ? ROOT : id[parentBlock];
    System.arraycopy(source, from, tokens, block * blockSize, blockSize);
    id[block] = ++lastId;
    parent[block] = parentId;
    int bucket = bucket(parentId, source, from);
    nextInBucket[block] = buckets[bucket];
    buckets[bucket] = block;
    size++;
    if (hash.length > 0) {
      long parentHash = parentBlock == NO_BLOCK ? BlockHash.ROOT : hash[parentBlock];
      hash[block] = blockHash.of(parentHash, source, from, blockSize);
      listener.stored(hash[block], parentHash, Arrays.copyOfRange(source, from, from + blockSize));
    }
  }

  /** The last holder of a cached block gave it back. */
  void unused(int block) {
    older[block] = older[head];
    newer[block] = head;
    newer[older[head]] = block;
    older[head] = block;
    numUnused++;
  }

  /** An unused block has a holder again. */
  void used(int block) {
    newer[older[block]] = newer[block];
    older[newer[block]] = older[block];
    older[block] = NONE;
    numUnused--;
  }

  /** Drops the block that was unused for the longest time and returns it; there must be one. */
  int evict() {
    int block = newer[head];
    if (block == head) {
      throw new IllegalStateException("no cached block is unused");
    }
    used(block);
    remove(block);
    return block;
  }

  /** Forgets everything; blocks in use just lose their entry. */
  void clear() {
    Arrays.fill(id, ROOT);
    Arrays.fill(buckets, NONE);
    Arrays.fill(older, NONE);
    older[head] = head;
    newer[head] = head;
    numUnused = 0;
    size = 0;
    listener.cleared();
  }

  private void remove(int block) {
    int bucket = bucket(parent[block], tokens, block * blockSize);
    if (buckets[bucket] == block) {
      buckets[bucket] = nextInBucket[block];
    } else {
      int before = buckets[bucket];
      while (nextInBucket[before] != block) {
        before = nextInBucket[before];
      }
      nextInBucket[before] = nextInBucket[block];
    }
    id[block] = ROOT;
    size--;
    if (hash.length > 0) {
      listener.removed(hash[block]);
    }
  }

  private int bucket(long parentId, int[] source, int from) {
    long h = seed ^ (parentId * 0x9E3779B97F4A7C15L);
    for (int i = from; i < from + blockSize; i++) {
      h = (h ^ source[i]) * 0xBF58476D1CE4E5B9L;
      h ^= h >>> 29;
    }
    return (int) (h ^ h >>> 32) & mask;
  }

  /** Every entry's parent is an entry, and can be found; unused is exactly what has no holder. */
  void checkInvariants(int[] holders) {
    int cached = 0;
    int unused = 0;
    long[] ids = id.clone();
    Arrays.sort(ids);
    for (int b = 0; b < id.length; b++) {
      boolean listed = older[b] != NONE;
      unused += listed ? 1 : 0;
      if (listed != (contains(b) && holders[b] == 0)) {
        throw new IllegalStateException(
            "cached block %d: listed as unused %s, holders %d".formatted(b, listed, holders[b]));
      }
      if (!contains(b)) {
        continue;
      }
      cached++;
      if (find(parent[b], tokens, b * blockSize) != b) {
        throw new IllegalStateException("cached block " + b + " can't be found");
      }
      if (parent[b] != ROOT && Arrays.binarySearch(ids, parent[b]) < 0) {
        throw new IllegalStateException("cached block " + b + " has lost its parent");
      }
    }
    if (cached != size || unused != numUnused) {
      throw new IllegalStateException(
          "%d cached and %d unused, counted %d and %d".formatted(size, numUnused, cached, unused));
    }
  }
}
