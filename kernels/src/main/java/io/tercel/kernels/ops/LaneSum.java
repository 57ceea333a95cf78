package io.tercel.kernels.ops;

/**
 * The one way floats are summed across lanes: 16 partial sums, lane l holding elements l, l + 16,
 * ..., then a fixed tree of halves. Hardware reductions are not used because their order is not
 * specified.
 */
public final class LaneSum {
  /** Partial sums, whatever the width of the hardware's vectors. */
  public static final int LANES = 16;

  private LaneSum() {}

  /** Sums 16 partials from offset on: l with l + 8, then + 4, + 2, + 1. */
  public static float tree(float[] t, int at) {
    float a0 = (t[at] + t[at + 8]) + (t[at + 4] + t[at + 12]);
    float a1 = (t[at + 1] + t[at + 9]) + (t[at + 5] + t[at + 13]);
    float a2 = (t[at + 2] + t[at + 10]) + (t[at + 6] + t[at + 14]);
    float a3 = (t[at + 3] + t[at + 11]) + (t[at + 7] + t[at + 15]);
    return (a0 + a2) + (a1 + a3);
  }
}
