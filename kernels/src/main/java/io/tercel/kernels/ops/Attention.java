package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;

/**
 * The arithmetic of paged attention that every backend follows. The context of a row is cut into
 * splits of {@value #SPLIT} tokens that start at absolute position 0, so the order of all sums
 * depends on the position alone.
 *
 * <pre>
 *   k', v'  = the cache's elements; of 4-bit codes, 1 + code / 16, exactly
 *   in a split
 *     even = fma(k'_td, q_d, even)    d = 0, 2, ..   from 0
 *     odd  = fma(k'_td, q_d, odd)     d = 1, 3, ..   from 0
 *     fp32, fp16   s_t = scale * (even + odd)
 *     int4         s_t = scale * (16 s * fma(-(1 + z / 16), sum q, even + odd))     s, z of K of t
 *     m   = max s_t,  p_t = exp(s_t - m),  l = sum of p_t by {@link LaneSum}
 *     fp32, fp16   w_t = p_t,         c = 0
 *     int4         w_t = p_t * 16 s,  c = sum of (1 + z / 16) w_t by LaneSum, fma    s, z of V of t
 *     o_d = fma(v'_td, w_t, o_d)      t ascending, from 0;  then o_d = o_d - c
 *   over splits, ascending, from the first: M' = max(M, m),  a = exp(M - M'),  b = exp(m - M')
 *     L = a L + b l,  O_d = a O_d + b o_d;  at the end out_d = O_d / L
 * </pre>
 *
 * <p>sum q is {@link EightSum}. With the zero points factored out, a 4-bit element costs what a
 * float costs once it is a float: one fma. 1 + code / 16 is a code put into a float's mantissa.
 */
public final class Attention {
  /** Tokens in a split. */
  public static final int SPLIT = 256;

  /** Blocks in a split. */
  public static final int SPLIT_BLOCKS = SPLIT / KvLayout.BLOCK_SIZE;

  /** Bytes that a backend keeps at most of splits that wait to be joined, whatever the batch. */
  public static final int PARTIAL_BYTES = 16 << 20;

  private Attention() {}

  /** Splits of a context of so many tokens. */
  public static int splits(int contextLength) {
    return Math.ceilDiv(contextLength, SPLIT);
  }

  /** 1 / sqrt(headDim), rounded once. */
  public static float scale(int headDim) {
    return (float) (1.0 / Math.sqrt(headDim));
  }

  /**
   * Joins the next split of one row and head to those before it.
   *
   * @param m largest score and sum of exponentials so far, at {@code at} and {@code at + 1}
   * @param o [headDim] weighted values so far, from {@code oAt} on
   * @param nextMax the split's largest score
   * @param nextSum the split's sum of exponentials
   * @param next [headDim] the split's weighted values, from {@code nextAt} on
   */
  public static void join(
      float[] m,
      int at,
      float[] o,
      int oAt,
      float nextMax,
      float nextSum,
      float[] next,
      int nextAt,
      int headDim) {
    float largest = Math.max(m[at], nextMax);
    float a = Exp.exp(m[at] - largest);
    float b = Exp.exp(nextMax - largest);
    m[at] = largest;
    m[at + 1] = a * m[at + 1] + b * nextSum;
    for (int d = 0; d < headDim; d++) {
      o[oAt + d] = a * o[oAt + d] + b * next[nextAt + d];
    }
  }

  /** Divides by the sum: the attention's output. */
  public static void finish(float sum, float[] o, int oAt, float[] out, int outAt, int headDim) {
    for (int d = 0; d < headDim; d++) {
      out[outAt + d] = o[oAt + d] / sum;
    }
  }
}
