package io.tercel.trainer.eval;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Evaluates an answer's expression, in LaTeX or plain: numbers with thousands separators, the four
 * operations (a factor may follow a factor), fractions, mixed numbers, powers, roots, pi, infinity.
 * Anything else is no expression. Reads {@link AnswerText#clean cleaned} text.
 */
final class ExpressionParser {
  private static final int MAX_LENGTH = 2000;
  private static final int MAX_DEPTH = 100;
  private static final Pattern NUMBER =
      Pattern.compile(
          "(?:\\d{1,3}(?:,\\d{3})+(?![\\d,])(?:\\.\\d+)?|\\d+(?:\\.\\d*)?|\\.\\d+)"
              + "(?:[eE][+-]?\\d{1,3}(?!\\d))?");
  private static final Pattern REPEATING =
      Pattern.compile("(\\d{0,50})\\.(\\d{0,50})\\\\overline\\s*\\{(\\d{1,50})\\}");
  private static final int MAX_FACTORIAL = 200;
  private static final Pattern WHOLE = Pattern.compile("\\d+");
  private static final Pattern PLAIN_FRACTION =
      Pattern.compile("\\s+(\\d+)\\s*/\\s*(\\d+)(?![\\d.])");
  private static final Pattern LATEX_FRACTION =
      Pattern.compile(
          "\\s*\\\\frac\\s*(?:\\{\\s*(\\d+)\\s*\\}|(\\d))\\s*(?:\\{\\s*(\\d+)\\s*\\}|(\\d))");

  private final String text;
  private int at;
  private int depth;

  private ExpressionParser(String text) {
    this.text = text;
  }

  /** The value of the whole text. */
  static Optional<Quantity> evaluate(String text) {
    if (text.isBlank() || text.length() > MAX_LENGTH) {
      return Optional.empty();
    }
    try {
      ExpressionParser parser = new ExpressionParser(text.strip());
      Quantity value = parser.sum();
      parser.blanks();
      return parser.at == parser.text.length() && !Double.isNaN(value.value())
          ? Optional.of(value)
          : Optional.empty();
    } catch (NoExpression e) {
      return Optional.empty();
    }
  }

  private Quantity sum() throws NoExpression {
    if (++depth > MAX_DEPTH) {
      throw new NoExpression();
    }
    Quantity total = signedProduct();
    while (true) {
      blanks();
      if (take("+")) {
        total = add(total, product());
      } else if (take("-")) {
        total = add(total, negate(product()));
      } else {
        depth--;
        return total;
      }
    }
  }

  private Quantity signedProduct() throws NoExpression {
    blanks();
    if (take("-")) {
      return negate(product());
    }
    take("+");
    return product();
  }

  private Quantity product() throws NoExpression {
    Quantity total = power();
    while (true) {
      blanks();
      if (take("*")) {
        total = multiply(total, power());
      } else if (take("/")) {
        total = divide(total, power());
      } else if (at < text.length() && "\\({".indexOf(text.charAt(at)) >= 0) {
        total = multiply(total, power());
      } else {
        return total;
      }
    }
  }

  private Quantity power() throws NoExpression {
    Quantity base = base();
    blanks();
    if (take("!")) {
      base = factorial(base);
      blanks();
    }
    if (!take("^")) {
      return base;
    }
    blanks();
    boolean negative = take("-");
    Quantity exponent = base();
    return raise(base, negative ? negate(exponent) : exponent);
  }

  private Quantity base() throws NoExpression {
    blanks();
    if (take("\\frac")) {
      Quantity top = argument();
      return divide(top, argument());
    }
    if (take("\\sqrt")) {
      blanks();
      if (!take("[")) {
        return root(argument());
      }
      Quantity order = sum();
      expect("]");
      return raise(
          argument(),
          divide(Quantity.of(new Rational(BigInteger.ONE, BigInteger.ONE), false), order));
    }
    if (takeWord("\\pi") || takeWord("pi")) {
      return Quantity.irrational(Math.PI, false);
    }
    if (takeWord("\\infty")) {
      return Quantity.irrational(Double.POSITIVE_INFINITY, false);
    }
    if (takeWord("sqrt")) {
      expect("(");
      Quantity value = sum();
      expect(")");
      return root(value);
    }
    for (String pair : new String[] {"()", "{}"}) {
      if (take(pair.substring(0, 1))) {
        Quantity value = sum();
        expect(pair.substring(1));
        return value;
      }
    }
    return number();
  }

  /** What a command takes: a group, a command, or one digit. */
  private Quantity argument() throws NoExpression {
    blanks();
    if (at < text.length() && Character.isDigit(text.charAt(at))) {
      return whole(text.substring(at, ++at));
    }
    if (at < text.length() && "{\\".indexOf(text.charAt(at)) >= 0) {
      if (++depth > MAX_DEPTH) {
        throw new NoExpression();
      }
      Quantity value = base();
      depth--;
      return value;
    }
    throw new NoExpression();
  }

  private Quantity number() throws NoExpression {
    Matcher repeating = REPEATING.matcher(text).region(at, text.length());
    if (repeating.lookingAt()) {
      at = repeating.end();
      return repeating(repeating.group(1), repeating.group(2), repeating.group(3));
    }
    Matcher matcher = NUMBER.matcher(text).region(at, text.length());
    if (!matcher.lookingAt()) {
      throw new NoExpression();
    }
    at = matcher.end();
    String written = matcher.group();
    boolean decimal = written.indexOf('.') >= 0;
    Rational exact = Rational.of(new BigDecimal(written.replace(",", "").replaceAll("\\.$", "")));
    if (exact == null) {
      throw new NoExpression();
    }
    return WHOLE.matcher(written).matches() ? mixed(exact) : Quantity.of(exact, decimal);
  }

  /** Such as 0.1666…, exactly: (16 - 1) / 90. */
  private static Quantity repeating(String whole, String once, String again) throws NoExpression {
    BigInteger all = new BigInteger("0" + whole + once + again);
    BigInteger less = new BigInteger("0" + whole + once);
    BigInteger nines = BigInteger.TEN.pow(again.length()).subtract(BigInteger.ONE);
    Rational value =
        Rational.of(all.subtract(less), nines.multiply(BigInteger.TEN.pow(once.length())));
    if (value == null) {
      throw new NoExpression();
    }
    return Quantity.of(value, false);
  }

  private static Quantity factorial(Quantity of) throws NoExpression {
    if (of.exact() == null
        || !of.exact().isWhole()
        || of.exact().numerator().signum() < 0
        || of.value() > MAX_FACTORIAL) {
      throw new NoExpression();
    }
    BigInteger product = BigInteger.ONE;
    for (int i = 2; i <= of.exact().numerator().intValueExact(); i++) {
      product = product.multiply(BigInteger.valueOf(i));
    }
    return Quantity.of(new Rational(product, BigInteger.ONE), false);
  }

  /** A whole number and the fraction that may follow it, which is added: 1 1/2 is a half more. */
  private Quantity mixed(Rational whole) {
    for (Pattern pattern : new Pattern[] {PLAIN_FRACTION, LATEX_FRACTION}) {
      Matcher matcher = pattern.matcher(text).region(at, text.length());
      if (matcher.lookingAt()) {
        boolean plain = pattern == PLAIN_FRACTION;
        String top = group(matcher, plain ? 1 : 1, plain ? 1 : 2);
        String bottom = group(matcher, plain ? 2 : 3, plain ? 2 : 4);
        Rational part = Rational.of(new BigInteger(top), new BigInteger(bottom));
        Rational sum = part == null ? null : whole.plus(part);
        if (sum != null) {
          at = matcher.end();
          return Quantity.of(sum, false);
        }
      }
    }
    return Quantity.of(whole, false);
  }

  private static String group(Matcher matcher, int first, int second) {
    String found = matcher.group(first);
    return found != null ? found : matcher.group(second);
  }

  private static Quantity whole(String digits) {
    return Quantity.of(new Rational(new BigInteger(digits), BigInteger.ONE), false);
  }

  private static Quantity add(Quantity a, Quantity b) {
    boolean decimal = a.decimal() || b.decimal();
    Rational exact = a.exact() == null || b.exact() == null ? null : a.exact().plus(b.exact());
    return exact == null
        ? Quantity.irrational(a.value() + b.value(), decimal)
        : Quantity.of(exact, decimal);
  }

  private static Quantity negate(Quantity a) {
    return a.exact() == null
        ? Quantity.irrational(-a.value(), a.decimal())
        : Quantity.of(a.exact().negate(), a.decimal());
  }

  private static Quantity multiply(Quantity a, Quantity b) {
    boolean decimal = a.decimal() || b.decimal();
    Rational exact = a.exact() == null || b.exact() == null ? null : a.exact().times(b.exact());
    return exact == null
        ? Quantity.irrational(a.value() * b.value(), decimal)
        : Quantity.of(exact, decimal);
  }

  private static Quantity divide(Quantity a, Quantity b) throws NoExpression {
    if (b.value() == 0) {
      throw new NoExpression();
    }
    Rational inverse = b.exact() == null ? null : b.exact().inverse();
    return multiply(
        a,
        inverse == null
            ? Quantity.irrational(1 / b.value(), b.decimal())
            : Quantity.of(inverse, b.decimal()));
  }

  private static Quantity root(Quantity a) throws NoExpression {
    if (a.value() < 0) {
      throw new NoExpression();
    }
    Rational exact = a.exact() == null ? null : a.exact().squareRoot();
    return exact == null
        ? Quantity.irrational(Math.sqrt(a.value()), a.decimal())
        : Quantity.of(exact, a.decimal());
  }

  private static Quantity raise(Quantity base, Quantity exponent) throws NoExpression {
    boolean decimal = base.decimal() || exponent.decimal();
    Rational times = exponent.exact();
    if (base.exact() != null
        && times != null
        && times.isWhole()
        && times.numerator().bitLength() < 15) {
      Rational exact = base.exact().power(times.numerator().intValueExact());
      if (exact == null) {
        throw new NoExpression(); // Too large to be compared, or zero to a negative power.
      }
      return Quantity.of(exact, decimal);
    }
    double value = Math.pow(base.value(), exponent.value());
    if (!Double.isFinite(value)) {
      throw new NoExpression();
    }
    return Quantity.irrational(value, decimal);
  }

  private void blanks() {
    while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
  }

  private boolean take(String token) {
    if (!text.startsWith(token, at)) {
      return false;
    }
    at += token.length();
    return true;
  }

  private boolean takeWord(String word) {
    int end = at + word.length();
    if (end < text.length() && Character.isLetter(text.charAt(end))) {
      return false;
    }
    return take(word);
  }

  private void expect(String token) throws NoExpression {
    blanks();
    if (!take(token)) {
      throw new NoExpression();
    }
  }

  /** The text is something else. */
  private static final class NoExpression extends Exception {
    private static final long serialVersionUID = 1;

    NoExpression() {
      super(null, null, false, false);
    }
  }
}
