package io.tercel.trainer.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.client.ChatAnswer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class EvalReportTest {
  private static EvalResult result(
      long seed, @Nullable String family, boolean correct, int thought, String finish) {
    BenchmarkProblem problem = new BenchmarkProblem("1", "q", "a", family, false);
    ChatAnswer answer = new ChatAnswer("", "", finish, 1, thought + 1, thought);
    return new EvalResult(problem, seed, seed, answer, "a", correct, null);
  }

  @Test
  void accuracy_binomialError_goldens() {
    assertEquals(0.017031, new Accuracy(412, 500).standardError(), 1e-6);
    assertEquals("82.40 % ± 1.70 (412/500)", new Accuracy(412, 500).toString());
    assertEquals(0.5, new Accuracy(1, 2).mean());
    assertEquals(0.353553, new Accuracy(1, 2).standardError(), 1e-6);
    assertEquals(0, new Accuracy(5, 5).standardError());
    assertEquals("none", new Accuracy(0, 0).toString());
  }

  @Test
  void of_groupsBySeedAndFamily() {
    List<EvalResult> results =
        List.of(
            result(43, "add", true, 10, "stop"),
            result(42, "add", true, 20, "stop"),
            result(42, "sub", false, 100, "length"),
            result(43, "sub", true, 40, "stop"));
    EvalReport report = EvalReport.of(results);
    assertEquals(new Accuracy(3, 4), report.overall());
    assertEquals("{42=50.00 % ± 35.36 (1/2), 43=100.00 % ± 0.00 (2/2)}", report.seeds().toString());
    assertEquals(new Accuracy(1, 2), report.families().get("sub"));
    assertEquals(42.5, report.thinkingMean());
    assertEquals(30, report.thinkingMedian());
    assertEquals("{length=1, stop=3}", report.finishReasons().toString());
    assertEquals(
        List.of(
            "accuracy          75.00 % ± 21.65 (3/4)",
            "  seed 42          50.00 % ± 35.36 (1/2)",
            "  seed 43          100.00 % ± 0.00 (2/2)",
            "  add              100.00 % ± 0.00 (2/2)",
            "  sub              50.00 % ± 35.36 (1/2)",
            "thinking tokens   mean 42.5, median 30.0",
            "finish reasons    length 1, stop 3"),
        report.lines());
  }

  @Test
  void of_noFamiliesAndNoCounts() {
    EvalReport report = EvalReport.of(List.of(result(1, null, false, -1, "stop")));
    assertTrue(report.families().isEmpty());
    assertTrue(report.lines().contains("thinking tokens   not told by the server"));
  }

  @Test
  void requestSeed_differsByProblemAndFitsJson() {
    List<Long> seeds = new ArrayList<>();
    for (long seed : new long[] {0, 42, 43, -1}) {
      for (int i = 0; i < 100; i++) {
        long drawn = EvalPlan.requestSeed(seed, i);
        assertTrue(drawn >= 0 && drawn < 1L << 53);
        seeds.add(drawn);
      }
    }
    assertEquals(400, seeds.stream().distinct().count());
    assertNotEquals(EvalPlan.requestSeed(42, 1), EvalPlan.requestSeed(43, 0));
  }
}
