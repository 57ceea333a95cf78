package io.tercel.server.engine;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Who holds which KV block. Pure bookkeeping over block numbers: the storage is the backend's.
 *
 * <pre>
 *   sequence A  [ 7 | 3 | 9 | 4 ]     7 and 3: full, cached, two holders
 *   sequence B  [ 7 | 3 | 6 ]         9: full and cached; 4 and 6: tails, one holder each
 *   unused      [ 2 | 8 | ... ]       cached, no holder: found again, or evicted, 2 first
 *   free        [ 5 | 1 | ... ]       neither
 * </pre>
 *
 * <p>Invariant: free + unused + held = all; only cached blocks have more than one holder. Blocks
 * are shared when full and only then, so nobody ever writes into a block with two holders and there
 * is no copy-on-write: the tail of a shared prompt, less than a block, is computed by each.
 */
final class BlockManager {
  private final int blockSize;
  private final boolean caching;
  private final PrefixCache cache;
  private final int[] holders;
  private final Map<ServiceClass, int[]> holdersOf = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> numHeld = new EnumMap<>(ServiceClass.class);
  private final int[] leavers; // scratch of wouldFree: all 0 but within it
  private final int[] free;
  private int numFree;
  private int[] prefix = new int[16];
  private int numPrefix;
  private long queriedTokens;
  private long hitTokens;
  private long recoveredTokens;

  BlockManager(int numBlocks, int blockSize, boolean caching) {
    this(numBlocks, blockSize, caching, PrefixCacheListener.NONE);
  }

  BlockManager(int numBlocks, int blockSize, boolean caching, PrefixCacheListener listener) {
    this.blockSize = blockSize;
    this.caching = caching;
    this.cache = new PrefixCache(numBlocks, blockSize, listener);
    this.holders = new int[numBlocks];
    this.leavers = new int[numBlocks];
    for (ServiceClass c : ServiceClass.values()) {
      holdersOf.put(c, new int[numBlocks]);
      numHeld.put(c, 0);
    }
    this.free = new int[numBlocks];
    for (int i = 0; i < numBlocks; i++) {
      free[i] = numBlocks - 1 - i;
    }
    numFree = numBlocks;
  }

  int blockSize() {
    return blockSize;
  }

  boolean caching() {
    return caching;
  }

  int numBlocks() {
    return free.length;
  }

  /** Blocks that can be had: free ones, and cached ones that nobody holds. */
  int numFree() {
    return numFree + cache.numUnused();
  }

  /** Of those that can be had, the ones whose content is cached. */
  int numCachedFree() {
    return cache.numUnused();
  }

  /** Cached blocks, held or not. */
  int numCached() {
    return cache.size();
  }

  /** Tokens that new sequences looked up. */
  long queriedTokens() {
    return queriedTokens;
  }

  /** Tokens that new sequences found. */
  long hitTokens() {
    return hitTokens;
  }

  /** Tokens that preempted sequences found when they came back. */
  long recoveredTokens() {
    return recoveredTokens;
  }

  /** Blocks that so many tokens lie in. */
  int blocksFor(int tokens) {
    return Math.ceilDiv(tokens, blockSize);
  }

  /** Blocks that sequences of the class hold; one that several share counts once. */
  int numHeld(ServiceClass by) {
    return numHeld.getOrDefault(by, 0);
  }

  private int[] holdersOf(ServiceClass by) {
    int[] counts = holdersOf.get(by);
    if (counts == null) {
      throw new IllegalStateException("no counts for " + by);
    }
    return counts;
  }

  /**
   * How many more blocks could be had for starting {@code s} if these sequences gave theirs back: a
   * block that others hold too does not come free, one that several of these share comes free once,
   * and one that {@code s} would itself begin with is no gain.
   */
  int wouldFree(List<Sequence> leaving, Sequence s) {
    matchPrefix(s);
    for (int i = 0; i < numPrefix; i++) {
      leavers[prefix[i]] = Integer.MIN_VALUE; // never as many as its holders
    }
    int come = 0;
    for (Sequence l : leaving) {
      for (int i = 0; i < l.numBlocks(); i++) {
        come += ++leavers[l.block(i)] == holders[l.block(i)] ? 1 : 0;
      }
    }
    for (int i = 0; i < numPrefix; i++) {
      leavers[prefix[i]] = 0;
    }
    for (Sequence l : leaving) {
      for (int i = 0; i < l.numBlocks(); i++) {
        leavers[l.block(i)] = 0;
      }
    }
    return come;
  }

