package io.tercel.kernels.ops;

/**
 * The one way floats are summed across lanes: 16 partial sums, lane l holding elements l, l + 16,
 * ... (16-bit weights have an order of their own, see {@link Ops#linear}), then a fixed tree.
 * Hardware reductions are not used because their order is not specified.
 */
public final class LaneSum {
  /** Partial sums, whatever the width of the hardware's vectors. */
  public static final int LANES = 16;

  private LaneSum() {}

  /** Sums 16 partials from {@code at} on: each with those 4, 8 and 12 lanes on, then in pairs. */
  public static float tree(float[] lanes, int at) {
    float s0 = (lanes[at] + lanes[at + 4]) + (lanes[at + 8] + lanes[at + 12]);
    float s1 = (lanes[at + 1] + lanes[at + 5]) + (lanes[at + 9] + lanes[at + 13]);
    float s2 = (lanes[at + 2] + lanes[at + 6]) + (lanes[at + 10] + lanes[at + 14]);
    float s3 = (lanes[at + 3] + lanes[at + 7]) + (lanes[at + 11] + lanes[at + 15]);
    return (s0 + s1) + (s2 + s3);
  }
}
