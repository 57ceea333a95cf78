package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.Specimen;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.testing.TestServing;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The trained specimen, where it lies beside the repository, answers its held-out problems over
 * HTTP.
 */
class SpecimenServedTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private record Problem(String text, String answer, String greedy) {}

  private Path specimen = Path.of("");

  @TempDir private Path directory;

  @BeforeEach
  void find() {
    assumeTrue(Specimen.find().isPresent(), "no specimen beside the repository");
    specimen = Specimen.find().get();
  }

  private List<Problem> problems() throws Exception {
    List<Problem> problems = new ArrayList<>();
    for (String line : Files.readAllLines(specimen.resolve("heldout.jsonl"))) {
      JsonNode p = JSON.readTree(line);
      problems.add(
          new Problem(
              p.path("problem").asText(), p.path("answer").asText(), p.path("greedy").asText()));
    }
    return problems;
  }

  private static List<String> texts(TestServing serving, List<Problem> problems) throws Exception {
    try (ExecutorService clients = Executors.newFixedThreadPool(16)) {
      List<Callable<String>> calls = new ArrayList<>();
      for (Problem problem : problems) {
        calls.add(() -> ask(serving, problem.text()));
      }
      List<String> texts = new ArrayList<>();
      for (Future<String> text : clients.invokeAll(calls)) {
        texts.add(text.get());
      }
      return texts;
    }
  }

  private static String ask(TestServing serving, String problem) throws Exception {
    JsonNode answer =
        serving.post(
            "/v1/chat/completions",
            Map.of(
                "temperature",
                0,
                "max_tokens",
                300,
                "messages",
                List.of(Map.of("role", "user", "content", problem))));
    JsonNode message = answer.path("choices").path(0).path("message");
    return message.path("reasoning").asText() + "</think>" + message.path("content").asText();
  }

  private static long right(List<Problem> problems, List<String> texts) {
    long right = 0;
    for (int i = 0; i < problems.size(); i++) {
      right += texts.get(i).endsWith("\\boxed{" + problems.get(i).answer() + "}") ? 1 : 0;
    }
    return right;
  }

  @Test
  void fullPrecision_saysItsGreedyTexts() throws Exception {
    List<Problem> problems = problems();
    try (TestServing serving = new TestServing(specimen, TestServing.fp32())) {
      List<String> texts = texts(serving, problems);
      List<String> greedy = problems.stream().map(Problem::greedy).toList();
      assertEquals(greedy, texts);
      long right = right(problems, texts);
      assertTrue(right >= 0.84 * problems.size(), right + " right"); // its README: 89 % on 300
      System.out.println(
          "specimen: " + right + " of " + problems.size() + " right, all texts equal");
    }
  }

  @Test
  void threeBitCopy_isServedAndWorse() throws Exception {
    List<Problem> problems = problems();
    Path copy = directory.resolve("w3");
    TinyCheckpoint.quantizedCopy(specimen, copy, GptqVariant.ASYM, 1);
    try (TestServing serving = new TestServing(copy, TestServing.fp32())) {
      List<String> texts = texts(serving, problems);
      long right = right(problems, texts);
      // three bits by rounding alone cost this model a third of its answers
      assertTrue(right > 0.4 * problems.size() && right < 0.85 * problems.size(), right + " right");
      System.out.println(
          "specimen, 3-bit asymmetric RTN: " + right + " of " + problems.size() + " right");
    }
  }
}
