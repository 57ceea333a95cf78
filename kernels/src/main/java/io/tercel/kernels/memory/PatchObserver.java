package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;

/**
 * Is told what a {@link WeightPatch} changes, by the threads that make it: each block, tile or line
 * by one of them.
 */
public interface PatchObserver {
  /** A patch is begun against this version; the one before may never have been applied. */
  void begin(long baseVersion);

  /** The patch is in the store, as the version after its base. */
  void applied();

  /**
   * A block of a 3-bit matrix differs.
   *
   * @param codeRows a bit for each of its 16 rows whose codes differ
   * @param scaleRows the same of scales and zero points
   */
  void block(PackedMatrix target, int tile, int group, int codeRows, int scaleRows);

  /** A tile of a 4-bit matrix differs. */
  void tile(PackedMatrix target, int tile, int codeRows, int scaleRows);

  /** Bytes of a dense matrix differ, or some of them. */
  void dense(PackedMatrix target, long from, long length);

  /** A norm, a bias or a part of a transform differs. */
  void vector(float[] target);
}
