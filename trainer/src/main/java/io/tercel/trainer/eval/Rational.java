package io.tercel.trainer.eval;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import org.jspecify.annotations.Nullable;

/**
 * An exact fraction in lowest terms, the denominator positive. Operations answer null when what
 * comes out is too large to be an answer.
 */
record Rational(BigInteger numerator, BigInteger denominator) {
  private static final int MAX_BITS = 8192;

  static @Nullable Rational of(BigInteger numerator, BigInteger denominator) {
    if (denominator.signum() == 0) {
      return null;
    }
    BigInteger gcd = numerator.gcd(denominator);
    if (denominator.signum() < 0) {
      gcd = gcd.negate();
    }
    Rational reduced = new Rational(numerator.divide(gcd), denominator.divide(gcd));
    return reduced.numerator.bitLength() + reduced.denominator.bitLength() > MAX_BITS
        ? null
        : reduced;
  }

  static @Nullable Rational of(BigDecimal value) {
    return value.scale() <= 0
        ? of(value.toBigIntegerExact(), BigInteger.ONE)
        : of(value.unscaledValue(), BigInteger.TEN.pow(value.scale()));
  }

  @Nullable Rational plus(Rational other) {
    return of(
        numerator.multiply(other.denominator).add(other.numerator.multiply(denominator)),
        denominator.multiply(other.denominator));
  }

  @Nullable Rational times(Rational other) {
    return of(numerator.multiply(other.numerator), denominator.multiply(other.denominator));
  }

  /** One over this; null of zero. */
  @Nullable Rational inverse() {
    return of(denominator, numerator);
  }

  Rational negate() {
    return new Rational(numerator.negate(), denominator);
  }

  /** A whole power; null if it is too large, or zero to a negative power. */
  @Nullable Rational power(int exponent) {
    long bits = (long) Math.max(numerator.bitLength(), denominator.bitLength());
    int times = Math.abs(exponent);
    if (bits * times > MAX_BITS) {
      return null;
    }
    return exponent >= 0
        ? of(numerator.pow(times), denominator.pow(times))
        : of(denominator.pow(times), numerator.pow(times));
  }

  /** The exact square root, if it is a fraction too. */
  @Nullable Rational squareRoot() {
    if (numerator.signum() < 0) {
      return null;
    }
    BigInteger[] top = numerator.sqrtAndRemainder();
    BigInteger[] bottom = denominator.sqrtAndRemainder();
    return top[1].signum() == 0 && bottom[1].signum() == 0 ? of(top[0], bottom[0]) : null;
  }

  boolean isWhole() {
    return denominator.equals(BigInteger.ONE);
  }

  double toDouble() {
    return new BigDecimal(numerator)
        .divide(new BigDecimal(denominator), MathContext.DECIMAL64)
        .doubleValue();
  }
}
