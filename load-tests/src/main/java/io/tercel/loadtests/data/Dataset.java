package io.tercel.loadtests.data;

/**
 * An endless workload. A request is a function of the dataset's seed and the index alone, so that
 * the same options always give the same workload, whoever asks first. Safe for many threads.
 */
public interface Dataset {
  /** The request of that index, from 0. */
  LoadRequest request(long index);
}
