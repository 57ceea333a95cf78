package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;

/**
 * A split of attention in other code than this package's; one worker's. Queries are slots, [KV
 * head][query of the head]; what a slot sees ends at its limit.
 */
public interface SplitKernel {
  /** Slots of a split and where they are. */
  interface Slots {
    /** Queries of each KV head. */
    int perHead();

    /** KV heads from {@link #firstHead} on. */
    int heads();

    int firstHead();

    /** Where a slot's query begins in q. */
    int queryAt(int slot);

    /** Tokens of the split that it sees, 1 to 256; within a head they ascend. */
    int limit(int slot);
  }

  /** Whether it reads such a cache. */
  boolean handles(KvLayout layout);

  /**
   * Computes a split of all slots.
   *
   * @param keys addresses of the keys of head 0 in each block
   * @param values likewise
   * @param blocks how many there are, at most 16
   * @param querySums of all queries, where one of them is q / headDim; read for 4-bit keys only
   * @param max gets each slot's largest score
   * @param sum gets each slot's sum of exponentials
   * @param outs gets weighted values, [slot][stride]
   */
  void attend(
      KvLayout layout,
      Slots slots,
      long[] keys,
      long[] values,
      int blocks,
      float[] q,
      float[] querySums,
      float[] max,
      float[] sum,
      float[] outs,
      int stride);
}
