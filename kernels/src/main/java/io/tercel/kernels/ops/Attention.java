package io.tercel.kernels.ops;

import io.tercel.kernels.memory.KvLayout;

/**
 * The arithmetic of paged attention that every backend follows. The context of a row is cut into
 * splits of {@value #SPLIT} tokens that start at absolute position 0, so the order of all sums
 * depends on the position alone.
 *
 * <pre>
 *   in a split: s_t = scale * (q . k_t)      d ascending, fma
 *               m   = max s_t,  p_t = exp(s_t - m),  l = sum of p_t by {@link LaneSum}
 *               o_d = sum p_t v_td           t ascending, fma
 *   over splits, ascending, from the first: M' = max(M, m),  a = exp(M - M'),  b = exp(m - M')
 *               L = a L + b l,  O_d = a O_d + b o_d;  at the end out_d = O_d / L
 * </pre>
 */
public final class Attention {
  /** Tokens in a split. */
  public static final int SPLIT = 256;

  /** Blocks in a split. */
  public static final int SPLIT_BLOCKS = SPLIT / KvLayout.BLOCK_SIZE;

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
