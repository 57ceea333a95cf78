package io.tercel.trainer.problems;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Families of long run-on chains without columns: what three bits visibly hurt in a small model.
 * One training text in ten is worked in another author's style.
 */
enum Chains implements Family {
  PARTS,
  MOD,
  WALLET,
  SUM,
  BASE;

  private static final int[] MODULI = {7, 9, 11, 13};
  private static final String[] PEOPLE = {"Tom", "Ann", "Bob", "Eva"};
  private static final String[] THINGS = {"pens", "eggs", "cups", "nuts"};
  private static final String[] GAINS = {"gets", "buys", "finds"};
  private static final String[] LOSSES = {"sells", "gives", "loses"};

  @Override
  public String id() {
    return switch (this) {
      case PARTS -> "parts";
      case MOD -> "mod";
      case WALLET -> "wallet";
      case SUM -> "sum";
      case BASE -> "base";
    };
  }

  @Override
  public Problem draw(Random random, int level) {
    return draw(random, level, Authors.USUAL);
  }

  @Override
  public Problem draw(Random random, int level, Authors authors) {
    // longer chains come later, and shorter ones never quite go
    int cut = level >= FULL ? (random.nextInt(100) < 15 ? 1 + random.nextInt(2) : 0) : level + 1;
    Style style = authors.other(random) ? Style.WORDS : Style.SIGNS;
    return switch (this) {
      case PARTS -> parts(random, style);
      case MOD -> mod(random, cut > 0 ? cut : 3 + random.nextInt(3), style);
      case WALLET -> wallet(random, cut > 0 ? cut : 3 + random.nextInt(3), style);
      case SUM -> sum(random, cut > 0 ? cut + 1 : 4 + random.nextInt(4), style);
      case BASE -> base(random, cut > 0 ? 9 * cut * cut : 299, style);
    };
  }

  private Problem parts(Random random, Style style) {
    int a = random.nextInt(10, 100);
    int b = random.nextInt(2, 10);
    int c = random.nextInt(3) == 0 ? 0 : random.nextInt(10, 100);
    String question = a + "*" + b + (c > 0 ? "+" + c : "") + "?";
    int tens = a / 10 * 10;
    StringBuilder work = new StringBuilder(style.times(tens, b));
    if (a % 10 > 0) {
      work.append(style.stop()).append(style.times(a % 10, b)).append(style.stop());
      work.append(style.plus(tens * b, a % 10 * b));
    }
    if (c > 0) {
      work.append(style.thenPlus(a * b, c));
    }
    return problem(question, work, a * b + c, question);
  }

  private Problem mod(Random random, int steps, Style style) {
    int m = MODULI[random.nextInt(MODULI.length)];
    int x = random.nextInt(2, 13);
    StringBuilder question = new StringBuilder().append(x);
    StringBuilder work = new StringBuilder();
    for (int i = 0; i < steps; i++) {
      int k = random.nextInt(2, 10);
      int c = random.nextInt(1, 10);
      question.append(i == 0 ? "*" : ",*").append(k).append('+').append(c);
      work.append(i == 0 ? style.times(x, k) : style.thenTimes(x, k));
      work.append(style.thenPlus(x * k, c)).append(style.thenMod(x * k + c, m));
      x = (x * k + c) % m;
    }
    String text = question.append(" mod ").append(m).append('?').toString();
    return problem(text, work, x, text);
  }

  private Problem wallet(Random random, int steps, Style style) {
    int x = random.nextInt(10, 100);
    StringBuilder question = new StringBuilder();
    question.append(PEOPLE[random.nextInt(4)]).append(" has ").append(x).append(' ');
    question.append(THINGS[random.nextInt(4)]);
    StringBuilder work = new StringBuilder();
    StringBuilder canonical = new StringBuilder().append(x);
    for (int i = 0; i < steps; i++) {
      boolean gain = x < 10 || random.nextBoolean();
      int n = gain ? random.nextInt(10, 100) : random.nextInt(1, Math.min(x, 99) + 1);
      question.append(' ').append((gain ? GAINS : LOSSES)[random.nextInt(3)]);
      question.append(' ').append(n);
      canonical.append(gain ? '+' : '-').append(n);
      if (gain) {
        work.append(i == 0 ? style.plus(x, n) : style.thenPlus(x, n));
      } else {
        work.append(i == 0 ? style.minus(x, n) : style.thenMinus(x, n));
      }
      x += gain ? n : -n;
    }
    return problem(question.append(" left?").toString(), work, x, canonical.toString());
  }

  private Problem sum(Random random, int count, Style style) {
    List<String> terms = new ArrayList<>();
    StringBuilder work = new StringBuilder();
    int x = 0;
    for (int i = 0; i < count; i++) {
      int n = random.nextInt(10, 100);
      terms.add(Integer.toString(n));
      if (i > 0) {
        work.append(i == 1 ? style.plus(x, n) : style.thenPlus(x, n));
      }
      x += n;
    }
    String text = "sum " + String.join(" ", terms) + "?";
    return problem(text, work, x, text);
  }

  private Problem base(Random random, int most, Style style) {
    int x = random.nextInt(2, most + 1);
    int base = random.nextInt(2, 10);
    String text = x + " base " + base + "?";
    StringBuilder work = new StringBuilder();
    for (int rest = x; rest > 0; rest /= base) {
      work.append(rest == x ? "" : style.stop()).append(style.divide(rest, base));
    }
    return new Problem(
        id(),
        text,
        work.toString(),
        "\\boxed{" + Integer.toString(x, base) + "}",
        Integer.toString(x, base),
        List.of(id() + ":" + text));
  }

  private Problem problem(String question, StringBuilder work, int answer, String canonical) {
    return new Problem(
        id(),
        question,
        work.toString(),
        "\\boxed{" + answer + "}",
        Integer.toString(answer),
        List.of(id() + ":" + canonical));
  }

  /** How an author writes a step; the {@code then} forms go on from the result before. */
  private enum Style {
    SIGNS,
    WORDS;

    String stop() {
      return this == SIGNS ? "," : ";";
    }

    String times(int a, int b) {
      return this == SIGNS ? a + "*" + b + "=" + a * b : b + " of " + a + " is " + a * b;
    }

    String plus(int a, int b) {
      return this == SIGNS ? a + "+" + b + "=" + (a + b) : b + " on " + a + " is " + (a + b);
    }

    String minus(int a, int b) {
      return this == SIGNS ? a + "-" + b + "=" + (a - b) : b + " off " + a + " is " + (a - b);
    }

    String thenTimes(int a, int b) {
      return this == SIGNS ? "*" + b + "=" + a * b : ";" + times(a, b);
    }

    String thenPlus(int a, int b) {
      return this == SIGNS ? "+" + b + "=" + (a + b) : ";" + plus(a, b);
    }

    String thenMinus(int a, int b) {
      return this == SIGNS ? "-" + b + "=" + (a - b) : ";" + minus(a, b);
    }

    String thenMod(int a, int m) {
      return this == SIGNS ? "%" + m + "=" + a % m : ";" + m + " leaves " + a % m + " of " + a;
    }

    String divide(int a, int b) {
      return this == SIGNS
          ? a + "/" + b + "=" + a / b + "r" + a % b
          : a + " by " + b + " is " + a / b + " rest " + a % b;
    }
  }
}
