package io.tercel.trainer.problems;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers and steps are checked by arithmetic that reads the texts and shares no code. */
final class ProblemMixTest {
  private static final Pattern NUMBER = Pattern.compile("-?[0-9]+");

  static List<String> families() {
    return ProblemMix.familyNames();
  }

  private static List<Problem> draw(String family, Partition partition, int count) {
    ProblemMix mix = ProblemMix.of(Map.of(family, 1.0));
    List<Problem> problems = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      problems.add(mix.draw(7, partition, i, i % 3));
    }
    return problems;
  }

  @ParameterizedTest
  @MethodSource("families")
  void draw_trainingAndHeldOut_shareNothing(String family) {
    if (family.equals("talk")) {
      assertThrows(IllegalArgumentException.class, () -> draw(family, Partition.HELD_OUT, 1));
      return;
    }
    Set<String> trained = new HashSet<>();
    Set<String> questions = new HashSet<>();
    for (Problem problem : draw(family, Partition.TRAINING, 5000)) {
      trained.addAll(problem.facts());
      questions.add(problem.question());
    }
    for (Problem problem : draw(family, Partition.HELD_OUT, 2000)) {
      assertFalse(trained.contains(problem.facts().getFirst()), problem.question());
      assertFalse(questions.contains(problem.question()), problem.question());
    }
  }

  @Test
  void draw_steps_areNoHeldOutProblems() {
    Set<String> heldOut = new HashSet<>();
    for (String family : List.of("add", "sub")) {
      draw(family, Partition.HELD_OUT, 20_000).forEach(p -> heldOut.add(p.facts().getFirst()));
    }
    for (Problem problem : draw("story", Partition.TRAINING, 5000)) {
      assertTrue(problem.facts().size() > 1);
      problem.facts().forEach(fact -> assertFalse(heldOut.contains(fact), fact));
    }
  }

  @Test
  void fact_sameSumAsked_otherOrder_isTheSame() {
    assertEquals(Arithmetic.ADD.fact(3, 500), Arithmetic.ADD.fact(500, 3));
    assertNotEquals(Arithmetic.SUB.fact(3, 500), Arithmetic.SUB.fact(500, 3));
  }

  @ParameterizedTest
  @MethodSource("families")
  void draw_sameSeed_isSame(String family) {
    assertEquals(draw(family, Partition.TRAINING, 50), draw(family, Partition.TRAINING, 50));
  }

  @ParameterizedTest
  @MethodSource("families")
  void draw_worked_everyEquationHolds(String family) {
    int equations = 0;
    for (Problem problem : draw(family, Partition.TRAINING, 2000)) {
      for (String line : problem.thinking().split("[\n,]", -1)) {
        equations += checkChain(line, problem);
      }
      if (!problem.answer().isEmpty()) {
        assertTrue(problem.reply().contains("\\boxed{" + problem.answer() + "}"));
      }
    }
    assertTrue(equations > 1000 || family.equals("talk") || family.equals("compare"), family);
  }

  /** In {@code 3*7=21+2=23 write 238} each side of a sign = begins with the value before it. */
  private static int checkChain(String line, Problem problem) {
    String[] sides = line.split("=", -1);
    int checked = 0;
    for (int i = 0; i + 1 < sides.length; i++) {
      Matcher term =
          Pattern.compile("^([0-9]+)(?:([-+*/%])([0-9]+)(?:([-+])([0-9]+))?)?").matcher(sides[i]);
      Matcher result = NUMBER.matcher(sides[i + 1]);
      if (!term.find() || !result.find()) {
        continue;
      }
      long value = Long.parseLong(term.group(1));
      for (int g = 2; g < 6; g += 2) {
        if (term.group(g) != null) {
          long by = Long.parseLong(term.group(g + 1));
          value =
              switch (term.group(g)) {
                case "+" -> value + by;
                case "-" -> value - by;
                case "*" -> value * by;
                case "/" -> value / by;
                default -> value % by;
              };
        }
      }
      assertEquals(value, Long.parseLong(result.group()), line + " of " + problem);
      checked++;
    }
    return checked;
  }

  @ParameterizedTest
  @ValueSource(strings = {"add", "sub", "mul", "rem", "compare"})
  void draw_twoNumbers_answerIsRight(String family) {
    for (Problem problem : draw(family, Partition.HELD_OUT, 2000)) {
      String question = problem.question().split("\n", -1)[0];
      Matcher number = Pattern.compile("[0-9]+").matcher(question);
      assertTrue(number.find());
      int a = Integer.parseInt(number.group());
      assertTrue(number.find());
      int b = Integer.parseInt(number.group());
      boolean swapped = question.contains("ubtract") || question.startsWith("Take");
      String expected =
          switch (family) {
            case "add" -> Integer.toString(a + b);
            case "sub" -> Integer.toString(swapped ? b - a : a - b);
            case "mul" -> Integer.toString(a * b);
            case "rem" -> Integer.toString(a % b);
            default -> compared(question, a, b);
          };
      assertEquals(expected, problem.answer(), question);
    }
  }

  private static String compared(String question, int a, int b) {
    boolean smaller = question.matches(".*(smaller|less).*");
    if (question.startsWith("Is ")) {
      return (smaller ? a < b : a > b) ? "yes" : "no";
    }
    return Integer.toString(smaller ? Math.min(a, b) : Math.max(a, b));
  }

  @ParameterizedTest
  @ValueSource(strings = {"story", "wallet"})
  void draw_stories_answerIsRight(String family) {
    Pattern move = Pattern.compile("(has|buys|finds|gets|sells|loses|gives(?: away)?) ([0-9]+)");
    for (Problem problem : draw(family, Partition.HELD_OUT, 2000)) {
      int total = 0;
      Matcher moves = move.matcher(problem.question());
      while (moves.find()) {
        int n = Integer.parseInt(moves.group(2));
        total += moves.group(1).matches("has|buys|finds|gets") ? n : -n;
      }
      assertEquals(Integer.toString(total), problem.answer(), problem.question());
    }
  }

  @Test
  void draw_chains_answerIsRight() {
    for (Problem problem : draw("sum", Partition.HELD_OUT, 500)) {
      int sum =
          NUMBER
              .matcher(problem.question())
              .results()
              .mapToInt(r -> Integer.parseInt(r.group()))
              .sum();
      assertEquals(Integer.toString(sum), problem.answer());
    }
    for (Problem problem : draw("base", Partition.HELD_OUT, 500)) {
      String[] words = problem.question().replace("?", "").split(" ", -1);
      int value = Integer.parseInt(problem.answer(), Integer.parseInt(words[2]));
      assertEquals(words[0], Integer.toString(value));
    }
    for (Problem problem : draw("mod", Partition.HELD_OUT, 500)) {
      String[] halves = problem.question().replace("?", "").split(" mod ", -1);
      int x = 0;
      for (String step : halves[0].split(",", -1)) {
        Matcher n = Pattern.compile("([0-9]*)\\*([0-9]+)\\+([0-9]+)").matcher(step);
        assertTrue(n.matches());
        x = n.group(1).isEmpty() ? x : Integer.parseInt(n.group(1));
        x =
            (x * Integer.parseInt(n.group(2)) + Integer.parseInt(n.group(3)))
                % Integer.parseInt(halves[1]);
      }
      assertEquals(Integer.toString(x), problem.answer());
    }
  }

  @Test
  void of_unknownFamily_namesThoseThereAre() {
    Throwable e =
        assertThrows(IllegalArgumentException.class, () -> ProblemMix.of(Map.of("chess", 1.0)));
    assertTrue(String.valueOf(e.getMessage()).startsWith("no family chess; there are add, sub"));
  }

  @Test
  void distinct_asManyAsAsked_allDifferent() {
    List<Problem> problems =
        ProblemMix.of(Map.of("add", 1.0, "sub", 1.0)).distinct(3, Partition.HELD_OUT, 500);
    assertEquals(500, problems.stream().map(p -> p.facts().getFirst()).distinct().count());
  }

  @Test
  void add_likeOnPaper() {
    assertEquals(
        "412+358\n2+8=10 write 0 carry 1\n1+5+1=7 write 70\n4+3=7 write 770",
        Columns.add(412, 358));
    assertEquals("95+7\n5+7=12 write 2 carry 1\n9+1=10 write 102", Columns.add(95, 7));
    assertEquals("0+0\n0+0=0 write 0", Columns.add(0, 0));
  }

  @Test
  void subtract_likeOnPaper() {
    assertEquals(
        "412-358\n12-8=4 write 4 borrow 1\n11-5-1=5 write 54 borrow 1\n4-3-1=0 write 054\n054=54",
        Columns.subtract(412, 358));
    assertEquals("7-7\n7-7=0 write 0", Columns.subtract(7, 7));
  }
}
