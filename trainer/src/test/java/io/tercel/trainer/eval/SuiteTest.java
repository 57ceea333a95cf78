package io.tercel.trainer.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.trainer.eval.code.Namespaces;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

@Timeout(60)
final class SuiteTest {
  @TempDir Path temp;
  private Path suites;
  private Path answers;
  private StringWriter out = new StringWriter();
  private StringWriter err = new StringWriter();

  @BeforeEach
  void write() throws IOException {
    suites = temp.resolve("suites");
    answers = temp.resolve("answers.jsonl");
    put(
        "gsm8k/test.jsonl",
        "{\"question\":\"g1?\",\"answer\":\"so\\n#### 7\"}\n{\"question\":\"g2?\",\"answer\":\"#### 8\"}\n");
    put("gsm8k/train.jsonl", "{\"question\":\"never asked\",\"answer\":\"#### 7\"}\n");
    put("AIME2025/aime2025-I.jsonl", "{\"question\":\"a1?\",\"answer\":\"70\"}\n");
    put("AIME2025/aime2025-II.jsonl", "{\"question\":\"a2?\",\"answer\":\"7\"}\n");
    put(
        "AIME_2024.jsonl",
        "{\"ID\":\"2024-I-1\",\"Problem\":\"b?\",\"Solution\":\"s\",\"Answer\":7}\n");
    put("MATH-500/test.jsonl", "{\"problem\":\"m?\",\"answer\":\"7\",\"unique_id\":\"t/1\"}\n");
    put("MATH-500/README.md", "no data");
    put(
        "gpqa/gpqa_diamond.csv",
        "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\nq,r,w,x,y\n");
  }

