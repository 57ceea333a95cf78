package io.tercel.trainer.problems;

import java.util.Random;

/** Random numbers as a function of (seed, stream, index), so that no generator's state is kept. */
public final class Seeds {
  private Seeds() {}

  /** A generator for one item; its algorithm is part of the Java specification. */
  public static Random random(long seed, long stream, long index) {
    return new Random(mix(mix(mix(seed) + stream) + index));
  }

  /** SplitMix64's finalizer. */
  static long mix(long z) {
    z += 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
