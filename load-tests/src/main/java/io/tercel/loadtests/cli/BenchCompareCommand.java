package io.tercel.loadtests.cli;

import io.tercel.loadtests.compare.Comparison;
import io.tercel.loadtests.compare.ComparisonException;
import io.tercel.loadtests.compare.SavedRun;
import io.tercel.loadtests.report.ResultJson;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tercel bench compare}: two results of bench serve side by side. */
@CommandLine.Command(
    name = "compare",
    description = {
      "Compares two results that bench serve (or vllm bench serve) wrote with --save-detailed:"
          + " ratios b / a with bootstrap intervals, and whether a difference can be told.",
      "An interval holds what varies within these two runs, not from run to run."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class BenchCompareCommand implements Command {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(index = "0", paramLabel = "A.json", description = "What it is compared with.")
  private Path a = Path.of("");

  @Parameters(index = "1", paramLabel = "B.json", description = "What is compared.")
  private Path b = Path.of("");

  @Option(
      names = "--metric-percentiles",
      split = ",",
      paramLabel = "P",
      description = "Percentiles of each latency (default: 50,90,99).")
  private List<Double> percentiles = List.of(50.0, 90.0, 99.0);

  @Option(
      names = "--confidence",
      paramLabel = "SHARE",
      description = "Of each interval (default: ${DEFAULT-VALUE}).")
  private double confidence = 0.95;

  @Option(
      names = "--resamples",
      paramLabel = "N",
      description =
          "How often the runs are resampled; with very many tokens less (default:"
              + " ${DEFAULT-VALUE}).")
  private int resamples = 2000;

  @Option(names = "--save-result", paramLabel = "FILE", description = "The comparison as JSON.")
  private @Nullable Path saveResult;

  @Override
  public String parent() {
    return "bench";
  }

  @Override
  public Integer call() throws IOException {
    check();
    try {
      SavedRun first = SavedRun.read(a);
      SavedRun second = SavedRun.read(b);
      Comparison comparison = Comparison.of(first, second, percentiles, resamples, confidence);
      PrintWriter out =
          spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
      out.printf(Locale.ROOT, "a: %s, %d requests answered%n", a, first.size());
      out.printf(Locale.ROOT, "b: %s, %d requests answered%n", b, second.size());
      out.print(comparison.table());
      if (saveResult != null) {
        ResultJson.write(comparison.json(), saveResult);
        out.println("Wrote " + saveResult);
      }
      out.flush();
      return 0;
    } catch (ComparisonException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private void check() {
    for (Path file : List.of(a, b)) {
      if (!Files.isRegularFile(file)) {
        throw new UserException(file + ": no such file");
      }
    }
    for (double percentile : percentiles) {
      if (!(percentile > 0 && percentile < 100)) {
        throw new UserException(
            "--metric-percentiles: " + percentile + "; expected above 0, to below 100");
      }
    }
    if (!(confidence > 0.5 && confidence < 1)) {
      throw new UserException("--confidence: " + confidence + "; expected 0.5 to 1, such as 0.95");
    }
    if (resamples < 200 || resamples > 1_000_000) {
      throw new UserException("--resamples: " + resamples + "; expected 200 to 1000000");
    }
    ReportOptions.writable("--save-result", saveResult);
  }
}
