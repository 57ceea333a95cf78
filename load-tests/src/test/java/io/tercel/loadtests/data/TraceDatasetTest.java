package io.tercel.loadtests.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TraceDatasetTest {
  private static final TokenIdPrompts IDS = new TokenIdPrompts(IntStream.range(0, 1000).toArray());

  @TempDir Path directory;

  private Path file(String name, String text) throws IOException {
    Path file = directory.resolve(name);
    Files.writeString(file, text);
    return file;
  }

  private static List<Integer> ids(LoadRequest request) {
    Prompt.TokenIds prompt = (Prompt.TokenIds) request.prompt();
    return IntStream.range(0, prompt.size()).map(prompt::id).boxed().toList();
  }

  /** Out of order, with a request that failed when it was recorded. */
  private TraceDataset mooncake() throws IOException {
    Path file =
        file(
            "trace.jsonl",
            """
            {"timestamp": 3000, "input_length": 25, "output_length": 7, "hash_ids": [1, 2, 9]}
            {"timestamp": 1000, "input_length": 30, "output_length": 5, "hash_ids": [1, 2, 3]}
            {"timestamp": 1500, "input_length": 30, "output_length": 0}
            {"timestamp": 4000, "input_length": 12, "output_length": 9}
            {"timestamp": 5000, "input_length": 35, "output_length": 1, "hash_ids": [1, 4, 3]}
            """);
    return new TraceDataset(TraceFile.read(file), IDS, 10, 1);
  }

  @Test
  void trace_hasItsLengthsAndSharedPrefixes() throws IOException {
    TraceDataset trace = mooncake();
    assertEquals(4, trace.size());
    List<List<Integer>> prompts =
        IntStream.range(0, 4).mapToObj(i -> ids(trace.request(i))).toList();
    assertEquals(List.of(30, 25, 12, 35), prompts.stream().map(List::size).toList());
    assertEquals(5, trace.request(0).maxTokens());
    assertEquals(prompts.get(0).subList(0, 20), prompts.get(1).subList(0, 20));
    assertNotEquals(prompts.get(0).subList(20, 25), prompts.get(1).subList(20, 25));
    assertEquals(prompts.get(0).subList(0, 10), prompts.get(3).subList(0, 10));
    assertNotEquals(prompts.get(0).subList(10, 20), prompts.get(3).subList(10, 20));
    assertNotEquals(prompts.get(0).subList(0, 10), prompts.get(2).subList(0, 10));
    // what a warm-up sends, from the second time through it, is in no cache
    assertNotEquals(prompts.get(0).subList(0, 10), ids(trace.request(4)).subList(0, 10));
  }

  @Test
  void arrivals_areItsTimesAtASpeed() throws IOException {
    TraceDataset trace = mooncake();
    long second = 1_000_000_000L;
    assertArrayEquals(
        new long[] {0, 2 * second, 3 * second, 4 * second}, trace.arrivals(1, Long.MAX_VALUE));
    assertArrayEquals(new long[] {0, second, 3 * second / 2}, trace.arrivals(2, 2 * second));
  }

  @Test
  void burstGpt_isReadToo() throws IOException {
    Path file =
        file(
            "BurstGPT_1.csv",
            """
            Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
            5,ChatGPT,472,18,490,Conversation log
            45.5,ChatGPT,1087,230,1317,Conversation log
            118,GPT-4,417,0,417,API log
            """);
    assertEquals(
        List.of(new TraceLine(5, 472, 18, List.of()), new TraceLine(45.5, 1087, 230, List.of())),
        TraceFile.read(file));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          a.jsonl | nonsense                                              | line 1: not JSON
          a.jsonl | {"input_length": 1, "output_length": 1}               | timestamp is ; expected
          a.jsonl | {"timestamp": -1, "input_length": 1, "output_length": 1} | timestamp is -1
          a.jsonl | {"timestamp": 0, "input_length": "1", "output_length": 1} | input_length is "1"
          a.jsonl | {"timestamp": 0, "input_length": 1}                   | output_length is
          a.jsonl | {"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": ["a"]} | hash_ids has "a"
          a.jsonl | {"timestamp": 0, "input_length": 0, "output_length": 1} | no requests
          a.csv   | Timestamp,Tokens                                      | expected the columns Timestamp
          """)
  void badFile_isNamed(String name, String text, String why) throws IOException {
    Path file = file(name, text + "\n");
    DatasetException e = assertThrows(DatasetException.class, () -> TraceFile.read(file));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(why), message);
  }
}
