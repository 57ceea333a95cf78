package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.WeightStore;
import java.util.List;

/**
 * Makes backends that are not part of this module; found by {@link java.util.ServiceLoader}.
 * Constructing one loads no native code.
 */
public interface BackendProvider {

  /** Its name on the command line. */
  String name();

  /**
   * What it could run on, numbered from 0.
   *
   * @throws BackendUnavailableException that says what is missing, in one line
   */
  List<ComputeDevice> devices();

  /**
   * Bytes a second that a device reads from its memory: the fastest of some passes over a large
   * array.
   *
   * @throws BackendUnavailableException if the device is not there
   */
  double readBandwidth(int device);

  /**
   * Opens a backend, which allocates on the device, sends the weights and compiles.
   *
   * @param weights outlive the backend
   * @param device number of one of {@link #devices}
   * @throws BackendUnavailableException if the device is not there or hasn't the memory, in one
   *     line; nothing stays allocated then
   */
  Backend open(WeightStore weights, KvLayout layout, int numBlocks, int device);
}
