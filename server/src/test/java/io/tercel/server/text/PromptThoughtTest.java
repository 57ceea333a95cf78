package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.server.text.ReasoningParser.Markers;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptThoughtTest {
  private static final String CASES =
      """
      NONE   ; plain text
      NONE   ; <|im_start|>assistant~
      OPEN   ; <think>
      OPEN   ; <|im_start|>assistant~<think>~
      OPEN   ; <|im_start|>assistant~<think>~So far it has come, and a good many tokens further.
      CLOSED ; <|im_start|>assistant~<think>~~</think>~~
      CLOSED ; <|im_start|>assistant~<think>~a</think>~~The answer is
      OPEN   ; <|im_start|>assistant~<think>~~</think>~~<think>~So
      NONE   ; <|im_start|>user~what is <think>?<|end|>~<|im_start|>assistant~
      NONE   ; <think>a</think>b<|end|>
      OPEN   ; <|im_start|>user~what is </think>?<|end|>~<|im_start|>assistant~<think>x
      """;

  @TempDir private Path dir;

  @ParameterizedTest
  @CsvSource(delimiter = ';', textBlock = CASES)
  void lastMarkerOfTheTurn_tells(PromptThought expected, String prompt) throws Exception {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      int[] ids = tokenizer.encode(prompt.replace('~', '\n'), false);
      Markers tokens = Markers.think(tokenizer);
      assertEquals(expected, PromptThought.of(tokenizer, tokens, Set.of(), ids));
      // the same letters where the vocabulary has no token for them
      Markers letters = new Markers(tokens.open(), tokens.close(), -1, -1);
      assertEquals(expected, PromptThought.of(tokenizer, letters, Set.of(), ids));
      assertEquals(PromptThought.NONE, PromptThought.of(tokenizer, null, Set.of(), ids));
    }
  }

  @Test
  void endTokens_divideTurnsThoughTheyAreNotSpecial() throws Exception {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      int[] ids = tokenizer.encode("<think>a~b", false);
      Markers markers = Markers.think(tokenizer);
      assertEquals(PromptThought.OPEN, PromptThought.of(tokenizer, markers, Set.of(), ids));
      assertEquals(
          PromptThought.NONE, PromptThought.of(tokenizer, markers, Set.of((int) '~'), ids));
    }
  }
}
