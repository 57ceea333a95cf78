package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.quant.PtqState;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class QuantizeCommandTest {
  @TempDir private Path temp;
  private Path model;

  @BeforeEach
  void writeModel() {
    model = TinyCheckpoint.qwen3().layers(1).write(temp.resolve("model"));
  }

  private record Run(int status, String said) {}

  /** As the launcher runs it: a {@link UserException} is one line. */
  private Run run(String... args) {
    StringWriter said = new StringWriter();
    CommandLine line = new CommandLine(new QuantizeCommand());
    line.setOut(new PrintWriter(said)).setErr(new PrintWriter(said));
    line.setExecutionExceptionHandler(
        (e, _, _) -> {
          if (e instanceof UserException) {
            said.append(e.getMessage());
            return 1;
          }
          throw e;
        });
    return new Run(line.execute(args), said.toString());
  }

  private Run gptq(Path calibration, String... more) {
    String[] first = {
      "--model", model.toString(),
      "--out", temp.resolve("w3").toString(),
      "--calibration", calibration.toString(),
      "--threads", "1"
    };
    String[] args = Arrays.copyOf(first, first.length + more.length);
    System.arraycopy(more, 0, args, first.length, more.length);
    return run(args);
  }

  private Path file(String name, String content) throws IOException {
    return Files.writeString(temp.resolve(name), content);
  }

  private JsonNode report() throws IOException {
    return new ObjectMapper().readTree(temp.resolve("w3/quantize_report.json").toFile());
  }

  @Test
  void isFound_byTheServiceLoader() {
    boolean found = false;
    for (Command command : ServiceLoader.load(Command.class)) {
      found |= command instanceof QuantizeCommand;
    }
    assertTrue(found);
  }

  @Test
  void gptq_onEveryKindOfLine() throws IOException {
    Path lines =
        file(
            "c.jsonl",
            """
            {"text": "seven hawks over the field"}
            {"prompt": "2 + 2 =", "completion": " 4"}
            {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]}

            {"token_ids": [5, 6, 7, 8, 9]}
            """);
    Run run = gptq(lines, "--seed", "5");
    assertEquals(0, run.status(), run.said());
    assertTrue(run.said().contains("calibration: 4 sequences"), run.said());
    assertTrue(run.said().contains("relative error of each layer's output"), run.said());
    JsonNode report = report();
    assertEquals("gptq", report.get("method").asText());
    assertTrue(report.get("mse").asBoolean() && report.get("act_order").asBoolean());
    try (Checkpoint back = Checkpoint.open(temp.resolve("w3"));
        Tokenizer tokenizer = Tokenizer.open(temp.resolve("w3"))) {
      assertEquals(1, back.layers().size());
      assertEquals(2, tokenizer.encode("ab", true).length);
    }
    assertTrue(Files.isReadable(temp.resolve("w3/generation_config.json")));
  }

  @Test
  void gptq_onText_takesWindows() throws IOException {
    Path text = file("c.txt", "the quick brown hawk ".repeat(50));
    Run run =
        gptq(
            text,
            "--calibration-samples",
            "6",
            "--calibration-length",
            "64",
            "--no-act-order",
            "--no-mse",
            "--no-training-state");
    assertEquals(0, run.status(), run.said());
    assertTrue(run.said().contains("6 sequences, 384 tokens"), run.said());
    assertFalse(report().get("act_order").asBoolean());
    assertFalse(report().get("mse").asBoolean());
    assertFalse(Files.exists(temp.resolve("w3").resolve(PtqState.FILE)));
  }

  @Test
  void gptq_onItsOwnTraces() throws IOException {
    Path prompts = file("p.jsonl", "{\"problem\": \"1+1\"}\n{\"prompt\": \"2+2\"}\n");
    Run run = gptq(prompts, "--self-traces", "--calibration-length", "60");
    assertEquals(0, run.status(), run.said());
    assertTrue(run.said().contains("the model continues 2 prompts"), run.said());
  }

  @Test
  void rtn_needsNoCalibration() throws IOException {
    Path out = temp.resolve("w3");
    Run run = run("--model", model.toString(), "--out", out.toString(), "--method", "rtn", "--sym");
    assertEquals(0, run.status(), run.said());
    assertTrue(report().get("sym").asBoolean());
    assertFalse(report().get("mse").asBoolean());
    assertTrue(run.said().contains("relative error of each layer's weights"), run.said());
  }

  @Test
  void fourBits_byEachMethod() throws IOException {
    Path lines = file("c.jsonl", "{\"text\": \"seven hawks over the field\"}\n".repeat(3));
    for (String method : List.of("rtn", "quarot", "flatquant")) {
      Path out = temp.resolve(method);
      Run run =
          run(
              "--model",
              model.toString(),
              "--out",
              out.toString(),
              "--format",
              "w4a4kv4",
              "--method",
              method,
              "--epochs",
              "2",
              "--batch",
              "2",
              "--calibration",
              lines.toString(),
              "--threads",
              "1");
      assertEquals(0, run.status(), run.said());
      assertTrue(run.said().contains("w4a4kv4 in"), run.said());
      JsonNode report = new ObjectMapper().readTree(out.resolve("quantize_report.json").toFile());
      assertEquals(method, report.get("method").asText());
      assertEquals(3, report.at("/calibration/sequences").asInt());
      assertTrue(report.at("/layers/0/error").asDouble() > 0);
      assertTrue(report.at("/layers/0/rtn_error").asDouble() > 0);
    }
    refused(gptq(lines, "--format", "w4a4kv4", "--method", "gptq"), "--method: gptq");
    refused(gptq(lines, "--format", "w4a4kv4", "--epochs", "-1"), "--epochs: -1");
    refused(gptq(lines, "--format", "w4a4kv4", "--batch", "0"), "--batch: 0");
    refused(gptq(lines, "--format", "w4a4kv4", "--learning-rate", "0"), "--learning-rate: 0.0");
    refused(
        run("--model", model.toString(), "--out", out().toString(), "--format", "w4a4kv4"),
        "--calibration is missing");
  }

  private Path out() {
    return temp.resolve("w3");
  }

  @Test
  void badInput_isOneLineThatNamesIt() throws IOException {
    Path good = file("good.jsonl", "{\"text\": \"abc\"}");
    refused(gptq(good, "--method", "gguf"), "--method: gguf");
    refused(gptq(good, "--format", "w4"), "--format: w4");
    refused(gptq(good, "--damping", "2"), "--damping: 2.0");
    refused(gptq(good, "--checkpoint-format", "v3"), "--checkpoint-format: v3");
    refused(gptq(good, "--calibration-length", "5000"), "4096 positions");
    refused(gptq(good, "--calibration-samples", "0"), "--calibration-samples: 0");
    refused(gptq(temp.resolve("none.jsonl")), "--calibration: no such file");
    refused(gptq(file("a.jsonl", "{\"text\"")), "a.jsonl line 1: not JSON");
    refused(gptq(file("b.jsonl", "{\"txt\": \"a\"}")), "b.jsonl line 1: none of");
    refused(gptq(file("d.jsonl", "{\"token_ids\": [1, 999]}")), "token_ids[1] is 999");
    refused(gptq(file("e.jsonl", "{\"prompt\": \"a\"}")), "--self-traces");
    refused(gptq(file("f.jsonl", "{\"messages\": 3}")), "messages is empty");
    refused(gptq(file("g.txt", "a")), "two tokens or more");
    refused(gptq(file("h.txt", "abc"), "--self-traces"), "is no .jsonl");
    refused(
        run("--model", model.toString(), "--out", temp.resolve("w3").toString()),
        "--calibration is missing");
    Files.createDirectories(temp.resolve("w3/something"));
    refused(gptq(good), "--out");
  }

  private static void refused(Run run, String words) {
    assertEquals(1, run.status(), run.said());
    String line = run.said().lines().toList().getLast();
    assertTrue(line.contains(words), run.said());
  }

  @Test
  void windows_areSeeded_andShortDocumentsWhole() {
    int[] longOne = new int[1000];
    Arrays.setAll(longOne, i -> i);
    List<int[]> documents = List.of(longOne, new int[] {1, 2, 3}, new int[] {9});
    Calibration a = Calibration.draw(documents, 5, 100, 7);
    Calibration b = Calibration.draw(documents, 5, 100, 7);
    assertEquals(5, a.sequences().size());
    int shorts = 0;
    for (int i = 0; i < 5; i++) {
      int[] s = a.sequences().get(i);
      assertArrayEquals(s, b.sequences().get(i));
      shorts += s.length == 3 ? 1 : 0;
      assertTrue(s.length == 3 || s.length == 100 && s[99] == s[0] + 99);
    }
    assertEquals(1, shorts);
  }
}
