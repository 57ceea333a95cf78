package io.tercel.loadtests.cli;

import io.tercel.loadtests.traffic.Pace;
import io.tercel.server.UserException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** A rate that changes over the run. */
final class RampOptions {
  @Option(
      names = {"--ramp-up-strategy", "--ramp-up"},
      paramLabel = "NAME",
      description =
          "linear or exponential: open loop, whose rate goes from --ramp-up-start-rps to"
              + " --ramp-up-end-rps.")
  @Nullable String strategy;

  @Option(
      names = "--ramp-up-start-rps",
      paramLabel = "R",
      description = "Arrivals a second at the beginning.")
  @Nullable Double start;

  @Option(
      names = "--ramp-up-end-rps",
      paramLabel = "R",
      description = "Arrivals a second at the end.")
  @Nullable Double end;

  boolean isGiven() {
    return strategy != null || start != null || end != null;
  }

  /** The ramp; only where one is given. */
  Pace.Ramp pace(double burstiness) {
    if (strategy == null || start == null || end == null) {
      throw new UserException(
          "--ramp-up-strategy: comes with --ramp-up-start-rps and --ramp-up-end-rps; give all three");
    }
    if (!strategy.equals("linear") && !strategy.equals("exponential")) {
      throw new UserException(
          "--ramp-up-strategy: no '" + strategy + "'; choose linear or exponential");
    }
    return new Pace.Ramp(
        strategy.equals("exponential"),
        rate("--ramp-up-start-rps", start),
        rate("--ramp-up-end-rps", end),
        burstiness);
  }

  private static double rate(String option, double rate) {
    if (!(rate > 0 && rate < 1e9)) {
      throw new UserException(option + ": " + rate + "; expected a number above 0");
    }
    return rate;
  }
}
