package io.tercel.trainer.problems;

import java.util.List;
import java.util.Locale;
import java.util.Random;

/** Whole numbers, mostly of three digits: sums, differences, products by one digit, remainders. */
enum Arithmetic implements Family {
  ADD(
      Wording.of(
          "What is @ + #?",
          "what is @ + #",
          "What is @+#?",
          "@ + #",
          "@+#",
          "@ + # = ?",
          "@ + # =",
          "What is @ plus #?",
          "@ plus #",
          "Compute @ + #.",
          "Calculate @ + #.",
          "Calculate @ plus #.",
          "Add @ and #.",
          "Please add @ and #.",
          "Can you add @ and #?",
          "What is the sum of @ and #?",
          "Find the sum of @ and #.",
          "How much is @ + #?",
          "How much is @ plus #?",
          "What's @ + #?")),
  SUB(
      Wording.of(
          "What is @ - #?",
          "what is @ - #",
          "What is @-#?",
          "@ - #",
          "@-#",
          "@ - # = ?",
          "@ - # =",
          "What is @ minus #?",
          "@ minus #",
          "Compute @ - #.",
          "Calculate @ - #.",
          "Calculate @ minus #.",
          "Subtract # from @.",
          "Please subtract # from @.",
          "Take # away from @.",
          "What is the difference between @ and #?",
          "Find the difference between @ and #.",
          "How much is @ - #?",
          "How much is @ minus #?",
          "What's @ - #?")),
  MUL(
      Wording.of(
          "What is @ * #?",
          "What is @ times #?",
          "Compute @ times #.",
          "what is @ * #",
          "What is @ x #?",
          "@ * #",
          "@*#",
          "@ x #",
          "@ times #",
          "Compute @ * #.",
          "Calculate @ * #.",
          "Multiply @ by #.",
          "Please multiply @ by #.",
          "What is the product of @ and #?",
          "How much is @ times #?",
          "What's @ * #?")),
  REM(
      Wording.of(
          "What is the remainder when @ is divided by #?",
          "What is @ mod #?",
          "@ mod #",
          "Compute @ mod #.",
          "Find the remainder of @ divided by #.",
          "Divide @ by #. What is the remainder?",
          "What remains when @ is divided by #?",
          "What's @ mod #?"));

  private final Wording wording;

  Arithmetic(Wording wording) {
    this.wording = wording;
  }

  @Override
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Problem draw(Random random, int level) {
    int a = number(random, level);
    return switch (this) {
      case ADD -> {
        int b = number(random, level);
        yield problem(random, a, b, Columns.add(a, b), a + b);
      }
      case SUB -> {
        int b = number(random, level);
        boolean negative = a != b && random.nextInt(10) == 0;
        int more = Math.max(a, b);
        int less = Math.min(a, b);
        yield negative
            ? negative(random, less, more)
            : problem(random, more, less, Columns.subtract(more, less), more - less);
      }
      case MUL -> {
        int b = random.nextInt(2, 10);
        yield problem(random, a, b, Columns.multiply(a, b), a * b);
      }
      case REM -> {
        int m = random.nextInt(2, 10);
        yield problem(random, a, m, Columns.divide(a, m), a % m);
      }
    };
  }

  /** less - more, by way of more - less. */
  private Problem negative(Random random, int less, int more) {
    String thinking = less + "-" + more + "\n" + less + "<" + more + "\n";
    return Problem.of(
        id(),
        wording.ask(random, less, more),
        thinking + Columns.subtract(more, less),
        Integer.toString(less - more),
        List.of(fact(less, more), fact(more, less)));
  }

  private Problem problem(Random random, int a, int b, String thinking, int answer) {
    return Problem.of(
        id(), wording.ask(random, a, b), thinking, Integer.toString(answer), List.of(fact(a, b)));
  }

  /** The canonical form; the order of an addition's terms does not matter. */
  String fact(int a, int b) {
    boolean swap = this == ADD && a > b;
    return id() + ":" + (swap ? b : a) + "," + (swap ? a : b);
  }

  /** Mostly three digits, now and then four; at most two at level 0. */
  private static int number(Random random, int level) {
    int size = random.nextInt(100);
    if (level == 0) {
      return size < 30 ? random.nextInt(10) : random.nextInt(10, 100);
    }
    if (size < 22) {
      return size < 6 ? random.nextInt(10) : random.nextInt(10, 100);
    }
    return size < 94 ? random.nextInt(100, 1000) : random.nextInt(1000, 10_000);
  }
}
