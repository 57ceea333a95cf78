package io.tercel.kernels.memory;

/**
 * Weights that hold NaN or an infinity, as a training step that diverged leaves them. The message
 * names the tensor and the place.
 */
public final class NonFiniteWeightsException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private NonFiniteWeightsException(String message) {
    super(message);
  }

  /**
   * They lie in the store.
   *
   * @param what the first value that is not finite
   * @param version of the store
   */
  static NonFiniteWeightsException stored(String what, long version) {
    return new NonFiniteWeightsException(
        "weights of version %d are not finite: %s; nothing is computed with them until others are written"
            .formatted(version, what));
  }

  /**
   * They were to be written and are not.
   *
   * @param what the first value that is not finite
   * @param version of the store, which stays
   */
  static NonFiniteWeightsException refused(String what, long version) {
    return new NonFiniteWeightsException(
        "the new weights are not finite: %s; none of them is written, those of version %d stay"
            .formatted(what, version));
  }
}
