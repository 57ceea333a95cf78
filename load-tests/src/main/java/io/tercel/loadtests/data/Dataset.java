package io.tercel.loadtests.data;

/**
 * An endless workload. A request is a function of the dataset's seed and the index alone, so that
 * the same options always give the same workload, whoever asks first. Safe for many threads.
 */
public interface Dataset {
  /** The request of that index, from 0. */
  LoadRequest request(long index);

  /**
   * The request that this one is sent together with in an open loop: the first of its group, else
   * itself.
   */
  default long sentWith(long index) {
    return index;
  }
}
