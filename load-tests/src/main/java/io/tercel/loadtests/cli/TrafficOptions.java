package io.tercel.loadtests.cli;

import io.tercel.loadtests.data.TraceDataset;
import io.tercel.loadtests.traffic.ClientMix;
import io.tercel.loadtests.traffic.Pace;
import io.tercel.loadtests.traffic.TrafficPlan;
import io.tercel.server.UserException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How much load, and by which clients. */
final class TrafficOptions {
  private static final int DEFAULT_PROMPTS = 100;

  /** Different prompts of a file where the time decides how many are sent. */
  private static final int MANY_PROMPTS = 1000;

  private static final double DEFAULT_TRIAL_SECONDS = 60;

  /** Requests of one trial; more than any client here sends. */
  private static final int MAX_TRIAL = 5_000_000;

  @Option(
      names = "--num-prompts",
      paramLabel = "N",
      description = "Requests to send (default: 100).")
  @Nullable Integer numPrompts;

  @Option(
      names = "--duration",
      paramLabel = "TIME",
      description =
          "Send requests for so long, such as 90s or 10m, instead of a number; those under way"
              + " then end.")
  @Nullable String duration;

  @Option(
      names = "--request-rate",
      paramLabel = "R",
      description =
          "Open loop: arrivals a second, whatever the server does. inf (default): a closed loop of"
              + " --max-concurrency clients, or all at once.")
  String requestRate = "inf";

  @Option(
      names = "--burstiness",
      paramLabel = "B",
      description =
          "Shape of the gamma distribution of the gaps between arrivals: 1 (default) is Poisson,"
              + " less is burstier, inf even.")
  String burstiness = "1";

  @Option(
      names = "--max-concurrency",
      paramLabel = "N",
      description = "Requests under way at most. Default: any number.")
  @Nullable Integer maxConcurrency;

  @Option(
      names = "--sweep",
      paramLabel = "N",
      split = ",",
      description = "One run for each of these concurrencies, such as 1,2,4,8.")
  int @Nullable [] sweep;

  @Option(
      names = {"--warmup", "--num-warmups"},
      paramLabel = "N",
      description =
          "Requests before each run that don't count; a failure ends it (default:"
              + " ${DEFAULT-VALUE}).")
  int warmup = 1;

  @Option(
      names = "--abort-rate",
      paramLabel = "SHARE",
      description = "Share of clients that leave in the middle, 0 to 1.")
  double abortRate;

  @Option(
      names = "--slow-reader-rate",
      paramLabel = "SHARE",
      description = "Share of clients that read slowly, 0 to 1.")
  double slowReaderRate;

  @Option(
      names = "--slow-reader-speed",
      paramLabel = "BYTES",
      description = "Bytes a second that a slow reader reads (default: ${DEFAULT-VALUE}).")
  int slowReaderSpeed = 512;

  @Mixin final RampOptions ramp = new RampOptions();

  /**
   * Names the first option that can't be used.
   *
   * @param search a rate is searched, whose trials have a number of requests and a duration
   * @param trace a trace says when requests come
   */
  void check(boolean search, boolean trace) {
    if (numPrompts != null && numPrompts < 1) {
      throw new UserException("--num-prompts: " + numPrompts + "; expected at least 1");
    }
    if (numPrompts != null && duration != null && !search) {
      throw new UserException("--duration: replaces --num-prompts; leave one of them out");
    }
    if (maxConcurrency != null && maxConcurrency < 1) {
      throw new UserException("--max-concurrency: " + maxConcurrency + "; expected at least 1");
    }
    if (sweep != null) {
      if (search) {
        throw new UserException("--sweep: is no part of --find-rate; leave one of them out");
      }
      if (maxConcurrency != null) {
        throw new UserException("--sweep: replaces --max-concurrency; leave one of them out");
      }
      if (Arrays.stream(sweep).anyMatch(n -> n < 1)) {
        throw new UserException("--sweep: expected concurrencies of at least 1, such as 1,2,4,8");
      }
    }
    requestRate();
    burstiness();
    if (ramp.isGiven()) {
      ramp.pace(burstiness());
      if (isPaced()) {
        throw new UserException("--ramp-up-strategy: replaces --request-rate; leave one out");
      }
      if (search) {
        throw new UserException("--ramp-up-strategy: is no part of --find-rate; leave one out");
      }
    }
    if (duration != null) {
      Times.parse("--duration", duration);
      if (!isPaced()
          && !ramp.isGiven()
          && !trace
          && maxConcurrency == null
          && sweep == null
          && !search) {
        throw new UserException(
            "--duration: needs --max-concurrency N (closed loop) or --request-rate R (open loop)");
      }
    }
    if (warmup < 0) {
      throw new UserException("--warmup: " + warmup + "; expected at least 0");
    }
    share("--abort-rate", abortRate);
    share("--slow-reader-rate", slowReaderRate);
    if (abortRate + slowReaderRate > 1) {
      throw new UserException("--abort-rate and --slow-reader-rate: more than 1 together");
    }
    if (slowReaderSpeed < 1) {
      throw new UserException("--slow-reader-speed: " + slowReaderSpeed + "; expected at least 1");
    }
  }

