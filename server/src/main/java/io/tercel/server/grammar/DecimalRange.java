package io.tercel.server.grammar;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;

/**
 * Decimal numbers between two bounds, without exponents and of up to {@link #MAX_DIGITS} digits,
 * those of a whole part 0 not counted. So many a double tells apart: whoever reads the text as one
 * finds it on the same side of a bound. Zeros may end a fraction; there is no negative zero.
 */
final class DecimalRange {
  static final int MAX_DIGITS = 15;

  static final Bound LEAST = new Bound(BigDecimal.TEN.pow(MAX_DIGITS).negate(), false);
  static final Bound GREATEST = new Bound(BigDecimal.TEN.pow(MAX_DIGITS), false);

  private final Nfa nfa;
  private final int to;

  /** By how many digits may follow, where any do. */
  private final int[] tails = new int[MAX_DIGITS + 1];

  private boolean isEmpty = true;

  private DecimalRange(Nfa nfa) {
    this.nfa = nfa;
    this.to = nfa.node();
  }

  /** A bound, of texts or of their absolute values. */
  record Bound(BigDecimal value, boolean excluded) {
    /** The least number above it, or itself, that has so many fraction digits; scaled to whole. */
    private BigInteger ceiling(int fractionDigits) {
      BigInteger least = scaled(fractionDigits, RoundingMode.CEILING);
      return onIt(least, fractionDigits) ? least.add(BigInteger.ONE) : least;
    }

    private BigInteger floor(int fractionDigits) {
      BigInteger most = scaled(fractionDigits, RoundingMode.FLOOR);
      return onIt(most, fractionDigits) ? most.subtract(BigInteger.ONE) : most;
    }

    private BigInteger scaled(int fractionDigits, RoundingMode rounding) {
      return value.setScale(fractionDigits, rounding).unscaledValue();
    }

    /** Bounds may have more digits than doubles tell apart. */
    private boolean onIt(BigInteger scaled, int fractionDigits) {
      return excluded
          && new BigDecimal(scaled, fractionDigits).doubleValue() == value.doubleValue();
    }

    private Bound negated() {
      return new Bound(value.negate(), excluded);
    }
  }

  /**
   * Writes it from a node on.
   *
   * @return where it ends, or -1 if there is no such number
   */
  static int write(Nfa nfa, int from, Bound min, Bound max) {
    DecimalRange range = new DecimalRange(nfa);
    range.writeTails();
    Bound zero = new Bound(BigDecimal.ZERO, false);
    Bound aboveZero = new Bound(BigDecimal.ZERO, true);
    if (max.value().signum() >= 0) {
      range.positive(from, min.value().signum() < 0 ? zero : min, max);
    }
    if (min.value().signum() < 0) {
      int minus = nfa.node();
      nfa.bytes(from, '-', '-', minus);
      Bound least = max.value().signum() >= 0 ? aboveZero : max.negated();
      range.positive(minus, least, min.negated());
    }
    return range.isEmpty ? -1 : range.to;
  }

  private void writeTails() {
    int next = to;
    for (int i = 1; i < tails.length; i++) {
      tails[i] = nfa.node();
      nfa.epsilon(tails[i], to);
      nfa.bytes(tails[i], '0', '9', next);
      next = tails[i];
    }
    tails[0] = to;
  }

  private void positive(int from, Bound min, Bound max) {
    for (int whole = 0; whole <= MAX_DIGITS; whole++) {
      int fraction = MAX_DIGITS - whole;
      BigInteger least = whole == 0 ? BigInteger.ZERO : BigInteger.TEN.pow(MAX_DIGITS - 1);
      BigInteger low = min.ceiling(fraction).max(least);
      BigInteger high =
          max.floor(fraction).min(BigInteger.TEN.pow(MAX_DIGITS).subtract(BigInteger.ONE));
      if (low.compareTo(high) <= 0) {
        isEmpty = false;
        int wholeDigits = Math.max(1, whole);
        sameLength(
            from,
            padded(low, wholeDigits + fraction),
            padded(high, wholeDigits + fraction),
            wholeDigits);
      }
    }
  }

  private static String padded(BigInteger number, int length) {
    String digits = number.toString();
    return "0".repeat(length - digits.length()) + digits;
  }

  /** A digit's place: which bounds' digits the ones so far are. */
  private record Place(int both, int onLow, int onHigh, int free) {}

  /** Follows both bounds at once while the digits so far are theirs. */
  private void sameLength(int from, String low, String high, int wholeDigits) {
    int length = low.length();
    int lastOfLow = length; // behind it are zeros only
    while (lastOfLow > 0 && low.charAt(lastOfLow - 1) == '0') {
      lastOfLow--;
    }
    Place at = new Place(from, -1, -1, -1);
    for (int i = 0; i < length; i++) {
      if (i == wholeDigits) {
        at = behindPoint(at, length - i);
      }
      at = digit(at, low.charAt(i), high.charAt(i), i < wholeDigits ? -1 : length - i - 1);
      if (i + 1 >= wholeDigits) {
        end(at.free());
        end(at.onHigh());
        if (i + 1 >= lastOfLow) { // what is left out is zeros
          end(at.both());
          end(at.onLow());
        }
      }
    }
  }

  private void end(int node) {
    if (node >= 0 && node != to) {
      nfa.epsilon(node, to);
    }
  }

  private Place behindPoint(Place at, int digitsLeft) {
    if (at.free() >= 0) {
      int first = nfa.node();
      nfa.bytes(at.free(), '.', '.', first);
      nfa.bytes(first, '0', '9', tails[digitsLeft - 1]);
    }
    return new Place(point(at.both()), point(at.onLow()), point(at.onHigh()), -1);
  }

  private int point(int node) {
    if (node < 0) {
      return -1;
    }
    int next = nfa.node();
    nfa.bytes(node, '.', '.', next);
    return next;
  }

  /**
   * Reads a digit.
   *
   * @param tail how many may follow where no bound is near; -1 if it is one of the whole part
   */
  private Place digit(Place at, int l, int h, int tail) {
    int both = -1;
    int onLow = -1;
    int onHigh = -1;
    int free = tail >= 0 ? tails[tail] : nfa.node();
    if (at.both() >= 0 && l == h) {
      both = read(at.both(), l, l, nfa.node());
    } else if (at.both() >= 0) {
      onLow = read(at.both(), l, l, nfa.node());
      onHigh = read(at.both(), h, h, nfa.node());
      read(at.both(), l + 1, h - 1, free);
    }
    if (at.onLow() >= 0) {
      onLow = read(at.onLow(), l, l, nfa.node());
      read(at.onLow(), l + 1, '9', free);
    }
    if (at.onHigh() >= 0) {
      onHigh = read(at.onHigh(), h, h, nfa.node());
      read(at.onHigh(), '0', h - 1, free);
    }
    if (at.free() >= 0) {
      read(at.free(), '0', '9', free);
    }
    return new Place(both, onLow, onHigh, tail >= 0 ? -1 : free);
  }

  private int read(int from, int low, int high, int next) {
    if (low <= high) {
      nfa.bytes(from, low, high, next);
    }
    return next;
  }
}
