package io.tercel.server.engine.speculation;

/**
 * How a drafted token was found, as a small number: behind how long a match, and how often what was
 * matched went on so. What each kind is worth is counted ({@link Acceptance}), not supposed.
 */
final class Kind {
  /** Upper bounds of the lengths of a match that are not told apart. */
  private static final int[] LENGTHS = {1, 2, 3, 5, 8};

  private static final int LENGTH_CLASSES = LENGTHS.length + 1;

  /** Upper bounds of the shares that are not told apart. */
  private static final double[] SHARES = {0.4, 0.6, 0.8, 0.95};

  private static final int SHARE_CLASSES = SHARES.length + 1;

  static final int COUNT = LENGTH_CLASSES * (1 + SHARE_CLASSES);

  private Kind() {}

  /** Found once behind a match of that length. */
  static int single(int length) {
    return lengthClass(length);
  }

  /** Found behind a match of that length, as a share of all that was ever found there. */
  static int counted(int length, int times, int ofAll) {
    double share = (double) times / ofAll;
    int shareClass = 0;
    while (shareClass < SHARES.length && share > SHARES[shareClass]) {
      shareClass++;
    }
    return LENGTH_CLASSES * (1 + shareClass) + lengthClass(length);
  }

  /** What it is taken to be worth before anything was counted. */
  static double prior(int kind) {
    int lengthClass = kind % LENGTH_CLASSES;
    int shareClass = kind / LENGTH_CLASSES - 1;
    double byLength = 0.3 + 0.1 * lengthClass;
    return shareClass < 0 ? byLength : byLength * (0.4 + 0.15 * shareClass);
  }

  private static int lengthClass(int length) {
    int c = 0;
    while (c < LENGTHS.length && length > LENGTHS[c]) {
      c++;
    }
    return c;
  }
}
