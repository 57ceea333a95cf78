package io.tercel.loadtests.cli;

import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.client.ServerSampler;
import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.report.RunInfo;
import io.tercel.loadtests.report.RunReport;
import io.tercel.loadtests.traffic.ClientMix;
import io.tercel.loadtests.traffic.LoadRun;
import io.tercel.loadtests.traffic.RunListener;
import io.tercel.loadtests.traffic.RunResult;
import io.tercel.loadtests.traffic.SessionRun;
import io.tercel.loadtests.traffic.TrafficPlan;
import io.tercel.server.UserException;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.List;

/** One server, one workload, and the runs with it. */
final class LoadSession implements AutoCloseable {
  /** Requests of different runs must not share prompts, or the prefix cache would know them. */
  private static final long RUN_STRIDE = 1L << 32;

  private static final long WARMUP_OFFSET = 1L << 31;

  private final TrafficOptions traffic;
  private final ReportOptions report;
  private final DataOptions data;
  private final String backend;
  private final String endpoint;
  private final String model;
  private final Workload workload;
  private final Target target;
  private final ServerProbe probe;

  private LoadSession(
      TrafficOptions traffic,
      ReportOptions report,
      DataOptions data,
      String backend,
      String endpoint,
      String model,
      Workload workload,
      Target target,
      ServerProbe probe) {
    this.traffic = traffic;
    this.report = report;
    this.data = data;
    this.backend = backend;
    this.endpoint = endpoint;
    this.model = model;
    this.workload = workload;
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
    String endpoint = options.path(data.isChat());
    if (data.isSessions() && !HttpTarget.isChat(endpoint)) {
      throw new UserException(
          "--endpoint: sessions need a chat; use --endpoint " + TargetOptions.CHAT);
    }
    var extra = options.extra(data.ignoresEos());
    Duration timeout = options.timeout();
    String base = options.base();
    // A connection that is refused is a finding, not something to try again in silence.
    System.setProperty("jdk.httpclient.disableRetryConnect", "true");
    ServerProbe probe = new ServerProbe(base, options.apiKey, timeout);
    try {
      String model = options.model == null ? probe.model() : options.model;
      Workload workload =
          data.workload(new ServerPrompts(probe, endpoint, model, out), traffic.expectedRequests());
      Target target = options.target(endpoint, model, extra);
      return new LoadSession(
          traffic,
          report,
          data,
          options.backendName(endpoint),
          endpoint,
          model,
          workload,
          target,
          probe);
    } catch (RuntimeException | InterruptedException e) {
      probe.close();
      throw e;
    }
  }

  /** The plan of a run with that limit of requests under way; 0 for any number. */
  TrafficPlan plan(int concurrency, int number) {
    return workload.trace().isPresent()
        ? traffic.planOf(workload.trace().get(), data.trace.speed, concurrency, data.seed)
        : traffic.plan(concurrency, firstIndex(number), data.seed);
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
  private long firstIndex(int number) {
    // whole groups only
    return Math.ceilDiv(number * RUN_STRIDE, data.mix.groupSize) * data.mix.groupSize;
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
      if (report.serverMetrics) {
        try (ServerSampler sampler = new ServerSampler(probe, report.metricsInterval())) {
          result = load(plan, progress);
          samples = sampler.samples();
        }
      } else {
        result = load(plan, progress);
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
            plan.pace(),
            plan.maxConcurrency(),
            traffic.abortRate,
            traffic.slowReaderRate,
            data.seed);
    return RunReport.of(info, result, report.slo(), samples);
  }

  private RunResult load(TrafficPlan plan, RunListener listener) throws InterruptedException {
    ClientMix mix = traffic.mix(data.seed);
    return workload.sessions().isPresent()
        ? new SessionRun(target, workload.sessions().get(), plan, mix, listener).run()
        : new LoadRun(target, workload.dataset(), plan, mix, report.saveDetailed, listener).run();
  }

  private void warmUp(int concurrency, long first) throws InterruptedException {
    if (traffic.warmup == 0) {
      return;
    }
    TrafficPlan plan = traffic.warmupPlan(concurrency, first, data.seed);
    RunResult result =
        new LoadRun(target, workload.dataset(), plan, ClientMix.patient(), false, trace -> {})
            .run();
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
