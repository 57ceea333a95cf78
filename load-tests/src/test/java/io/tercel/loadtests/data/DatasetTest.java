package io.tercel.loadtests.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DatasetTest {
  private static final TokenIdPrompts IDS = new TokenIdPrompts(new int[] {7, 8, 9, 20});

  private static List<Integer> ids(LoadRequest request) {
    Prompt.TokenIds prompt = (Prompt.TokenIds) request.prompt();
    return java.util.stream.IntStream.range(0, prompt.size()).map(prompt::id).boxed().toList();
  }

  private static int words(LoadRequest request) {
    return ((Prompt.Text) request.prompt()).text().split(" ").length;
  }

  @Test
  void random_hasExactLengthsAndKnownIds() {
    Dataset dataset = new RandomDataset(IDS, 1, 50, 20, 0);
    for (int i = 0; i < 20; i++) {
      assertEquals(50, ids(dataset.request(i)).size());
      assertEquals(20, dataset.request(i).maxTokens());
      assertEquals(Set.of(7, 8, 9, 20), Set.copyOf(ids(dataset.request(i))));
    }
  }

  @Test
  void random_lengthsCoverTheirRange() {
    Dataset dataset = new RandomDataset(IDS, 1, 10, 4, 0.25);
    Set<Integer> inputs = new HashSet<>();
    Set<Integer> outputs = new HashSet<>();
    for (int i = 0; i < 500; i++) {
      inputs.add(ids(dataset.request(i)).size());
      outputs.add(dataset.request(i).maxTokens());
    }
    assertEquals(Set.of(7, 8, 9, 10, 11, 12, 13), inputs); // ⌊7.5⌋ to ⌈12.5⌉
    assertEquals(Set.of(3, 4, 5), outputs);
  }

  @Test
  void sameSeed_givesTheSameWorkload() {
    Dataset one = new RandomDataset(IDS, 1, 50, 20, 0.5);
    Dataset again = new RandomDataset(IDS, 1, 50, 20, 0.5);
    Dataset other = new RandomDataset(IDS, 2, 50, 20, 0.5);
    for (int i = 9; i >= 0; i--) {
      assertEquals(ids(one.request(i)), ids(again.request(i)));
      assertEquals(one.request(i).seed(), again.request(i).seed());
      assertNotEquals(ids(one.request(i)), ids(other.request(i)));
      assertNotEquals(ids(one.request(i)), ids(one.request(i + 1)));
    }
  }

  @Test
  void prefixes_areSharedAndAllUsed() {
    Dataset dataset = new PrefixRepetitionDataset(IDS, 1, 30, 20, 3, 8);
    Set<List<Integer>> prefixes = new HashSet<>();
    Set<List<Integer>> suffixes = new HashSet<>();
    for (int i = 0; i < 60; i++) {
      List<Integer> ids = ids(dataset.request(i));
      assertEquals(50, ids.size());
      prefixes.add(ids.subList(0, 30));
      suffixes.add(ids.subList(30, 50));
    }
    assertEquals(3, prefixes.size());
    assertEquals(60, suffixes.size());
  }

  @Test
  void words_comeToTheWantedTokens() {
    WordPrompts maker = new WordPrompts(1.5, 10);
    assertEquals(60, words(new RandomDataset(maker, 1, 100, 8, 0).request(0)));
    String first = text(new PrefixRepetitionDataset(maker, 1, 30, 40, 1, 8).request(0));
    String second = text(new PrefixRepetitionDataset(maker, 1, 30, 40, 1, 8).request(1));
    List<String> prefix = List.of(first.split(" ")).subList(0, 20);
    assertEquals(prefix, List.of(second.split(" ")).subList(0, 20));
    assertEquals(20 + 20, first.split(" ").length);
    assertNotEquals(first, second);
  }

  private static String text(LoadRequest request) {
    return ((Prompt.Text) request.prompt()).text();
  }

  @Test
  void file_isReadInOrderAndAgain(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("prompts.jsonl");
    Files.writeString(
        file,
        """
        {"prompt": "one", "max_tokens": 5}

        {"messages": [{"role": "user", "content": "two"}]}
        """);
    JsonlDataset dataset = JsonlDataset.read(file, true, 32, 0);
    assertEquals(2, dataset.size());
    assertEquals(new Prompt.Text("one"), dataset.request(0).prompt());
    assertEquals(5, dataset.request(0).maxTokens());
    assertEquals(
        "two",
        ((Prompt.Messages) dataset.request(1).prompt()).messages().get(0).get("content").asText());
    assertEquals(32, dataset.request(1).maxTokens());
    assertEquals(dataset.request(0).prompt(), dataset.request(2).prompt());
    assertNotEquals(dataset.request(0).seed(), dataset.request(2).seed());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          nonsense                                | not JSON
          [1]                                     | expected an object
          {}                                      | either prompt or messages
          {"prompt": "a", "messages": []}         | either prompt or messages
          {"prompt": 3}                           | prompt must be a text
          {"prompt": ""}                          | prompt must be a text
          {"messages": []}                        | messages must be a list
          {"messages": [{"content": "x"}]}        | no role
          {"prompt": "a", "max_tokens": 0}        | max_tokens is 0
          {"prompt": "a", "max_tokens": "9"}      | max_tokens is
          """)
  void badLine_isNamed(String line, String why, @TempDir Path directory) throws IOException {
    Path file = directory.resolve("prompts.jsonl");
    Files.writeString(file, "{\"prompt\": \"good\"}\n\n" + line + "\n");
    DatasetException e =
        assertThrows(DatasetException.class, () -> JsonlDataset.read(file, true, 0, 0));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("line 3"), message);
    assertTrue(message.contains(why), message);
  }

  @Test
  void messages_needAChatEndpoint(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("prompts.jsonl");
    Files.writeString(file, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n");
    DatasetException e =
        assertThrows(DatasetException.class, () -> JsonlDataset.read(file, false, 0, 0));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("--endpoint /v1/chat/completions"), message);
    Files.writeString(file, "\n");
    assertThrows(DatasetException.class, () -> JsonlDataset.read(file, true, 0, 0));
  }
}
