package io.tercel.loadtests.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of conversations, as single questions and as sessions. */
class ConversationDatasetTest {
  @TempDir Path directory;

  private Path file(String text) throws IOException {
    Path file = directory.resolve("conversations.json");
    Files.writeString(file, text);
    return file;
  }

  private static String conversation(String... said) {
    StringBuilder text = new StringBuilder("{\"id\": \"x\", \"conversations\": [");
    for (int i = 0; i < said.length; i++) {
      String from = i % 2 == 0 ? "human" : "gpt";
      text.append(i == 0 ? "" : ", ")
          .append("{\"from\": \"%s\", \"value\": \"%s\"}".formatted(from, said[i]));
    }
    return text + "]}";
  }

  private static String words(int count) {
    return "w ".repeat(count).strip();
  }

  /** A word a token. */
  private static int count(String text) {
    return text.isEmpty() ? 0 : text.split(" ").length;
  }

  private static Map<Integer, Integer> lengths(ShareGptDataset dataset) {
    Map<Integer, Integer> lengths = new TreeMap<>();
    for (int i = 0; i < dataset.size(); i++) {
      LoadRequest request = dataset.request(i);
      lengths.put(count(((Prompt.Text) request.prompt()).text()), request.maxTokens());
    }
    return lengths;
  }

  /** Those of vllm's is_valid_sequence, at their edges. */
  @Test
  void sharegpt_filtersAsVllm() throws IOException, InterruptedException {
    Path file =
        file(
            "["
                + String.join(
                    ",\n",
                    conversation(words(3), words(50)), // prompt too short
                    conversation(words(4), words(4), words(9)),
                    conversation(words(5), words(3)), // answer too short
                    conversation(words(1024), words(1024)),
                    conversation(words(1025), words(10)), // prompt too long
                    conversation(words(1000), words(1049)), // both too long together
                    conversation(words(77)), // no answer
                    conversation(words(6), words(2042)))
                + "]");
    ShareGptDataset recorded =
        ShareGptDataset.read(file, ConversationDatasetTest::count, 100, 0, 1);
    assertEquals(Map.of(4, 4, 1024, 1024, 6, 2042), lengths(recorded));
    ShareGptDataset given = ShareGptDataset.read(file, ConversationDatasetTest::count, 100, 7, 1);
    assertEquals(Map.of(4, 7, 5, 7, 1024, 7, 1000, 7, 6, 7), lengths(given));
    ShareGptDataset few = ShareGptDataset.read(file, ConversationDatasetTest::count, 2, 0, 1);
    assertEquals(2, few.size());
    assertEquals(few.request(0).prompt(), few.request(2).prompt());
    assertNotEquals(few.request(0).seed(), few.request(2).seed());
  }

  /** Each prompt holds what was said before; what the file's assistant said is nowhere. */
  @Test
  void session_holdsTheAnswersSoFar() throws IOException {
    Path file =
        file(
            """
            {"conversations": [{"from": "system", "value": "Be brief."},
             {"from": "human", "value": "one"}, {"from": "gpt", "value": "FILE"},
             {"from": "tool", "value": "TOOL"}, {"from": "human", "value": "two"},
             {"from": "gpt", "value": "FILE"}, {"from": "human", "value": "three"}]}
            {"messages": [{"role": "user", "content": "other"}, {"role": "assistant", "content": ""}]}
            """);
    FileSessions sessions = FileSessions.read(file, 2);
    assertEquals(2, sessions.size());
    SessionDataset.Session session = new SessionDataset(sessions, 9, 0, 1).session(0);
    LoadRequest first = session.next();
    assertEquals("[\"system: Be brief.\",\"user: one\"]", said(first));
    assertEquals(9, first.maxTokens());
    assertEquals(1, first.tags().turn());
    assertTrue(session.hasNext());
    session.answered("SERVER");
    LoadRequest second = session.next();
    assertEquals(
        "[\"system: Be brief.\",\"user: one\",\"assistant: SERVER\",\"user: two\"]", said(second));
    assertEquals(2, second.tags().turn());
    assertEquals("[\"system: Be brief.\",\"user: one\"]", said(first)); // still what it was
    assertNotEquals(first.seed(), second.seed());
    assertFalse(session.hasNext()); // no more than two turns
    assertEquals("[\"user: other\"]", said(new SessionDataset(sessions, 9, 0, 1).request(3)));
  }

  private static String said(LoadRequest request) {
    StringBuilder text = new StringBuilder("[");
    ((Prompt.Messages) request.prompt())
        .messages()
        .forEach(
            message ->
                text.append(text.length() == 1 ? "\"" : ",\"")
                    .append(message.get("role").asText())
                    .append(": ")
                    .append(message.get("content").asText())
                    .append('"'));
    return text + "]";
  }

  @Test
  void randomSession_hasItsShapeAndItsSeed() {
    WordPrompts maker = new WordPrompts(1, 0);
    Sessions sessions = new RandomSessions(maker, 1, 3, 40, 5);
    List<String> turns = sessions.script(7).turns();
    assertEquals(List.of(40, 5, 5), turns.stream().map(t -> t.split(" ").length).toList());
    assertEquals(turns, new RandomSessions(maker, 1, 3, 40, 5).script(7).turns());
    assertNotEquals(turns, sessions.script(8).turns());
    assertNotEquals(turns.get(1), turns.get(2));
  }

  @Test
  void thinkTime_hasItsMean() {
    Sessions sessions = index -> new Sessions.Script("", List.of("a"));
    double sum = 0;
    for (int i = 0; i < 4000; i++) {
      sum += new SessionDataset(sessions, 1, 2, 5).session(i).thinkNanos() / 1e9;
    }
    assertEquals(2, sum / 4000, 0.12); // four standard errors
    assertEquals(0, new SessionDataset(sessions, 1, 0, 5).session(0).thinkNanos());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          [nonsense                                             | not JSON
          []                                                    | no conversation of two messages
          [{"prompt": "a"}]                                     | has no list of conversations
          [{"conversations": [{"from": "human", "text": "a"}]}] | it has [from, text]
          [{"conversations": [{"from": 1, "value": "a"}]}]      | must have from and value
          """)
  void badFile_isNamed(String text, String why) throws IOException {
    Path file = file(text);
    DatasetException e = assertThrows(DatasetException.class, () -> FileSessions.read(file, 9));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(why), message);
    assertTrue(message.startsWith(file.toString()), message);
  }
}
