package io.tercel.trainer.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class WordTokenizerTest {
  @TempDir Path directory;

  private static List<Problem> problems(Partition partition, int count) {
    Map<String, Double> weights = new java.util.HashMap<>();
    ProblemMix.familyNames().forEach(name -> weights.put(name, 1.0));
    ProblemMix mix = ProblemMix.of(weights);
    List<Problem> problems = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      problems.add(mix.draw(5, partition, i, 2));
    }
    return problems;
  }

  private Tokenizer tokenizer(PromptFormat format) throws IOException {
    List<String> texts = new ArrayList<>();
    for (Problem problem : problems(Partition.TRAINING, 3000)) {
      texts.add(format.prompt(problem.question()) + format.response(problem));
    }
    WordTokenizer.of(texts, 4).write(directory, format, 512);
    return Tokenizer.open(directory);
  }

  @Test
  void encode_heldOutTexts_noUnknown_andBack() throws IOException {
    try (Tokenizer tokenizer = tokenizer(PromptFormat.CHAT)) {
      int unknown = tokenizer.tokenId("<unk>").orElseThrow();
      for (Problem problem : problems(Partition.HELD_OUT, 1000)) {
        String text =
            PromptFormat.CHAT.prompt("You are a helpful assistant.", List.of(problem), "Hi?")
                + PromptFormat.CHAT.response(problem);
        int[] ids = tokenizer.encode(text, false);
        assertTrue(Arrays.stream(ids).noneMatch(id -> id == unknown), text);
        assertEquals(text, tokenizer.decode(ids, false));
      }
    }
  }

  @Test
  void encode_digitsAreSingle_frequentWordsWhole() throws IOException {
    try (Tokenizer tokenizer = tokenizer(PromptFormat.CHAT)) {
      assertEquals(
          List.of("What", " is ", "4", "1", "2", " + ", "3", "5", "8", "?"),
          tokens(tokenizer, "What is 412 + 358?"));
      assertEquals(
          List.of("<think>", "\n", "2", "+", "8", "=", "1", "0", " write ", "0", " carry ", "1"),
          tokens(tokenizer, "<think>\n2+8=10 write 0 carry 1"));
      assertEquals(List.of("</think>", "\n\n"), tokens(tokenizer, "</think>\n\n"));
      // a known word inside an unknown one is not cut out
      assertEquals(List.of("W", "h", "a", "t", "s", "o", "e"), tokens(tokenizer, "Whatsoe"));
    }
  }

  @Test
  void encode_anyText_encodes() throws IOException {
    try (Tokenizer tokenizer = tokenizer(PromptFormat.CHAT)) {
      String ascii = "The quick {brown} [fox] jumps_over \\ the `lazy` dog~ @#$%^&*\t|<>";
      assertEquals(ascii, tokenizer.decode(tokenizer.encode(ascii, false), false));
      assertEquals(List.of("<unk>", "<unk>", "a"), tokens(tokenizer, "é🦅a"));
    }
  }

  @Test
  void template_rendersWhatTrainingWrites() throws IOException {
    Problem problem = problems(Partition.TRAINING, 1).getFirst();
    ChatTemplate chat = ChatTemplate.parse(PromptFormat.CHAT.template(), Map.of());
    List<Map<String, String>> messages =
        List.of(
            Map.of("role", "system", "content", "Be brief."),
            Map.of("role", "user", "content", problem.question()),
            Map.of("role", "assistant", "content", "<think>\n" + problem.response()),
            Map.of("role", "user", "content", "What is 1 + 1?"));
    assertEquals(
        PromptFormat.CHAT.prompt("Be brief.", List.of(problem), "What is 1 + 1?"),
        chat.render(messages, List.of(), true, Map.of()));
    ChatTemplate tight = ChatTemplate.parse(PromptFormat.TIGHT.template(), Map.of());
    assertEquals(
        PromptFormat.TIGHT.prompt("9*4?"),
        tight.render(
            List.of(Map.of("role", "user", "content", "9*4?")), List.of(), true, Map.of()));
  }

  private static List<String> tokens(Tokenizer tokenizer, String text) {
    return Arrays.stream(tokenizer.encode(text, false)).mapToObj(tokenizer::tokenText).toList();
  }
}
