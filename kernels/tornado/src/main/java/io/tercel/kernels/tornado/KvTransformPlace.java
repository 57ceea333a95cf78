package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvTransform;

/**
 * Where a {@link KvTransform} lies in the floats of a {@link WeightImage}.
 *
 * @param queryAt where the matrix of queries begins, or -1
 * @param keyAt where that of keys begins, or -1
 * @param clipAt where the clips are, two of keys and two of values, or -1
 */
record KvTransformPlace(int queryAt, int keyAt, int clipAt) {
  private static final KvTransformPlace NONE = new KvTransformPlace(-1, -1, -1);

  static KvTransformPlace of(KvTransform transform, WeightImage image) {
    if (transform == KvTransform.NONE) {
      return NONE;
    }
    int queryAt = image.vector(transform.query());
    int keyAt = image.vector(transform.key());
    int clipAt = image.vector(transform.keyClip());
    image.vector(transform.valueClip()); // right behind
    return new KvTransformPlace(queryAt, keyAt, clipAt);
  }
}
