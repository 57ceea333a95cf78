package io.tercel.kernels.memory;

/**
 * Weights that hold NaN or an infinity, as a training step that diverged leaves them. The message
 * names the tensor and the place.
 */
public final class NonFiniteWeightsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * @param what the first value that is not finite
   * @param version of the store that it lies in
   */
  NonFiniteWeightsException(String what, long version) {
    super(
        "weights of version %d are not finite: %s; nothing is computed with them until others are written"
            .formatted(version, what));
  }
}