  private void put(String name, String text) throws IOException {
    Path file = suites.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private int eval(String url, String... more) {
    out = new StringWriter();
    err = new StringWriter();
    List<String> args = new ArrayList<>(List.of("--url", url, "--out", answers.toString()));
    args.addAll(List.of(more));
    CommandLine commandLine = new CommandLine(new EvalCommand());
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    commandLine.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (e instanceof UserException) {
            command.getErr().println(e.getMessage());
            return 1;
          }
          throw e;
        });
    return commandLine.execute(args.toArray(String[]::new));
  }

  private static String seven(String prompt) {
    return "It is \\boxed{7}.";
  }

  @Test
  void suite_ofAFolder_isOneTable() throws IOException {
    try (FakeModel model = new FakeModel(SuiteTest::seven)) {
      assertEquals(0, eval(model.url(), "--suite", suites.toString()), err::toString);
      assertEquals(21, model.requests.size(), "7 problems by three seeds");
      JsonNode request = model.requests.getFirst();
      assertEquals(0.6, request.get("temperature").asDouble());
      assertEquals(0.95, request.get("top_p").asDouble());
      assertEquals(32_768, request.get("max_completion_tokens").asInt());
    }
    List<String> lines = out.toString().lines().toList();
    assertEquals(
        List.of("suite", "aime-2024", "aime-2025", "gpqa-diamond", "gsm8k", "math-500", "average"),
        lines.stream().map(line -> line.split(" +")[0]).toList());
    assertEquals("aime-2025 2 50.00 0.00 9.0 0.0", lines.get(2).replaceAll(" +", " "));
    assertEquals("gsm8k 2 50.00 0.00 9.0 0.0", lines.get(4).replaceAll(" +", " "));
    assertEquals("average 60.00", lines.get(6).replaceAll(" +", " "));
    List<String> file = Files.readAllLines(answers);
    assertEquals(22, file.size());
    JsonNode line = new ObjectMapper().readTree(file.get(1));
    assertEquals("aime-2024", line.get("suite").asText());
    assertEquals("2024-I-1", line.get("id").asText());
    assertTrue(line.get("correct").asBoolean());
  }

  /** As the hub has them, in parquet. */
  @Test
  void published_isFetched() throws Exception {
    List<String> asked = new ArrayList<>();
    Path parquet = Path.of(getClass().getResource("/parquet/test-00000-of-00001.parquet").toURI());
    SuiteFolder found =
        SuiteFolder.published(
            List.of("gsm8k", "aime-120"),
            (repo, choice) -> {
              asked.add(repo + " " + choice.pattern() + " " + choice.split());
              return List.of(parquet);
            });
    assertEquals(
        List.of(
            "openai/gsm8k main test",
            "AI-MO/aimo-validation-aime  test",
            "opencompass/AIME2025 aime2025-*.jsonl test"),
        asked);
    assertEquals(
        List.of("7", "4"),
        found.suite("gsm8k", false).problems().stream().map(BenchmarkProblem::answer).toList());
    assertEquals(
        4,
        found.suite("aime-120", false).problems().stream()
            .map(BenchmarkProblem::id)
            .distinct()
            .count());
    UserException e =
        assertThrows(
            UserException.class, () -> SuiteFolder.published(List.of("mmlu"), (_, _) -> List.of()));
    assertTrue(
        String.valueOf(e.getMessage())
            .contains("mmlu: no such folder, and of the hub there are gsm8k"),
        e::toString);
  }

  @Test
  void suite_ofAShortContext_isBoundedByIt() throws IOException {
    try (FakeModel model = new FakeModel(SuiteTest::seven)) {
      model.card = "{\"id\":\"fake\",\"max_model_len\":32768}";
      assertEquals(0, eval(model.url(), "--suite", suites.toString(), "--n", "1"), err::toString);
      assertFalse(model.requests.getFirst().has("max_completion_tokens"));
      model.card = "{\"id\":\"fake\",\"max_model_len\":131072}";
      model.requests.clear();
      assertEquals(0, eval(model.url(), "--suite", suites.toString(), "--n", "1", "--overwrite"));
      assertEquals(32_768, model.requests.getFirst().get("max_completion_tokens").asInt());
    }
  }

  @Test
  void suite_thatWasStopped_goesOnWhereItsFileEnds() throws IOException {
    String[] args = {"--suite", "gsm8k,math-500", "--data", suites.toString(), "--seeds", "1,2"};
    try (FakeModel model = new FakeModel(SuiteTest::seven)) {
      assertEquals(0, eval(model.url(), args), err::toString);
      String table = out.toString();
      byte[] whole = Files.readAllBytes(answers);
      List<String> lines = Files.readAllLines(answers);
      assertEquals(7, lines.size());
      // stopped within the third answer
      String kept = String.join("\n", lines.subList(0, 3)) + "\n" + lines.get(3).substring(0, 20);
      Files.writeString(answers, kept);
      model.requests.clear();
      assertEquals(0, eval(model.url(), args), err::toString);
      assertEquals(4, model.requests.size(), "two of six were there");
      assertEquals(table, out.toString());
      assertEquals(new String(whole), Files.readString(answers), "the same file in the end");
      model.requests.clear();
      assertEquals(0, eval(model.url(), args), err::toString);
      assertEquals(0, model.requests.size());
      assertEquals(table, out.toString());
      assertEquals(1, eval(model.url(), "--suite", suites.toString(), "--temperature", "1"));
      assertTrue(err.toString().contains("was begun with"), err::toString);
      assertEquals(
          0,
          eval(model.url(), "--suite", suites.toString(), "--greedy", "--overwrite", "--n", "1"));
      assertEquals(6, Files.readAllLines(answers).size());
    }
  }

  @Test
  void suite_failedRequests_areRepeatedNextTime() throws IOException {
    String[] args = {"--suite", "gsm8k", "--data", suites.toString(), "--greedy"};
    try (FakeModel model = new FakeModel(p -> p.startsWith("g2") ? "" : "7")) {
      assertEquals(1, eval(model.url(), args));
      assertTrue(err.toString().contains("1 requests failed"), err::toString);
      assertTrue(out.toString().replaceAll(" +", " ").contains("gsm8k 2 50.00 - "), out::toString);
    }
    try (FakeModel model = new FakeModel(p -> "8")) {
      assertEquals(0, eval(model.url(), args), err::toString);
      assertEquals(1, model.requests.size());
      assertTrue(out.toString().contains("100.00"), out::toString);
    }
  }

  @Test
  void table_errorIsOfTheSeeds() {
    List<SuiteScore> scores = new ArrayList<>();
    for (int seed = 0; seed < 3; seed++) { // 25, 50 and 75 %
      for (int i = 0; i < 4; i++) {
        scores.add(new SuiteScore("s", seed, "p" + i, i <= seed, 10 * i, i == 3));
      }
    }
    SuiteTable.Row row = SuiteTable.Row.of(scores);
    assertEquals(4, row.problems());
    assertEquals(50, row.accuracy(), 1e-9);
    assertEquals(25 / Math.sqrt(3), row.standardError(), 1e-9);
    assertEquals(15, row.tokens(), 1e-9);
    assertEquals(25, row.cut(), 1e-9);
  }

  @Test
  void suite_badOptions_areOneLine() throws IOException {
    String url = "http://127.0.0.1:1";
    refuse("no aime-2023 in", url, "--suite", "aime-2023", "--data", suites.toString());
    refuse("mmlu: no such folder, and of the hub there are gsm8k", url, "--suite", "mmlu");
    Path empty = Files.createDirectory(temp.resolve("empty"));
    refuse("no benchmark in", url, "--suite", empty.toString());
    Files.writeString(empty.resolve("math-500.parquet"), "PAR1");
    refuse("no parquet that can be read", url, "--suite", empty.toString());
    Files.writeString(answers, "{\"suite\":\"x\"}\n");
    try (FakeModel model = new FakeModel(SuiteTest::seven)) {
      refuse("was begun with no settings", model.url(), "--suite", suites.toString());
      assertEquals(0, model.requests.size());
    }
    assertFalse(Files.readString(answers).isEmpty());
  }

  private void refuse(String message, String url, String... args) {
    assertEquals(1, eval(url, args));
    assertTrue(err.toString().contains(message), err::toString);
    assertEquals(1, err.toString().lines().count(), err::toString);
  }

  @Test
  void suite_livecodebench_judgesPrograms() throws IOException, InterruptedException {
    Namespaces.assume();
    put(
        "livecodebench/test.jsonl",
        "{\"question_id\":\"q\",\"question_content\":\"Print seven.\",\"starter_code\":\"\","
            + "\"public_test_cases\":\"[{\\\"input\\\":\\\"\\\",\\\"output\\\":\\\"7\\\",\\\"testtype\\\":\\\"stdin\\\"}]\","
            + "\"private_test_cases\":\"[]\",\"metadata\":\"{}\"}\n");
    String[] args = {"--suite", "livecodebench", "--data", suites.toString(), "--seeds", "1,2"};
    try (FakeModel model = new FakeModel(p -> "So:\n```python\nprint(7)\n```\n")) {
      int code = eval(model.url(), args);
      assertEquals(0, code, err::toString);
    }
    assertTrue(out.toString().replaceAll(" +", " ").contains("livecodebench 1 100.00 0.00"));
  }
}
