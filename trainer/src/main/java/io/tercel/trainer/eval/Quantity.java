package io.tercel.trainer.eval;

import java.math.BigInteger;
import org.jspecify.annotations.Nullable;

/**
 * What an expression comes to.
 *
 * @param exact the value as a fraction; null of what is irrational
 * @param decimal whether it was written with a decimal point, and so may be rounded
 */
record Quantity(double value, @Nullable Rational exact, boolean decimal) {
  /** Half a unit in the fifth place. */
  private static final double FIVE_PLACES = 5e-6;

  /** So that small numbers aren't all equal: three digits must agree too. */
  private static final double THREE_DIGITS = 1e-3;

  private static final double ROUNDING = 1e-12;

  static Quantity of(Rational exact, boolean decimal) {
    return new Quantity(exact.toDouble(), exact, decimal);
  }

  static Quantity irrational(double value, boolean decimal) {
    return new Quantity(value, null, decimal);
  }

  /**
   * Whether two quantities are the same answer: exactly, where both are fractions without a decimal
   * point; else to five places.
   */
  boolean same(Quantity other) {
    if (exact != null
        && other.exact != null
        && (exact.equals(other.exact) || !(decimal || other.decimal))) {
      return exact.equals(other.exact);
    }
    if (value == other.value) {
      return true; // Also of two infinities.
    }
    double largest = Math.max(Math.abs(value), Math.abs(other.value));
    double difference = Math.abs(value - other.value);
    return Double.isFinite(largest)
        && (difference <= largest * ROUNDING
            || (difference <= FIVE_PLACES && difference <= largest * THREE_DIGITS));
  }

  Quantity percent() {
    Rational hundredth = new Rational(BigInteger.ONE, BigInteger.valueOf(100));
    Rational part = exact == null ? null : exact.times(hundredth);
    return part == null ? irrational(value / 100, decimal) : of(part, decimal);
  }
}
