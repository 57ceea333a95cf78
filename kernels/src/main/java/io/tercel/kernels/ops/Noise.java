package io.tercel.kernels.ops;

/**
 * Sampling noise as a pure function of (seed, choice, position): a request repeats exactly,
 * whatever runs beside it, and a preempted sequence draws again what it drew before. The mixing is
 * SplitMix64's finalizer (Steele, Lea, Flood 2014).
 */
public final class Noise {
  private Noise() {}

  /** A uniform number in [0, 1), a multiple of 2^-53. */
  public static double uniform(long seed, int choice, int position) {
    long h = mix(seed + 0x9E3779B97F4A7C15L);
    h = mix(h ^ (((long) choice << 32) | (position & 0xFFFFFFFFL)));
    return (h >>> 11) * 0x1p-53;
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
