package io.tercel.loadtests.compare;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.metrics.LatencyMetric;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleBiFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a run b is to a run a: ratios of throughput and latencies, with intervals. An interval holds
 * what varies within the two runs; what varies from one run of a server to the next is not in it.
 */
public final class Comparison {
  /** Values beyond a percentile that it takes to say anything about it. */
  private static final int BEYOND = 5;

  /** Stretches of time that throughput is cut into. */
  private static final int MIN_STRETCHES = 20;

  private static final int MAX_STRETCHES = 1000;
  private static final double MS = 1000;

  /** What can be told. */
  public enum Verdict {
    BETTER("b is better"),
    WORSE("b is worse"),
    NONE("no difference can be told"),
    TOO_FEW("too few requests to tell");

    private final String text;

    Verdict(String text) {
      this.text = text;
    }

    public String text() {
      return text;
    }
  }

  /**
   * One figure.
   *
   * @param interval of b / a; null where too few values say anything
   */
  record Row(
      String name, double a, double b, Bootstrap.@Nullable Interval interval, Verdict verdict) {}

  private final List<Row> rows = new ArrayList<>();
  private final Bootstrap bootstrap;

  private Comparison(Bootstrap bootstrap) {
    this.bootstrap = bootstrap;
  }

  /**
   * Compares.
   *
   * @param percentiles of each latency, above 0 to below 100
   * @param resamples how often each run is resampled
   * @param confidence of the intervals, such as 0.95
   */
  public static Comparison of(
      SavedRun a, SavedRun b, List<Double> percentiles, int resamples, double confidence) {
    Comparison comparison = new Comparison(new Bootstrap(resamples, confidence));
    comparison.throughput(a, b);
    for (LatencyMetric metric :
        List.of(LatencyMetric.TTFT, LatencyMetric.TPOT, LatencyMetric.ITL, LatencyMetric.E2EL)) {
      comparison.latency(metric, sample(a, metric), sample(b, metric), percentiles);
    }
    return comparison;
  }

  /** What can be told of the figure of that name, as the table has it. */
  public Verdict verdict(String name) {
    return rows.stream()
        .filter(row -> row.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(name))
        .verdict();
  }

  private void throughput(SavedRun a, SavedRun b) {
    if (a.hasTimes() && b.hasTimes()) {
      Sample ofA = tokensOverTime(a);
      Sample ofB = tokensOverTime(b);
      add("output tok/s", ofA, ofB, Sample::mean, false);
    } else {
      rows.add(new Row("output tok/s", tokens(a), tokens(b), null, Verdict.TOO_FEW));
    }
  }

  private static double tokens(SavedRun run) {
    return run.requests().stream().mapToInt(SavedRun.Request::outputTokens).sum() / run.duration();
  }

  /** Tokens a second in stretches of a second or so: what differs is when they came. */
  private static Sample tokensOverTime(SavedRun run) {
    int stretches =
        (int) Math.max(MIN_STRETCHES, Math.min(MAX_STRETCHES, Math.floor(run.duration())));
    double length = run.duration() / stretches;
    double[] tokens = new double[stretches];
    for (SavedRun.Request request : run.requests()) {
      double perArrival = (double) request.outputTokens() / (request.itls().length + 1);
      double time = request.start() + request.ttft();
      for (int i = 0; i <= request.itls().length; i++) {
        int stretch = (int) Math.max(0, Math.min(stretches - 1, Math.floor(time / length)));
        tokens[stretch] += perArrival / length;
        time += i < request.itls().length ? request.itls()[i] : 0;
      }
    }
    List<double[]> units = new ArrayList<>();
    for (double each : tokens) {
      units.add(new double[] {each});
    }
    return Sample.of(units);
  }

  private static Sample sample(SavedRun run, LatencyMetric metric) {
    List<double[]> units = new ArrayList<>();
    for (SavedRun.Request request : run.requests()) {
      units.add(
          switch (metric) {
            case TTFT -> new double[] {request.ttft() * MS};
            case E2EL -> new double[] {request.e2el() * MS};
            case TPOT ->
                request.outputTokens() < 2
                    ? new double[0]
                    : new double[] {
                      (request.e2el() - request.ttft()) / (request.outputTokens() - 1) * MS
                    };
            case ITL -> Arrays.stream(request.itls()).map(s -> s * MS).toArray();
            case TTFAT -> throw new IllegalArgumentException("not every request thinks");
          });
    }
    return Sample.of(units);
  }

  private void latency(LatencyMetric metric, Sample a, Sample b, List<Double> percentiles) {
    if (a.size() == 0 || b.size() == 0) {
      return;
    }
    add(metric.name() + " mean ms", a, b, Sample::mean, true);
    for (double percentile : percentiles) {
      String name =
          "%s p%s ms"
              .formatted(
                  metric.name(),
                  BigDecimal.valueOf(percentile).stripTrailingZeros().toPlainString());
      ToDoubleBiFunction<Sample, int[]> statistic = (s, w) -> s.percentile(percentile, w);
      double beyond = Math.min(a.size(), b.size()) * (1 - percentile / 100);
      if (beyond < BEYOND) {
        rows.add(
            new Row(
                name,
                statistic.applyAsDouble(a, a.once()),
                statistic.applyAsDouble(b, b.once()),
                null,
                Verdict.TOO_FEW));
      } else {
        add(name, a, b, statistic, true);
      }
    }
  }

  private void add(
      String name,
      Sample a,
      Sample b,
      ToDoubleBiFunction<Sample, int[]> statistic,
      boolean lessIsBetter) {
    Bootstrap.Interval interval = bootstrap.ratio(a, b, statistic);
    Verdict verdict =
        interval.contains(1)
            ? Verdict.NONE
            : (interval.to() < 1) == lessIsBetter ? Verdict.BETTER : Verdict.WORSE;
    rows.add(
        new Row(
            name,
            statistic.applyAsDouble(a, a.once()),
            statistic.applyAsDouble(b, b.once()),
            interval,
            verdict));
  }

  /** For the terminal. */
  public String table() {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT, "%-14s %11s %11s %7s  %-17s%n", "", "a", "b", "b / a", "interval"));
    for (Row row : rows) {
      Bootstrap.Interval interval = row.interval();
      out.append(
          String.format(
              Locale.ROOT,
              "%-14s %11.2f %11.2f %7.3f  %-17s %s%n",
              row.name(),
              row.a(),
              row.b(),
              Bootstrap.ratio(row.a(), row.b()),
              interval == null
                  ? ""
                  : String.format(Locale.ROOT, "%.3f to %.3f", interval.from(), interval.to()),
              row.verdict().text()));
    }
    return out.toString();
  }

  /** As JSON: an entry a figure. */
  public ObjectNode json() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    for (Row row : rows) {
      ObjectNode node = json.putObject(row.name());
      node.put("a", row.a()).put("b", row.b()).put("ratio", Bootstrap.ratio(row.a(), row.b()));
      Bootstrap.Interval interval = row.interval();
      if (interval != null) {
        node.put("from", interval.from()).put("to", interval.to());
      }
      node.put("verdict", row.verdict().name().toLowerCase(Locale.ROOT));
    }
    return json;
  }
}
