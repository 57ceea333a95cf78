package io.tercel.trainer.problems;

import java.util.List;
import java.util.Random;

/**
 * Which of two numbers is larger or smaller, digit by digit from the left. The work ends in what
 * each of them is, whatever was asked: a small model looks that up far better than it turns a sign
 * round.
 */
final class Comparison implements Family {
  private static final Wording LARGER =
      Wording.of(
          "Which is larger, @ or #?",
          "Which number is larger, @ or #?",
          "Which is greater, @ or #?",
          "Which is bigger, @ or #?",
          "What is the larger of @ and #?",
          "Compare @ and #. Which is larger?");
  private static final Wording SMALLER =
      Wording.of(
          "Which is smaller, @ or #?",
          "Which number is smaller, @ or #?",
          "Which is less, @ or #?",
          "What is the smaller of @ and #?",
          "Compare @ and #. Which is smaller?");
  private static final Wording IS_LARGER =
      Wording.of(
          "Is @ larger than #?",
          "Is @ greater than #?",
          "Is @ more than #?",
          "Is @ bigger than #?");
  private static final Wording IS_SMALLER = Wording.of("Is @ smaller than #?", "Is @ less than #?");

  @Override
  public String id() {
    return "compare";
  }

  @Override
  public Problem draw(Random random, int level) {
    int a = random.nextInt(level == 0 ? 100 : 1000);
    int b = a;
    while (b == a) {
      b = random.nextInt(3) == 0 ? near(random, a) : random.nextInt(level == 0 ? 100 : 1000);
    }
    String thinking = work(a, b);
    List<String> facts = List.of(id() + ":" + Math.min(a, b) + "," + Math.max(a, b));
    boolean larger = random.nextBoolean();
    if (random.nextInt(3) == 0) {
      String question = (larger ? IS_LARGER : IS_SMALLER).ask(random, a, b);
      return Problem.of(id(), question, thinking, larger == a > b ? "yes" : "no", facts);
    }
    String question = (larger ? LARGER : SMALLER).ask(random, a, b);
    int answer = larger ? Math.max(a, b) : Math.min(a, b);
    return Problem.of(id(), question, thinking, Integer.toString(answer), facts);
  }

  /** A number with the same first digits. */
  private static int near(Random random, int a) {
    int width = random.nextBoolean() ? 10 : 100;
    return a / width * width + random.nextInt(width);
  }

  private static String work(int a, int b) {
    String left = Integer.toString(a);
    String right = Integer.toString(b);
    StringBuilder out = new StringBuilder().append(a).append(" and ").append(b).append('\n');
    if (left.length() != right.length()) {
      out.append(left.length()).append(" digits and ").append(right.length()).append(" digits");
    } else {
      int i = 0;
      for (; left.charAt(i) == right.charAt(i); i++) {
        out.append(left.charAt(i)).append('=').append(right.charAt(i)).append('\n');
      }
      out.append(left.charAt(i)).append(a > b ? '>' : '<').append(right.charAt(i));
    }
    String first = a > b ? "larger " : "smaller ";
    String second = a > b ? " smaller " : " larger ";
    return out.append('\n').append(first).append(a).append(second).append(b).toString();
  }
}
