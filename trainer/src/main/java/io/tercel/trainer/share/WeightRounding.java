package io.tercel.trainer.share;

import java.lang.foreign.MemorySegment;

/**
 * How a linear's latents are rounded to what is served: codes, and a scale and a zero point for
 * each group of neighbours in a row. Of 3 bits codes are 0..7 and groups of 128; of 4 bits codes
 * are -8..7, a row is one group and zero points are 0.
 */
public interface WeightRounding {
  /** Outputs. */
  int rows();

  /** Inputs. */
  int cols();

  /** Neighbours in a row that share a scale; a row's last group may have fewer. */
  int group();

  /** Scale of a group, a value that fp16 can hold. */
  float scale(int row, int group);

  /** Zero point of a group; 0 in 4 bits. */
  int zero(int row, int group);

  /**
   * The codes of a row.
   *
   * @param latents fp32 [rows, cols]
   * @param to receives [cols]
   */
  void codes(MemorySegment latents, int row, byte[] to);
}
