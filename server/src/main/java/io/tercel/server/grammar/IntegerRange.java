package io.tercel.server.grammar;

/** Whole numbers between two bounds, written without leading zeros. */
final class IntegerRange {
  /** Digits of a number; all of so many fit a 64-bit integer. */
  static final int MAX_DIGITS = 18;

  static final long MAX = 999_999_999_999_999_999L;

  private final Nfa nfa;

  private IntegerRange(Nfa nfa) {
    this.nfa = nfa;
  }

  /**
   * Writes it from a node on; bounds beyond {@link #MAX} are cut to it.
   *
   * @return where it ends
   */
  static int write(Nfa nfa, int from, long min, long max) {
    int to = nfa.node();
    IntegerRange range = new IntegerRange(nfa);
    long low = Math.max(min, -MAX);
    long high = Math.min(max, MAX);
    if (high >= 0 && low <= high) {
      range.positive(from, Math.max(0, low), high, to);
    }
    if (low < 0 && low <= high) {
      int minus = nfa.node();
      nfa.bytes(from, '-', '-', minus);
      range.positive(minus, Math.max(1, -high), -low, to);
    }
    return to;
  }

  private void positive(int from, long low, long high, int to) {
    long power = 1;
    for (int digits = 1; digits <= MAX_DIGITS; digits++, power *= 10) {
      long first = Math.max(low, digits == 1 ? 0 : power);
      long last = Math.min(high, power * 10 - 1);
      if (first <= last) {
        sameLength(from, Long.toString(first), Long.toString(last), to);
      }
    }
  }

  /** Follows both bounds at once while the digits so far are theirs. */
  private void sameLength(int from, String low, String high, int to) {
    int both = from;
    int onLow = -1;
    int onHigh = -1;
    int free = -1;
    for (int i = 0; i < low.length(); i++) {
      boolean last = i == low.length() - 1;
      int l = low.charAt(i);
      int h = high.charAt(i);
      int nextLow = last ? to : nfa.node();
      int nextHigh = last ? to : nfa.node();
      int nextFree = last ? to : nfa.node();
      int nextBoth = -1;
      if (both >= 0) {
        if (l == h) {
          nextBoth = last ? to : nfa.node();
          nfa.bytes(both, l, l, nextBoth);
        } else {
          nfa.bytes(both, l, l, nextLow);
          nfa.bytes(both, h, h, nextHigh);
          digits(both, l + 1, h - 1, nextFree);
        }
      }
      if (onLow >= 0) {
        nfa.bytes(onLow, l, l, nextLow);
        digits(onLow, l + 1, '9', nextFree);
      }
      if (onHigh >= 0) {
        nfa.bytes(onHigh, h, h, nextHigh);
        digits(onHigh, '0', h - 1, nextFree);
      }
      if (free >= 0) {
        digits(free, '0', '9', nextFree);
      }
      both = nextBoth;
      onLow = nextLow;
      onHigh = nextHigh;
      free = nextFree;
    }
  }

  private void digits(int from, int low, int high, int to) {
    if (low <= high) {
      nfa.bytes(from, low, high, to);
    }
  }
}
