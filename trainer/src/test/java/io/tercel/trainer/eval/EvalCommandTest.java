package io.tercel.trainer.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.server.client.ChatClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

@Timeout(60)
class EvalCommandTest {
  @TempDir Path folder;
  private Path data;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void writeData() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      lines.append(
          "{\"problem\":\"%d + 1?\",\"answer\":\"%d\",\"family\":\"%s\"}%n"
              .formatted(i, i + 1, i % 2 == 0 ? "even" : "odd"));
    }
    data = Files.writeString(folder.resolve("data.jsonl"), lines);
  }

  /** Right for even numbers. */
  private static String halfRight(String prompt) {
    int i = Integer.parseInt(prompt.substring(0, prompt.indexOf(' ')));
    return "So it is \\boxed{" + (i % 2 == 0 ? i + 1 : i) + "}.";
  }

  private int eval(String url, String... more) {
    List<String> args = new ArrayList<>(List.of("--url", url, "--data", data.toString()));
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

  @Test
  void eval_threeSeeds_reportsAndWritesInOrder() throws IOException {
    Path results = folder.resolve("results.jsonl");
    try (FakeModel model = new FakeModel(EvalCommandTest::halfRight)) {
      assertEquals(
          0, eval(model.url(), "--out", results.toString(), "--concurrency", "4"), err::toString);
      assertEquals(60, model.requests.size());
      assertTrue(model.mostRunning.get() <= 4 && model.mostRunning.get() > 1);
      JsonNode request = model.requests.getFirst();
      assertEquals("fake", request.get("model").asText());
      assertEquals(0.6, request.get("temperature").asDouble());
      assertEquals(0.95, request.get("top_p").asDouble());
      assertEquals(1, request.get("messages").size(), "no system prompt");
      assertTrue(
          request
              .at("/messages/0/content")
              .asText()
              .endsWith(
                  "?\n\nPlease reason step by step, and put your final answer within \\boxed{}."));
      assertEquals(60, model.requests.stream().map(r -> r.get("seed").asLong()).distinct().count());
    }
    assertTrue(out.toString().contains("accuracy          50.00 % ± 6.45 (30/60)"), out::toString);
    assertTrue(out.toString().contains("seed 43          50.00 % ± 11.18 (10/20)"), out::toString);
    assertTrue(out.toString().contains("even             100.00 % ± 0.00 (30/30)"), out::toString);
    List<String> lines = Files.readAllLines(results);
    assertEquals(60, lines.size());
    for (int i = 0; i < 60; i++) {
      JsonNode line = new ObjectMapper().readTree(lines.get(i));
      assertEquals(i % 20 + " + 1?", line.get("problem").asText());
      assertEquals(42 + i / 20, line.get("seed").asInt());
      assertEquals(i % 2 == 0, line.get("correct").asBoolean());
      assertEquals(4, line.get("reasoning_tokens").asInt());
    }
    JsonNode second = new ObjectMapper().readTree(lines.get(1));
    assertEquals("1", second.get("given").asText());
    assertEquals("2", second.get("answer").asText());
    assertEquals("stop", second.get("finish_reason").asText());
    assertEquals(9, second.get("tokens").asInt());
    assertEquals("So it is \\boxed{1}.", second.get("text").asText());
    assertEquals(EvalPlan.requestSeed(42, 1), second.get("request_seed").asLong());
  }

  @Test
  void eval_greedy_asksOnceWithoutSeeds() throws IOException {
    try (FakeModel model = new FakeModel(EvalCommandTest::halfRight)) {
      assertEquals(
          0,
          eval(
              model.url(),
              "--greedy",
              "--n",
              "3",
              "--max-tokens",
              "77",
              "--prompt-template",
              "{problem} Go."),
          err::toString);
      assertEquals(3, model.requests.size());
      JsonNode request = model.requests.getFirst();
      assertEquals(0, request.get("temperature").asDouble());
      assertFalse(request.has("seed") || request.has("top_p"));
      assertEquals(77, request.get("max_completion_tokens").asInt());
      assertTrue(request.at("/messages/0/content").asText().endsWith("? Go."));
    }
    assertTrue(out.toString().contains("66.67 %"), out::toString);
    assertFalse(out.toString().contains("seed"), out::toString);
  }

  @Test
  void eval_refusedRequests_countAsWrongAndFail() throws IOException {
    try (FakeModel model = new FakeModel(p -> p.startsWith("1 ") ? "" : halfRight(p))) {
      assertEquals(1, eval(model.url(), "--greedy", "--n", "4"));
    }
    assertTrue(out.toString().contains("50.00 %"), out::toString);
    assertTrue(err.toString().contains("1 of 4 requests failed"), err::toString);
    assertTrue(err.toString().contains("prompt: too long"), err::toString);
  }

  @Test
  void run_busyServer_isAskedAgain() throws Exception {
    EvalPlan plan = new EvalPlan(Benchmark.read(data), null, List.of(1L), 0, null, null, 5);
    List<EvalResult> results = new ArrayList<>();
    try (FakeModel model = new FakeModel(EvalCommandTest::halfRight);
        ChatClient client = new ChatClient(URI.create(model.url()), null)) {
      model.busy.set(4);
      new EvalRun(client, "fake", plan, Duration.ofMillis(1)).run(results::add);
    }
    assertEquals(new Accuracy(10, 20), EvalReport.of(results).overall());
    assertEquals(0, EvalReport.of(results).errors());
  }

  @Test
  void eval_badOptions_areOneLine() throws IOException {
    Path existing = Files.writeString(folder.resolve("old.jsonl"), "");
    String url = "http://127.0.0.1:1";
    assertEquals(1, eval(url));
    assertEquals(1, eval(url, "--temperature", "NaN"));
    assertEquals(1, eval(url, "--top-p", "0"));
    assertEquals(1, eval(url, "--seeds", "1,1"));
    assertEquals(1, eval(url, "--concurrency", "0"));
    assertEquals(1, eval(url, "--n", "0"));
    assertEquals(1, eval(url, "--prompt-template", "no place"));
    assertEquals(1, eval(url, "--out", existing.toString()));
    List<String> lines = err.toString().lines().toList();
    assertEquals(8, lines.size(), err::toString);
    assertTrue(lines.getFirst().contains("no server answers"), lines.getFirst());
    assertTrue(lines.subList(1, 8).stream().allMatch(l -> l.startsWith("--")), err::toString);
  }

  @Test
  void eval_isRegistered() {
    assertTrue(
        ServiceLoader.load(Command.class).stream().anyMatch(p -> p.type() == EvalCommand.class));
  }
}