  /** Its blocks that nobody else holds. */
  int numHeldAlone(Sequence s) {
    int alone = 0;
    for (int i = 0; i < s.numBlocks(); i++) {
      alone += holders[s.block(i)] == 1 ? 1 : 0;
    }
    return alone;
  }

  /** How many blocks too few can be had to start a sequence; none lack when it is not above 0. */
  int lacking(Sequence s) {
    matchPrefix(s);
    int unused = 0;
    for (int i = 0; i < numPrefix; i++) {
      unused += holders[prefix[i]] == 0 ? 1 : 0;
    }
    return blocksFor(s.numTokens()) - numPrefix - (numFree() - unused);
  }

  /**
   * Starts a waiting sequence on the longest cached prefix; false, and nothing done, if not all of
   * its tokens would find room: else half-computed prompts would preempt one another.
   */
  boolean start(Sequence s) {
    if (lacking(s) > 0) {
      return false;
    }
    for (int i = 0; i < numPrefix; i++) {
      hold(prefix[i], s.serviceClass());
      s.addBlock(prefix[i]);
      s.chain(cache.id(prefix[i]));
    }
    s.computed(numPrefix * blockSize);
    count(s, numPrefix * blockSize);
    return true;
  }

  private void count(Sequence s, int found) {
    if (s.started()) {
      recoveredTokens += found;
    } else if (caching && !s.awaitsPromptScores()) {
      queriedTokens += s.numTokens();
      hitTokens += found;
    }
  }

  private void matchPrefix(Sequence s) {
    numPrefix = 0;
    if (!caching || s.awaitsPromptScores()) {
      return; // a score needs its row's logits, which no cache has
    }
    // the last token is always computed: its logits are what the next one is drawn from
    int most = (s.numTokens() - 1) / blockSize;
    long parent = PrefixCache.ROOT;
    while (numPrefix < most) {
      int block = cache.find(parent, s.tokens(), numPrefix * blockSize);
      if (block < 0) {
        return;
      }
      if (numPrefix == prefix.length) {
        prefix = Arrays.copyOf(prefix, 2 * numPrefix);
      }
      prefix[numPrefix++] = block;
      parent = cache.id(block);
    }
  }

  /**
   * Gives the sequence blocks until it has room for so many tokens; false, and nothing given, if
   * too few can be had.
   */
  boolean allocate(Sequence sequence, int tokens) {
    int missing = blocksFor(tokens) - sequence.numBlocks();
    if (missing > numFree()) {
      return false;
    }
    for (int i = 0; i < missing; i++) {
      int block = numFree > 0 ? free[--numFree] : cache.evict();
      hold(block, sequence.serviceClass());
      sequence.addBlock(block);
    }
    return true;
  }

  /**
   * Enters the blocks that the sequence has filled. Where another sequence has computed the same
   * meanwhile, its block is taken in place of the own one: they are equal to the bit, and so a
   * child's holder always holds the cached parent.
   */
  void cacheFull(Sequence s) {
    if (!caching || s.mixesWeights()) {
      return;
    }
    while ((s.numChained() + 1) * blockSize <= s.numComputedTokens()) {
      int index = s.numChained();
      int block = s.block(index);
      int twin = cache.find(s.chainId(), s.tokens(), index * blockSize);
      if (twin < 0) {
        int parent = index == 0 ? PrefixCache.NO_BLOCK : s.block(index - 1);
        cache.put(block, parent, s.tokens(), index * blockSize);
      } else {
        hold(twin, s.serviceClass());
        s.replaceBlock(index, twin);
        giveBack(block, s.serviceClass());
        block = twin;
      }
      s.chain(cache.id(block));
    }
  }

