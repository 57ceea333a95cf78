package io.tercel.loadtests.cli;

import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.client.ServerSampler;
import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.PromptMaker;
import io.tercel.loadtests.data.TokenIdPrompts;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.report.RunInfo;
import io.tercel.loadtests.report.RunReport;
import io.tercel.loadtests.traffic.ClientMix;
import io.tercel.loadtests.traffic.LoadRun;
import io.tercel.loadtests.traffic.RunResult;
import io.tercel.loadtests.traffic.TrafficPlan;
import io.tercel.server.UserException;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** One server, one workload, and the runs with it. */
final class LoadSession implements AutoCloseable {
  /** Requests of different runs must not share prompts, or the prefix cache would know them. */
  private static final long RUN_STRIDE = 1L << 32;

  private static final long WARMUP_OFFSET = 1L << 31;

  /** Single bytes in every byte-level vocabulary, for servers that don't tell their ids. */
  private static final int[] BYTE_IDS = IntStream.range(32, 256).toArray();

  private final TrafficOptions traffic;
  private final ReportOptions report;
  private final DataOptions data;
  private final String backend;
  private final String endpoint;
  private final String model;
  private final Dataset dataset;
  private final Target target;
  private final ServerProbe probe;

  private LoadSession(
      TrafficOptions traffic,
      ReportOptions report,
      DataOptions data,
      String backend,
      String endpoint,
      String model,
      Dataset dataset,
      Target target,
      ServerProbe probe) {
    this.traffic = traffic;
    this.report = report;
    this.data = data;
    this.backend = backend;
    this.endpoint = endpoint;
    this.model = model;
    this.dataset = dataset;
    this.target = target;
    this.probe = probe;
  }

  /** Asks the server what there is to know and makes the workload; sends no load yet. */
  static LoadSession open(
      TargetOptions options,
      DataOptions data,
      TrafficOptions traffic,
      ReportOptions report,
      PrintWriter out)
      throws InterruptedException {
    boolean file = data.isFile();
    String endpoint = options.path(file);
    boolean chat = HttpTarget.isChat(endpoint);
    var extra = options.extra(!file);
    Duration timeout = options.timeout();
    String base = options.base();
    Dataset fromFile = file ? data.file(chat) : null;
    // A connection that is refused is a finding, not something to try again in silence.
    System.setProperty("jdk.httpclient.disableRetryConnect", "true");
    ServerProbe probe = new ServerProbe(base, options.apiKey, timeout);
    try {
      String model = options.model == null ? probe.model() : options.model;
      Dataset dataset =
          fromFile != null ? fromFile : data.synthetic(maker(probe, endpoint, model, out));
      Target target = options.target(endpoint, model, extra);
      return new LoadSession(
          traffic,
          report,
          data,
          options.backendName(endpoint),
          endpoint,
          model,
          dataset,
          target,
          probe);
    } catch (RuntimeException | InterruptedException e) {
      probe.close();
      throw e;
    }
  }

  private static PromptMaker maker(
      ServerProbe probe, String endpoint, String model, PrintWriter out)
      throws InterruptedException {
    if (HttpTarget.isChat(endpoint)) {
      return probe.words(endpoint, model);
    }
    Optional<int[]> ids = probe.tokenIds(endpoint, model);
    if (ids.isEmpty()) {
      out.println("The server does not tell token ids; prompts are of ids 32 to 255.");
    }
    return new TokenIdPrompts(ids.orElse(BYTE_IDS));
  }

  /** The plan of a run with that limit of requests under way; 0 for any number. */
  TrafficPlan plan(int concurrency, int number) {
    return traffic.plan(concurrency, firstIndex(number), data.seed);
  }

  /** The plan of a run that sends so many requests at that rate. */
  TrafficPlan planAt(double rate, int requests, int number) {
    return traffic.planAt(rate, requests, firstIndex(number), data.seed);
  }

  /**
   * Where in the dataset a run begins.
   *
   * @param number of the run in its series, from 0
   */
  private static long firstIndex(int number) {
    return number * RUN_STRIDE;
  }

  /**
   * Warms up, then puts on the load.
   *
   * @param name for the progress that is shown
   */
  RunReport run(TrafficPlan plan, String name) throws InterruptedException {
    warmUp(plan.maxConcurrency(), plan.firstIndex() + WARMUP_OFFSET);
    LocalDateTime date = LocalDateTime.now();
    RunResult result;
    List<ServerSample> samples = List.of();
    try (RunProgress progress =
        new RunProgress(
            System.err, name, plan.numPrompts(), Duration.ofNanos(plan.durationNanos()))) {
      LoadRun run =
          new LoadRun(target, dataset, plan, traffic.mix(data.seed), report.saveDetailed, progress);
      if (report.serverMetrics) {
        try (ServerSampler sampler = new ServerSampler(probe, report.metricsInterval())) {
          result = run.run();
          samples = sampler.samples();
        }
      } else {
        result = run.run();
      }
    }
    RunInfo info =
        new RunInfo(
            date,
            backend,
            endpoint,
            report.label == null ? backend : report.label,
            model,
            data.name(),
            plan.numPrompts() > 0 ? plan.numPrompts() : result.traces().size(),
            plan.pace().requestRate(),
            plan.pace().burstiness(),
            plan.maxConcurrency(),
            traffic.abortRate,
            traffic.slowReaderRate,
            data.seed);
    return RunReport.of(info, result, report.slo(), samples);
  }

  private void warmUp(int concurrency, long first) throws InterruptedException {
    if (traffic.warmup == 0) {
      return;
    }
    TrafficPlan plan = traffic.warmupPlan(concurrency, first, data.seed);
    RunResult result =
        new LoadRun(target, dataset, plan, ClientMix.patient(), false, trace -> {}).run();
    for (RequestTrace trace : result.traces()) {
      Failure failure = trace.failure();
      if (failure != null) {
        throw new UserException(
            "a warm-up request failed (" + failure.cause() + "): " + failure.message());
      }
    }
  }

  @Override
  public void close() {
    target.close();
    probe.close();
  }
}
