package io.tercel.server.grammar;

import static java.nio.charset.StandardCharsets.US_ASCII;

/**
 * Whole numbers between two bounds, written without leading zeros; all of them or the multiples of
 * one.
 */
final class IntegerRange {
  /** Digits of a number; all of so many fit a 64-bit integer. */
  static final int MAX_DIGITS = 18;

  static final long MAX = 999_999_999_999_999_999L;

  /** The largest factor without zeros at its end: each remainder has nodes of its own. */
  static final int MAX_FACTOR = 100;

  private final Nfa nfa;
  private final int factor;
  private final int to;

  /** By how many digits may follow and what the ones so far leave when divided by the factor. */
  private final int[][] tails = new int[MAX_DIGITS][0];

  private IntegerRange(Nfa nfa, int factor, int to) {
    this.nfa = nfa;
    this.factor = factor;
    this.to = to;
  }

  /**
   * Writes it from a node on; bounds beyond {@link #MAX} are cut to it.
   *
   * @param step what the numbers are multiples of: up to {@link #MAX_FACTOR}, times a power of ten
   * @return where it ends, or -1 if there is no such number
   */
  static int write(Nfa nfa, int from, long min, long max, long step) {
    int zeros = 0;
    long factor = step;
    long low = Math.max(min, -MAX);
    long high = Math.min(max, MAX);
    for (; factor % 10 == 0; factor /= 10, zeros++) {
      low = Math.ceilDiv(low, 10);
      high = Math.floorDiv(high, 10);
    }
    if (Math.ceilDiv(low, factor) > Math.floorDiv(high, factor)) {
      return -1;
    }
    int to = nfa.node();
    int digits = zeros == 0 ? to : nfa.node();
    IntegerRange range = new IntegerRange(nfa, Math.toIntExact(factor), digits);
    if (low <= 0 && high >= 0) {
      nfa.bytes(from, '0', '0', to);
    }
    if (high > 0) {
      range.positive(from, Math.max(1, low), high);
    }
    if (low < 0) {
      int minus = nfa.node();
      nfa.bytes(from, '-', '-', minus);
      range.positive(minus, Math.max(1, -high), -low);
    }
    if (zeros > 0) {
      nfa.epsilon(nfa.literal(digits, "0".repeat(zeros).getBytes(US_ASCII)), to);
    }
    return to;
  }

  private void positive(int from, long low, long high) {
    long power = 1;
    for (int digits = 1; digits <= MAX_DIGITS; digits++, power *= 10) {
      long first = Math.max(low, power);
      long last = Math.min(high, power * 10 - 1);
      if (first <= last) {
        sameLength(from, Long.toString(first), Long.toString(last));
      }
    }
  }

  /** Follows both bounds at once while the digits so far are theirs. */
  private void sameLength(int from, String low, String high) {
    int both = from;
    int onLow = -1;
    int onHigh = -1;
    int lowRest = 0; // what the digits so far leave
    int highRest = 0;
    for (int i = 0; i < low.length(); i++) {
      int left = low.length() - 1 - i;
      int l = low.charAt(i);
      int h = high.charAt(i);
      int nextLowRest = rest(lowRest, l);
      int nextHighRest = rest(highRest, h);
      int nextBoth = -1;
      int nextLow = -1;
      int nextHigh = -1;
      if (both >= 0 && l == h) {
        nextBoth = next(left, nextLowRest);
        read(both, l, nextBoth);
      } else if (both >= 0) {
        nextLow = next(left, nextLowRest);
        nextHigh = next(left, nextHighRest);
        read(both, l, nextLow);
        read(both, h, nextHigh);
        free(both, lowRest, l + 1, h - 1, left);
      }
      if (onLow >= 0) {
        nextLow = next(left, nextLowRest);
        read(onLow, l, nextLow);
        free(onLow, lowRest, l + 1, '9', left);
      }
      if (onHigh >= 0) {
        nextHigh = next(left, nextHighRest);
        read(onHigh, h, nextHigh);
        free(onHigh, highRest, '0', h - 1, left);
      }
      both = nextBoth;
      onLow = nextLow;
      onHigh = nextHigh;
      lowRest = nextLowRest;
      highRest = nextHighRest;
    }
  }

  private int rest(int before, int digit) {
    return (10 * before + digit - '0') % factor;
  }

  /** A node on a bound's way; behind the last digit the end, or -1 where that is no multiple. */
  private int next(int left, int rest) {
    return left > 0 ? nfa.node() : rest == 0 ? to : -1;
  }

  private void read(int from, int digit, int next) {
    if (next >= 0) {
      nfa.bytes(from, digit, digit, next);
    }
  }

  /** Reads a digit behind which any may follow. */
  private void free(int from, int rest, int low, int high, int left) {
    if (factor == 1 && low <= high) {
      nfa.bytes(from, low, high, tail(left, 0));
      return;
    }
    for (int digit = low; digit <= high; digit++) {
      int next = rest(rest, digit);
      if (left > 0 || next == 0) {
        nfa.bytes(from, digit, digit, tail(left, next));
      }
    }
  }

  private int tail(int left, int rest) {
    if (left == 0) {
      return to;
    }
    int[] row = tails[left];
    if (row.length == 0) {
      row = new int[factor];
      for (int r = 0; r < factor; r++) {
        row[r] = nfa.node();
      }
      tails[left] = row;
      for (int r = 0; r < factor; r++) {
        free(row[r], r, '0', '9', left - 1);
      }
    }
    return row[rest];
  }
}
