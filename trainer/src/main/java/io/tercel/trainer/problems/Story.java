package io.tercel.trainer.problems;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Short word problems: someone has some things, gets more, gives some away. */
final class Story implements Family {
  private static final String[][] PEOPLE = {
    {"Tom", "he"}, {"Ann", "she"}, {"Bob", "he"}, {"Eva", "she"}, {"Sam", "he"}, {"Mia", "she"}
  };
  private static final String[] THINGS = {"pens", "apples", "books", "coins", "eggs", "cards"};
  private static final String[] GAINS = {"buys", "finds", "gets"};
  private static final String[] LOSSES = {"sells", "loses", "gives away"};

  @Override
  public String id() {
    return "story";
  }

  @Override
  public Problem draw(Random random, int level) {
    String[] person = pick(random, PEOPLE);
    String thing = pick(random, THINGS);
    int steps = level == 0 ? 1 : 1 + random.nextInt(2);
    int total = random.nextInt(2, 100);
    List<String> facts = new ArrayList<>();
    List<String> blocks = new ArrayList<>();
    StringBuilder canonical = new StringBuilder(id()).append(':').append(total);
    StringBuilder told =
        new StringBuilder(person[0] + " has " + total + " " + thing + ". " + capital(person[1]));
    for (int i = 0; i < steps; i++) {
      boolean gain = total < 2 || random.nextBoolean();
      int n = gain ? random.nextInt(2, 100) : random.nextInt(1, Math.min(total, 99) + 1);
      told.append(i == 0 ? " " : " and ").append(pick(random, gain ? GAINS : LOSSES));
      told.append(' ').append(n).append(gain ? " more" : "");
      canonical.append(gain ? '+' : '-').append(n);
      blocks.add(gain ? Columns.add(total, n) : Columns.subtract(total, n));
      facts.add((gain ? Arithmetic.ADD : Arithmetic.SUB).fact(total, n));
      total += gain ? n : -n;
    }
    facts.addFirst(canonical.toString());
    String question =
        switch (random.nextInt(3)) {
          case 0 -> "How many " + thing + " does " + person[0] + " have now?";
          case 1 -> "How many " + thing + " are left?";
          default -> "How many " + thing + " does " + person[1] + " have?";
        };
    String answer = Integer.toString(total);
    String text = Wording.of(told.append(". ").append(question).toString()).ask(random, "", "");
    return Problem.of(id(), text, String.join("\n", blocks), answer, facts);
  }

  private static String capital(String word) {
    return Character.toUpperCase(word.charAt(0)) + word.substring(1);
  }

  private static <T> T pick(Random random, T[] choices) {
    return choices[random.nextInt(choices.length)];
  }
}