  /** Takes back what lies beyond the sequence's tokens: room for a draft that was wrong. */
  void trim(Sequence sequence) {
    while (sequence.numBlocks() > blocksFor(sequence.numTokens())) {
      giveBack(sequence.block(sequence.numBlocks() - 1), sequence.serviceClass());
      sequence.removeLastBlock();
    }
  }

  /** Takes all blocks of a sequence back, the last first, so that tails are evicted first. */
  void release(Sequence sequence) {
    for (int i = sequence.numBlocks() - 1; i >= 0; i--) {
      giveBack(sequence.block(i), sequence.serviceClass());
    }
    sequence.clearBlocks();
  }

  /** Forgets the cached blocks that nobody holds; the others can be found as before. */
  void forgetUnused() {
    while (cache.numUnused() > 0) {
      free[numFree++] = cache.evict();
    }
  }

  /**
   * Forgets what the cached blocks hold, which new weights make of no use; their holders keep them.
   */
  void clearCache() {
    for (int b = 0; b < holders.length; b++) {
      if (holders[b] == 0 && cache.contains(b)) {
        free[numFree++] = b;
      }
    }
    cache.clear();
  }

  private void hold(int block, ServiceClass by) {
    if (holdersOf(by)[block]++ == 0) {
      numHeld.merge(by, 1, Integer::sum);
    }
    if (holders[block]++ == 0 && cache.contains(block)) {
      cache.used(block);
    }
  }

  private void giveBack(int block, ServiceClass by) {
    if (holders[block] == 0 || holdersOf(by)[block] == 0) {
      throw new IllegalStateException("block " + block + " was freed twice");
    }
    if (--holdersOf(by)[block] == 0) {
      numHeld.merge(by, -1, Integer::sum);
    }
    if (--holders[block] > 0) {
      return;
    }
    if (cache.contains(block)) {
      cache.unused(block);
    } else {
      free[numFree++] = block;
    }
  }

  /** free + unused + held = all: cheap enough for every time that the engine is idle. */
  void checkCounts() {
    int held = 0;
    for (int count : holders) {
      held += count > 0 ? 1 : 0;
    }
    if (held + numFree + cache.numUnused() != holders.length) {
      throw new IllegalStateException(
          "%d blocks held, %d free and %d cached of %d"
              .formatted(held, numFree, cache.numUnused(), holders.length));
    }
  }

  /** The counts; holders are those that hold; what is shared is cached; the cache is whole. */
  void checkInvariants(List<Sequence> sequences) {
    checkCounts();
    int[] counted = new int[holders.length];
    int[][] countedOf = new int[ServiceClass.values().length][holders.length];
    boolean[] mixed = new boolean[holders.length];
    for (Sequence s : sequences) {
      for (int i = 0; i < s.numBlocks(); i++) {
        counted[s.block(i)]++;
        countedOf[s.serviceClass().ordinal()][s.block(i)]++;
        mixed[s.block(i)] |= s.mixesWeights(); // was cached before the weights changed
      }
    }
    if (!Arrays.equals(counted, holders)) {
      throw new IllegalStateException("a block has other holders than counted");
    }
    for (ServiceClass c : ServiceClass.values()) {
      int[] of = countedOf[c.ordinal()];
      if (!Arrays.equals(of, holdersOf(c))
          || Arrays.stream(of).filter(n -> n > 0).count() != numHeld(c)) {
        throw new IllegalStateException(c.label() + " has other holders than counted");
      }
    }
    boolean[] isFree = new boolean[holders.length];
    for (int i = 0; i < numFree; i++) {
      int block = free[i];
      if (isFree[block] || holders[block] > 0 || cache.contains(block)) {
        throw new IllegalStateException("block " + block + " is free and something else");
      }
      isFree[block] = true;
    }
    for (int b = 0; b < holders.length; b++) {
      if (holders[b] > 1 && !cache.contains(b) && !mixed[b]) {
        throw new IllegalStateException("block " + b + " is shared but not cached");
      }
    }
    cache.checkInvariants(holders);
  }
}
