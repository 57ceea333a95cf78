package io.tercel.loadtests.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.metrics.Window;
import io.tercel.loadtests.traffic.Pace;
import io.tercel.loadtests.traffic.RunResult;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlotsTest {
  private static final long MS = 1_000_000;

  @ParameterizedTest
  @CsvSource({"0, 0, ''", "1, 50, 50", "2, 90, 90", "3, 95, 95", "4, 99, 99", "5, 99.9, 99.9"})
  void ticks_areAtTheirPercentiles(double place, double percentile, String label) {
    assertEquals(percentile, PercentileAxis.percentile(place), 1e-9);
    assertEquals(label, PercentileAxis.label(place));
    assertEquals("", PercentileAxis.label(place + 0.5));
    assertTrue(PercentileAxis.percentile(place + 0.3) > percentile || place == 5);
  }

  /** Requests of 20 tokens, a few of them slow. */
  private static RunReport report(int requests) {
    SplittableRandom random = new SplittableRandom(1);
    List<RequestTrace> traces = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      RequestTrace trace = new RequestTrace(i, RequestTrace.Client.PATIENT, i * 20 * MS, false);
      trace.sent(i * 20 * MS);
      long now = i * 20 * MS + (long) (80 * MS * Math.exp(0.5 * random.nextGaussian()));
      for (int token = 0; token < 20; token++) {
        trace.tokens(now, true);
        now += (long) (12 * MS * Math.exp(0.4 * random.nextGaussian()));
      }
      trace.finish(now);
      trace.usage(100, 0, 20, 0);
      trace.completed(now);
      traces.add(trace);
    }
    RunInfo info =
        new RunInfo(
            LocalDateTime.of(2026, 1, 1, 0, 0),
            "openai",
            "/v1/completions",
            "x",
            "m",
            "random",
            requests,
            Pace.of(50, 1),
            0,
            0,
            0,
            0);
    return RunReport.of(
        info,
        new RunResult(traces, new Window(0, requests * 20 * MS + 1)),
        new Slo(Map.of()),
        List.of());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 1500})
  void run_isDrawnOnWhite(int requests, @TempDir Path directory) throws IOException {
    Path file = directory.resolve("plot.png");
    assertTrue(Plots.run(report(requests), file));
    BufferedImage image = ImageIO.read(file.toFile());
    assertEquals(1600, image.getWidth());
    assertEquals(900, image.getHeight());
    int white = 0;
    for (int x = 0; x < image.getWidth(); x += 10) {
      for (int y = 0; y < image.getHeight(); y += 10) {
        white += (image.getRGB(x, y) & 0xFFFFFF) == 0xFFFFFF ? 1 : 0;
      }
    }
    assertTrue(white > 0.85 * 160 * 90, "white places: " + white);
  }

  @Test
  void nothing_isNotDrawn(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("plot.png");
    assertFalse(Plots.run(report(0), file));
    assertFalse(Files.exists(file));
  }
}
