package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.ReasoningParser.Markers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class OutputTextTest {
  @TempDir static Path dir;
  private Tokenizer tokenizer;

  @BeforeEach
  void open() throws IOException {
    tokenizer = TinyTokenizers.byteLevel(dir);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private OutputText output(boolean starts, String... stops) {
    return new OutputText(
        tokenizer.detokenizer(true),
        Optional.of(
            new ReasoningParser(
                Markers.think(tokenizer), starts ? PromptThought.OPEN : PromptThought.NONE)),
        new StopMatcher(List.of(stops), false));
  }

  private record Split(String reasoning, String answer, @Nullable String stop) {
    static Split of(List<OutputPart> parts, @Nullable String stop) {
      StringBuilder reasoning = new StringBuilder();
      StringBuilder answer = new StringBuilder();
      for (OutputPart part : parts) {
        switch (part) {
          case OutputPart.Thought(String text) -> reasoning.append(text);
          case OutputPart.Text(String text) -> answer.append(text);
          case OutputPart.Call call -> throw new AssertionError(call);
        }
      }
      return new Split(reasoning.toString(), answer.toString(), stop);
    }
  }

  private Split run(OutputText output, String text) {
    List<OutputPart> parts = new ArrayList<>();
    for (int id : tokenizer.encode(text, false)) {
      OutputText.Delta delta = output.accept(id);
      parts.addAll(delta.parts());
      if (delta.stop() != null) {
        return Split.of(parts, delta.stop());
      }
    }
    parts.addAll(output.finish().parts());
    return Split.of(parts, null);
  }

  @Test
  void thoughtThenAnswer() {
    OutputText output = output(true);
    assertEquals(
        new Split("\nthe 🦅\n", "\n\né", null), run(output, "\nthe 🦅\n</think>\n\né<|end|>"));
    assertTrue(output.reasoningTokens() > 2);
  }

  @Test
  void stopInTheThought_stops() {
    assertEquals(new Split("a", "", "bc"), run(output(true, "bc"), "abc</think>d"));
  }

  @Test
  void stopInTheAnswer_stops() {
    assertEquals(new Split("a", "d", "STOP"), run(output(true, "STOP"), "a</think>dSTOPe"));
  }

  @Test
  void markerMayBeAStop() {
    assertEquals(new Split("a", "", "</think>"), run(output(true, "</think>"), "a</think>d"));
  }

  @Test
  void stopAcrossTheMarker_stops() {
    assertEquals(new Split("a", "", "b</think>c"), run(output(true, "b</think>c"), "ab</think>cd"));
    assertEquals(new Split("ab", "d", null), run(output(true, "b</think>c"), "ab</think>d"));
  }

  @Test
  void withoutParser_allIsAnswer() {
    OutputText output =
        new OutputText(
            tokenizer.detokenizer(true), Optional.empty(), new StopMatcher(List.of(), false));
    assertEquals(new Split("", "<think>a</think>b", null), run(output, "<think>a</think>b"));
  }

  @Test
  void finish_givesHalfACharacterAndAHeldStop() {
    OutputText output = output(false, "xyz");
    output.accept('x');
    output.accept(0xf0);
    assertEquals(List.of(new OutputPart.Text("x\ufffd")), output.finish().parts());
  }

  @Test
  void order_isKeptWhereAStopStringWasHeldBack() {
    OutputText output = output(false, "a<think>b</think>c!");
    for (int id : tokenizer.encode("a<think>b</think>c", false)) {
      assertEquals(List.of(), output.accept(id).parts());
    }
    assertEquals(
        List.of(new OutputPart.Text("a"), new OutputPart.Thought("b"), new OutputPart.Text("c?")),
        output.accept('?').parts());
  }

  @Test
  void unsplit_isOneTextWithItsThoughtCounted() {
    OutputText output =
        new OutputText(
            tokenizer.detokenizer(true),
            Optional.of(new ReasoningParser(Markers.think(tokenizer), PromptThought.OPEN)),
            new StopMatcher(List.of(), false),
            0,
            false);
    assertEquals(new Split("", "a</think>b", null), run(output, "a</think>b"));
    assertEquals(1, output.reasoningTokens());
  }
}
