package io.tercel.server.engine.speculation;

/**
 * How a drafted token was found, as a small number: behind how long a match, how often the match
 * was there, and what share of the times it went on so. What each kind is worth is counted ({@link
 * Acceptance}), not supposed.
 */
final class Kind {
  /** Upper bounds of the lengths of a match that are not told apart. */
  private static final int[] LENGTHS = {1, 2, 3, 4, 6, 9};

  /** Upper bounds of the times that are not told apart. */
  private static final int[] TIMES = {1, 3, 9};

  /** Upper bounds of the shares that are not told apart. */
  private static final double[] SHARES = {0.35, 0.55, 0.75, 0.9, 0.97};

  private static final int LENGTH_CLASSES = LENGTHS.length + 1;
  private static final int TIMES_CLASSES = TIMES.length + 1;
  private static final int SHARE_CLASSES = SHARES.length + 1;
  private static final int COUNTED = LENGTH_CLASSES * TIMES_CLASSES * SHARE_CLASSES;

  static final int COUNT = COUNTED + LENGTH_CLASSES;

  private Kind() {}

  /** Found in the sequence's own text behind a match of that length. */
  static int own(int length) {
    return COUNTED + lengthClass(length);
  }

  /** Found so often behind a match of that length, of all that was ever found there. */
  static int counted(int length, int times, int ofAll) {
    double share = (double) times / ofAll;
    int shareClass = 0;
    while (shareClass < SHARES.length && share > SHARES[shareClass]) {
      shareClass++;
    }
    return (shareClass * TIMES_CLASSES + classOf(TIMES, ofAll)) * LENGTH_CLASSES
        + lengthClass(length);
  }

  /** What it is taken to be worth before anything was counted. */
  static double prior(int kind) {
    double byLength = 0.2 + 0.1 * (kind % LENGTH_CLASSES);
    if (kind >= COUNTED) {
      return byLength;
    }
    int shareClass = kind / (LENGTH_CLASSES * TIMES_CLASSES);
    int timesClass = kind / LENGTH_CLASSES % TIMES_CLASSES;
    double share = (shareClass + 0.5) / SHARE_CLASSES;
    double weight = (timesClass + 1.0) / (TIMES_CLASSES + 1);
    return weight * share + (1 - weight) * byLength * share;
  }

  private static int lengthClass(int length) {
    return classOf(LENGTHS, length);
  }

  private static int classOf(int[] bounds, int value) {
    int c = 0;
    while (c < bounds.length && value > bounds[c]) {
      c++;
    }
    return c;
  }
}
