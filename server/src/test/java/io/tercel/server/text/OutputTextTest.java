package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.ReasoningParser.Markers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
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

  private OutputText.Delta run(OutputText output, String text) {
    StringBuilder reasoning = new StringBuilder();
    StringBuilder answer = new StringBuilder();
    for (int id : tokenizer.encode(text, false)) {
      OutputText.Delta delta = output.accept(id);
      reasoning.append(delta.reasoning());
      answer.append(delta.answer());
      if (delta.stop() != null) {
        return new OutputText.Delta(reasoning.toString(), answer.toString(), delta.stop());
      }
    }
    OutputText.Delta rest = output.finish();
    return new OutputText.Delta(reasoning + rest.reasoning(), answer + rest.answer(), null);
  }

  @Test
  void thoughtThenAnswer() {
    OutputText output = output(true);
    assertEquals(
        new OutputText.Delta("\nthe 🦅\n", "\n\né", null),
        run(output, "\nthe 🦅\n</think>\n\né<|end|>"));
    assertTrue(output.reasoningTokens() > 2);
  }

  @Test
  void stopInTheThought_stops() {
    assertEquals(new OutputText.Delta("a", "", "bc"), run(output(true, "bc"), "abc</think>d"));
  }

  @Test
  void stopInTheAnswer_stops() {
    assertEquals(
        new OutputText.Delta("a", "d", "STOP"), run(output(true, "STOP"), "a</think>dSTOPe"));
  }

  @Test
  void markerMayBeAStop() {
    assertEquals(
        new OutputText.Delta("a", "", "</think>"), run(output(true, "</think>"), "a</think>d"));
  }

  @Test
  void stopAcrossTheMarker_stops() {
    assertEquals(
        new OutputText.Delta("a", "", "b</think>c"),
        run(output(true, "b</think>c"), "ab</think>cd"));
    assertEquals(
        new OutputText.Delta("ab", "d", null), run(output(true, "b</think>c"), "ab</think>d"));
  }

  @Test
  void withoutParser_allIsAnswer() {
    OutputText output =
        new OutputText(
            tokenizer.detokenizer(true), Optional.empty(), new StopMatcher(List.of(), false));
    assertEquals(
        new OutputText.Delta("", "<think>a</think>b", null), run(output, "<think>a</think>b"));
  }

  @Test
  void finish_givesHalfACharacterAndAHeldStop() {
    OutputText output = output(false, "xyz");
    output.accept('x');
    output.accept(0xf0);
    assertEquals(new OutputText.Delta("", "x\ufffd", null), output.finish());
  }
}