  /** Names the first option that can't be used for sessions, or for a trace. */
  void checkFor(DataOptions data, boolean search) {
    boolean paced = isPaced() || ramp.isGiven() || search;
    if (data.isSessions() && (paced || maxConcurrency == null && sweep == null)) {
      throw new UserException(
          "--dataset-name sessions: needs --max-concurrency N, the number of clients, and no rate");
    }
    if (data.isTrace() && (paced || sweep != null)) {
      throw new UserException(
          "--dataset-name trace: has its own times; leave out --request-rate, --ramp-up-strategy,"
              + " --find-rate and --sweep, and use --trace-speed");
    }
  }

  private boolean isPaced() {
    return Double.isFinite(requestRate());
  }

  double requestRate() {
    return positive("--request-rate", requestRate);
  }

  double burstiness() {
    return positive("--burstiness", burstiness);
  }

  private static double positive(String option, String text) {
    try {
      double value =
          text.equalsIgnoreCase("inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(text);
      if (value > 0) {
        return value;
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw new UserException(option + ": '" + text + "'; expected a number above 0, or inf");
  }

  private static void share(String option, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new UserException(option + ": " + value + "; expected a share from 0 to 1");
    }
  }

  /** The concurrencies to run with, one after another; 0 is any. */
  int[] concurrencies() {
    return sweep != null ? sweep.clone() : new int[] {maxConcurrency == null ? 0 : maxConcurrency};
  }

  /** A run's plan. */
  TrafficPlan plan(int concurrency, long firstIndex, long seed) {
    int count = duration != null ? 0 : numPrompts == null ? DEFAULT_PROMPTS : numPrompts;
    return new TrafficPlan(
        count,
        duration == null ? 0 : Times.parse("--duration", duration).toNanos(),
        ramp.isGiven() ? ramp.pace(burstiness()) : Pace.of(requestRate(), burstiness()),
        concurrency,
        firstIndex,
        seed);
  }

  /** The plan of a trace's replay: all of it, or what the options let through. */
  TrafficPlan planOf(TraceDataset trace, double speed, int concurrency, long seed) {
    long limit = duration == null ? Long.MAX_VALUE : Times.parse("--duration", duration).toNanos();
    long[] arrivals = trace.arrivals(speed, limit);
    int count = numPrompts == null ? arrivals.length : Math.min(numPrompts, arrivals.length);
    return new TrafficPlan(count, 0, new Pace.Recorded(arrivals), concurrency, 0, seed);
  }

  /** How many requests a run has about. */
  int expectedRequests() {
    return numPrompts != null ? numPrompts : duration == null ? DEFAULT_PROMPTS : MANY_PROMPTS;
  }

  /** A plan of so many requests at that rate, with what else the options say. */
  TrafficPlan planAt(double rate, int requests, long firstIndex, long seed) {
    int concurrency = maxConcurrency == null ? 0 : maxConcurrency;
    return new TrafficPlan(requests, 0, rate, burstiness(), concurrency, firstIndex, seed);
  }

  /** How many requests a trial of a search has at that rate: no fewer than both options say. */
  int trialRequests(double rate) {
    double seconds =
        duration == null
            ? DEFAULT_TRIAL_SECONDS
            : Times.parse("--duration", duration).toNanos() / 1e9;
    double requests =
        Math.max(numPrompts == null ? DEFAULT_PROMPTS : numPrompts, Math.ceil(rate * seconds));
    return (int) Math.min(MAX_TRIAL, requests);
  }

  /** The rate that a search begins at. */
  double firstRate() {
    double rate = requestRate();
    return Double.isInfinite(rate) ? 1 : rate;
  }

  /** The plan of a warm-up. */
  TrafficPlan warmupPlan(int concurrency, long firstIndex, long seed) {
    int clients = Math.max(1, Math.min(warmup, concurrency));
    return new TrafficPlan(warmup, 0, Double.POSITIVE_INFINITY, 1, clients, firstIndex, seed);
  }

  ClientMix mix(long seed) {
    return new ClientMix(abortRate, slowReaderRate, slowReaderSpeed, seed);
  }
}
