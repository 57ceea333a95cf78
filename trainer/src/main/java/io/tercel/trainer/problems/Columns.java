package io.tercel.trainer.problems;

/**
 * Sums, differences and products worked column by column, as on paper. Each line ends in the digits
 * written so far, so that the last one ends in the result.
 *
 * <pre>
 * 412+358
 * 2+8=10 write 0 carry 1
 * 1+5+1=7 write 70
 * 4+3=7 write 770
 * </pre>
 */
final class Columns {
  private Columns() {}

  static String add(int a, int b) {
    StringBuilder out = new StringBuilder().append(a).append('+').append(b);
    String written = "";
    int carry = 0;
    for (int x = a, y = b; x > 0 || y > 0 || written.isEmpty(); x /= 10, y /= 10) {
      boolean last = x < 10 && y < 10;
      out.append('\n').append(written.isEmpty() ? x % 10 + "+" + y % 10 : terms(x, y));
      int sum = x % 10 + y % 10 + carry;
      if (carry > 0) {
        out.append("+1");
      }
      if (carry > 0 || (x > 0 && y > 0) || written.isEmpty()) {
        out.append('=').append(sum);
      }
      carry = last ? 0 : sum / 10;
      written = (last ? sum : sum % 10) + written;
      write(out, written, " carry ", carry);
    }
    return out.toString();
  }

  /** The column's digits; a number that has run out is left out. */
  private static String terms(int x, int y) {
    if (x == 0 && y > 0) {
      return Integer.toString(y % 10);
    }
    return y == 0 && x > 0 ? Integer.toString(x % 10) : x % 10 + "+" + y % 10;
  }

  /** a - b for a >= b. */
  static String subtract(int a, int b) {
    StringBuilder out = new StringBuilder().append(a).append('-').append(b);
    String written = "";
    int borrow = 0;
    for (int x = a, y = b; x > 0 || written.isEmpty(); x /= 10, y /= 10) {
      int difference = x % 10 - y % 10 - borrow;
      int top = x % 10 + (difference < 0 ? 10 : 0);
      out.append('\n').append(top);
      boolean bare = y == 0 && borrow == 0 && !written.isEmpty();
      if (!bare) {
        out.append('-').append(y % 10);
        out.append(borrow > 0 ? "-1" : "").append('=').append(Math.floorMod(difference, 10));
      }
      borrow = difference < 0 ? 1 : 0;
      written = Math.floorMod(difference, 10) + written;
      write(out, written, " borrow ", borrow);
    }
    if (written.length() > 1 && written.startsWith("0")) {
      out.append('\n').append(written).append('=').append(a - b);
    }
    return out.toString();
  }

  /** a * b for a one-digit b. */
  static String multiply(int a, int b) {
    StringBuilder out = new StringBuilder().append(a).append('*').append(b);
    String written = "";
    int carry = 0;
    for (int x = a; x > 0 || written.isEmpty(); x /= 10) {
      int product = x % 10 * b;
      out.append('\n').append(x % 10).append('*').append(b).append('=').append(product);
      if (carry > 0) {
        out.append('+').append(carry).append('=').append(product + carry);
      }
      product += carry;
      boolean last = x < 10;
      carry = last ? 0 : product / 10;
      written = (last ? product : product % 10) + written;
      write(out, written, " carry ", carry);
    }
    return out.toString();
  }

  /** Long division of a by a one-digit m; the last line ends in the remainder. */
  static String divide(int a, int m) {
    StringBuilder out = new StringBuilder().append(a).append('/').append(m);
    int rest = 0;
    for (char digit : Integer.toString(a).toCharArray()) {
      int part = rest * 10 + (digit - '0');
      rest = part % m;
      out.append('\n').append(part).append('/').append(m).append('=').append(part / m);
      out.append(" rest ").append(rest);
    }
    return out.toString();
  }

  private static void write(StringBuilder out, String written, String word, int carry) {
    out.append(" write ").append(written);
    if (carry > 0) {
      out.append(word).append(carry);
    }
  }
}
