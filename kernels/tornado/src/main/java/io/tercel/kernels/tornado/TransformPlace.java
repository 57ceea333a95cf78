package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.InputTransform;

/**
 * Where an {@link InputTransform} lies in the floats of a {@link WeightImage}.
 *
 * @param leftAt where its left matrix begins, or -1
 * @param rightAt where its right one begins, or -1
 * @param clipAt where its two clips are, or -1 where there is no transform at all
 * @param rows rows of the matrix that a row of inputs is read as
 */
record TransformPlace(int leftAt, int rightAt, int clipAt, int rows) {
  /** Of inputs that are not rounded to 4 bits. */
  static final TransformPlace NONE = new TransformPlace(-1, -1, -1, 1);

  static TransformPlace of(InputTransform transform, int cols, WeightImage image) {
    return new TransformPlace(
        image.vector(transform.left()),
        image.vector(transform.right()),
        image.vector(transform.clip()),
        transform.rows(cols));
  }
}
