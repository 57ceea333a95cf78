package io.tercel.loadtests.cli;

import io.tercel.server.UserException;
import picocli.CommandLine.Option;

/** How the highest rate is searched. */
final class RateOptions {
  @Option(
      names = "--find-rate",
      description =
          "Search the highest request rate that keeps the objectives of --goodput: it doubles from"
              + " --request-rate (default: 1), then what lies between is bisected. A trial lasts"
              + " --duration (default: 60s) and has --num-prompts requests (default: 100) at least.")
  boolean findRate;

  @Option(
      names = "--slo-attainment",
      paramLabel = "SHARE",
      description =
          "Share of a trial's requests that must meet all objectives (default: ${DEFAULT-VALUE}).")
  double attainment = 0.99;

  @Option(
      names = "--rate-resolution",
      paramLabel = "SHARE",
      description =
          "Stop where the lowest rate that failed is this share above the highest that did not"
              + " (default: ${DEFAULT-VALUE}).")
  double resolution = 0.05;

  /** Names the first option that can't be used. */
  void check(ReportOptions report) {
    if (!(attainment > 0 && attainment <= 1)) {
      throw new UserException(
          "--slo-attainment: " + attainment + "; expected a share above 0, to 1");
    }
    if (!(resolution >= 0.001 && resolution <= 1)) {
      throw new UserException(
          "--rate-resolution: " + resolution + "; expected a share from 0.001 to 1, such as 0.05");
    }
    if (findRate && report.slo().isEmpty()) {
      throw new UserException(
          "--find-rate: needs objectives; add --goodput, such as --goodput ttft:500 tpot:50");
    }
  }
}
