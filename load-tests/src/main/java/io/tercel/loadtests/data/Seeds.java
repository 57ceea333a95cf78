package io.tercel.loadtests.data;

import java.util.SplittableRandom;

/** Independent random streams out of one seed (the finalizer of SplitMix64). */
public final class Seeds {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;

  private Seeds() {}

  /** A seed for one of many streams, each named by a kind and an index. */
  public static long derive(long seed, String kind, long index) {
    return mix(mix(mix(seed + GOLDEN) + kind.hashCode() * GOLDEN) + index * GOLDEN);
  }

  /** A generator for one of many streams. */
  public static SplittableRandom stream(long seed, String kind, long index) {
    return new SplittableRandom(derive(seed, kind, index));
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
