package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.ReasoningParser.Segment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ReasoningParserTest {
  private static final Markers TEXT = new Markers("<think>", "</think>", -1, -1);
  private static final Markers IDS = new Markers("<think>", "</think>", 1, 2);

  /** One run: the thought, the answer, and how many tokens the thought had. */
  private record Split(String reasoning, String answer, int tokens) {}

  private static Split run(Markers markers, boolean starts, List<String> pieces) {
    ReasoningParser parser =
        new ReasoningParser(markers, starts ? PromptThought.OPEN : PromptThought.NONE);
    List<Segment> segments = new ArrayList<>();
    for (String piece : pieces) {
      int id = piece.endsWith("<think>") ? 1 : piece.endsWith("</think>") ? 2 : 9;
      segments.addAll(parser.accept(id, piece));
    }
    segments.addAll(parser.flush());
    StringBuilder reasoning = new StringBuilder();
    StringBuilder answer = new StringBuilder();
    StringBuilder all = new StringBuilder();
    for (Segment segment : segments) {
      all.append(segment.text());
      switch (segment.channel()) {
        case REASONING -> reasoning.append(segment.text());
        case ANSWER -> answer.append(segment.text());
        case MARKER -> {}
      }
    }
    assertEquals(String.join("", pieces), all.toString());
    return new Split(reasoning.toString(), answer.toString(), parser.reasoningTokens());
  }

  /** Pieces are divided by |; ⏎ is a line break. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "false; <think>|⏎a|b⏎|</think>|⏎⏎c; ⏎ab⏎; ⏎⏎c; 2",
        "false; ⏎ |<think>|a|</think>|c; a; c; 1",
        "false; <think>|</think>|⏎⏎c; ''; ⏎⏎c; 0",
        "false; a|b; ''; ab; 0",
        "false; ⏎|; ''; ⏎; 0",
        "false; <think>|a|b; ab; ''; 2",
        "true; a|b|</think>|c; ab; c; 2",
        "true; <think>|a|</think>|c; a; c; 1",
        "true; a|b; ab; ''; 2",
        "true; �</think>|c; �; c; 0",
        "false; a|</think>|c; ''; a</think>c; 0",
        "true; a|</think>|c|<think>|d|</think>|e; a; c<think>d</think>e; 1",
      })
  void markersAsTokens(boolean starts, String pieces, String reasoning, String answer, int tokens) {
    Split split = run(IDS, starts, List.of(pieces.replace('⏎', '\n').split("\\|", -1)));
    assertEquals(new Split(reasoning.replace('⏎', '\n'), answer.replace('⏎', '\n'), tokens), split);
  }

  @Test
  void markersAsTokens_sameLettersInOtherTokensAreText() {
    ReasoningParser parser = new ReasoningParser(IDS, PromptThought.OPEN);
    assertEquals(
        List.of(new Segment(ReasoningParser.Channel.REASONING, "x</think>y")),
        parser.accept(9, "x</think>y"));
    assertTrue(parser.thinking());
  }

  @Test
  void markersAsTokens_mayOpenLate() {
    assertEquals(
        new Split("b", "ac", 1), run(IDS, false, List.of("a", "<think>", "b", "</think>", "c")));
  }

  @Test
  void markersAsText_openOnlyAtTheStart() {
    assertEquals(
        new Split("", "say <think> and </think>", 0),
        run(TEXT, false, List.of("say ", "<think> and", " </think>")));
  }

  /** However the text is cut into pieces, the split is the same. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void markersAsText_anyPieces(long seed) {
    Random random = new Random(seed);
    record Case(boolean starts, String text, String reasoning, String answer) {}
    List<Case> cases =
        List.of(
            new Case(
                false, "\n<think>\nab </thin</think>\n\nc</think>", "\nab </thin", "\n\nc</think>"),
            new Case(false, "  plain <think>x</think>", "", "  plain <think>x</think>"),
            new Case(false, " <thin", "", " <thin"),
            new Case(false, "", "", ""),
            new Case(true, "a<</think>b", "a<", "b"),
            new Case(true, "\n<think>a</think>b", "a", "b"),
            new Case(true, "\nnever ends </thi", "\nnever ends </thi", ""),
            new Case(true, "</think>b", "", "b"));
    for (int round = 0; round < 500; round++) {
      Case c = cases.get(random.nextInt(cases.size()));
      List<String> pieces = new ArrayList<>();
      for (int i = 0; i < c.text.length(); ) {
        int next = Math.min(c.text.length(), i + random.nextInt(5));
        pieces.add(c.text.substring(i, next));
        i = next;
      }
      Split split = run(TEXT, c.starts, pieces);
      assertEquals(c.reasoning, split.reasoning, "seed " + seed + " " + pieces);
      assertEquals(c.answer, split.answer, "seed " + seed + " " + pieces);
    }
  }
}
