package io.tercel.loadtests.cli;

import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.report.RateSearchJson;
import io.tercel.loadtests.report.RunReport;
import io.tercel.loadtests.traffic.RateSearch;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Searches the highest rate on one server, and shows each trial. Runs once. */
final class RateFinder implements RateSearch.Server, RateSearch.Listener {
  private static final String ROW = "%9s %9s %9s %11s %11s %11s  %s%n";

  private final LoadSession session;
  private final TrafficOptions traffic;
  private final RateOptions options;
  private final PrintWriter out;
  private final List<Summary> summaries = new ArrayList<>();
  private @Nullable RunReport last;
  private @Nullable RunReport best;

  RateFinder(LoadSession session, TrafficOptions traffic, RateOptions options, PrintWriter out) {
    this.session = session;
    this.traffic = traffic;
    this.options = options;
    this.out = out;
  }

  /** Searches. */
  RateSearch.Outcome run() throws InterruptedException {
    out.printf(
        Locale.ROOT,
        ROW,
        "req/s",
        "requests",
        "in time",
        "good req/s",
        "TTFT p99 ms",
        "TPOT p99 ms",
        "");
    out.flush();
    RateSearch.Outcome outcome =
        new RateSearch(options.attainment, options.resolution, this, this).run(traffic.firstRate());
    out.println(verdict(outcome));
    out.flush();
    return outcome;
  }

  /** The run at the highest rate that was kept, else the last one. */
  RunReport best() {
    return Objects.requireNonNull(best == null ? last : best, "not run yet");
  }

  /** What goes into the result besides that run. */
  RateSearchJson json(RateSearch.Outcome outcome) {
    return new RateSearchJson(outcome, summaries, options.attainment, options.resolution);
  }

  @Override
  public double attainment(double rate) throws InterruptedException {
    int requests = traffic.trialRequests(rate);
    RunReport report =
        session.run(
            session.planAt(rate, requests, summaries.size()),
            String.format(Locale.ROOT, "%.3g req/s", rate));
    last = report;
    summaries.add(report.summary());
    return report.attainment();
  }

  @Override
  public void ended(RateSearch.Trial trial) {
    RunReport report = Objects.requireNonNull(last, "a trial");
    Summary summary = report.summary();
    if (trial.kept() && (best == null || best.info().requestRate() < trial.rate())) {
      best = report;
    }
    out.printf(
        Locale.ROOT,
        ROW,
        String.format(Locale.ROOT, "%.3f", trial.rate()),
        report.info().numPrompts(),
        String.format(Locale.ROOT, "%.2f %%", 100 * trial.attainment()),
        String.format(Locale.ROOT, "%.2f", summary.requestGoodput()),
        String.format(Locale.ROOT, "%.2f", summary.latencies(LatencyMetric.TTFT).percentileMs(99)),
        String.format(Locale.ROOT, "%.2f", summary.latencies(LatencyMetric.TPOT).percentileMs(99)),
        trial.kept() ? "kept" : trial.attempt() == 1 ? "missed; once more" : "missed");
    out.flush();
  }

  private String verdict(RateSearch.Outcome outcome) {
    String share =
        BigDecimal.valueOf(options.attainment)
                .movePointRight(2)
                .stripTrailingZeros()
                .toPlainString()
            + " %";
    if (!outcome.found()) {
      return "At no rate tried did " + share + " of the requests meet the objectives.";
    }
    String found =
        String.format(
            Locale.ROOT,
            "Highest rate with %s of the requests in time: %.3f req/s",
            share,
            outcome.highest());
    return outcome.bounded()
        ? String.format(Locale.ROOT, "%s (missed at %.3f)", found, outcome.lowestMissed())
        : found + "; nothing tried was too much";
  }
}
