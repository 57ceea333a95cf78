package io.tercel.loadtests.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.Latencies;
import io.tercel.loadtests.metrics.LatencyMetric;
import io.tercel.loadtests.metrics.Misbehaviour;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.metrics.Window;
import io.tercel.loadtests.traffic.Pace;
import java.io.IOException;
import java.nio.file.Path;
import java.time.format.DateTimeFormatter;
import java.util.List;

/**
 * A run as JSON in the schema of {@code vllm bench serve}: the same keys with the same meaning, and
 * some of our own behind them.
 */
public final class ResultJson {
  private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss");
  private static final double NANOS = 1e9;

  private final Selection selection;
  private final boolean detailed;

  /**
   * A form to write in.
   *
   * @param detailed with an entry a request: lengths, times, texts, errors
   */
  public ResultJson(Selection selection, boolean detailed) {
    this.selection = selection;
    this.detailed = detailed;
  }

  /** Writes a run to a file. */
  public void write(RunReport report, Path file) throws IOException {
    write(of(report), file);
  }

  /** Writes a result to a file. */
  public static void write(ObjectNode result, Path file) throws IOException {
    new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), result);
  }

  /** A run. */
  public ObjectNode of(RunReport report) {
    ObjectNode json = new ObjectMapper().createObjectNode();
    info(json, report.info());
    Summary summary = report.summary();
    json.put("duration", summary.seconds());
    json.put("completed", summary.completed());
    json.put("failed", summary.failed());
    json.put("total_input_tokens", summary.inputTokens());
    json.put("total_output_tokens", summary.outputTokens());
    throughput(json, summary, report.goodput());
    if (detailed) {
      requests(json, report);
    }
    json.put("max_output_tokens_per_s", report.series().maxTokens());
    json.put("max_concurrent_requests", report.series().peakConcurrency());
    latencies(json, summary);
    own(json, report);
    return json;
  }

  private static void info(ObjectNode json, RunInfo info) {
    json.put("date", info.date().format(DATE));
    json.put("endpoint_type", info.backend());
    json.put("backend", info.backend());
    json.put("label", info.label());
    json.put("model_id", info.modelId());
    json.putNull("tokenizer_id");
    json.put("num_prompts", info.numPrompts());
    number(json, "request_rate", info.requestRate());
    number(json, "burstiness", info.pace().burstiness());
    if (info.maxConcurrency() > 0) {
      json.put("max_concurrency", info.maxConcurrency());
    } else {
      json.putNull("max_concurrency");
    }
    ramp(json, info.pace());
  }

  private static void ramp(ObjectNode json, Pace pace) {
    if (pace instanceof Pace.Ramp ramp) {
      json.put("ramp_up_strategy", ramp.exponential() ? "exponential" : "linear");
      json.put("ramp_up_start_rps", ramp.from());
      json.put("ramp_up_end_rps", ramp.to());
    }
  }

  private static void number(ObjectNode json, String key, double value) {
    if (Double.isInfinite(value)) {
      json.put(key, "inf");
    } else {
      json.put(key, value);
    }
  }

  private static void throughput(ObjectNode json, Summary summary, boolean goodput) {
    json.put("request_throughput", summary.requestThroughput());
    if (goodput) {
      json.put("request_goodput", summary.requestGoodput());
    } else {
      json.putNull("request_goodput");
    }
    json.put("output_throughput", summary.outputThroughput());
    json.put("total_token_throughput", summary.totalTokenThroughput());
  }

  private void latencies(ObjectNode json, Summary summary) {
    for (LatencyMetric metric : selection.metrics()) {
      Latencies latencies = summary.latencies(metric);
      String key = "_" + metric.key() + "_ms";
      json.put("mean" + key, latencies.meanMs());
      json.put("median" + key, latencies.medianMs());
      json.put("std" + key, latencies.stdMs());
      for (double percentile : selection.percentiles()) {
        json.put(Selection.name(percentile) + key, latencies.percentileMs(percentile));
      }
    }
  }

  /** An entry a request, by index; times in seconds; 0 where there is none, as in vLLM. */
  private static void requests(ObjectNode json, RunReport report) {
    long start = report.result().window().from();
    for (String key :
        List.of(
            "input_lens",
            "output_lens",
            "reasoning_lens",
            "ttfts",
            "ttfats",
            "itls",
            "latencies",
            "start_times",
            "queue_times",
            "clients",
            "service_classes_of",
            "turns_of",
            "cached_lens",
            "generated_texts",
            "errors")) {
      json.putArray(key);
    }
    for (RequestTrace trace : report.result().traces()) {
      boolean whole = trace.ending() == RequestTrace.Ending.COMPLETED;
      json.withArray("input_lens").add(trace.promptTokens());
      json.withArray("output_lens").add(whole ? trace.outputTokens() : 0);
      json.withArray("reasoning_lens").add(whole ? trace.reasoningTokens() : 0);
      json.withArray("ttfts").add(trace.hasTokens() ? trace.ttft() / NANOS : 0);
      json.withArray("ttfats").add(trace.hasAnswer() ? trace.ttfat() / NANOS : 0);
      ArrayNode itls = json.withArray("itls").addArray();
      for (int i = 1; i < trace.tokenEvents(); i++) {
        itls.add((trace.tokenTime(i) - trace.tokenTime(i - 1)) / NANOS);
      }
      json.withArray("latencies").add(whole ? trace.e2el() / NANOS : 0);
      json.withArray("start_times").add((trace.intended() - start) / NANOS);
      json.withArray("queue_times").add((trace.sentAt() - trace.intended()) / NANOS);
      json.withArray("clients").add(trace.client().name().toLowerCase(java.util.Locale.ROOT));
      json.withArray("service_classes_of").add(trace.label().serviceClass());
      json.withArray("turns_of").add(trace.label().turn());
      json.withArray("cached_lens").add(trace.cachedTokens());
      json.withArray("generated_texts").add(trace.generatedText());
      Failure failure = trace.failure();
      json.withArray("errors")
          .add(failure == null ? "" : failure.cause() + ": " + failure.message());
    }
  }

  private void own(ObjectNode json, RunReport report) {
    RunInfo info = report.info();
    Summary summary = report.summary();
    json.put("endpoint", info.endpoint());
    json.put("dataset_name", info.datasetName());
    json.put("seed", info.seed());
    json.put("total_reasoning_tokens", summary.reasoningTokens());
    json.put("reasoning_throughput", summary.reasoningThroughput());
    json.put("requests_with_reasoning", summary.withThinking());
    json.put("total_cached_tokens", summary.cachedTokens());
    failures(json, report);
    if (info.abortRate() > 0) {
      misbehaviour(json.putObject("aborted"), info.abortRate(), report.leavers());
    }
    if (info.slowReaderRate() > 0) {
      misbehaviour(json.putObject("slow_readers"), info.slowReaderRate(), report.slowReaders());
    }
    report.breakdown().addTo(json, this, report.goodput());
    report.steady().ifPresent(steady -> steady(json, report, steady));
    if (!report.samples().isEmpty()) {
      server(json.putObject("server_metrics"), report);
    }
  }

  private static void failures(ObjectNode json, RunReport report) {
    ObjectNode causes = json.putObject("failures");
    report.failures().counts().forEach(causes::put);
    if (report.failures().retryAfters() > 0) {
      json.putObject("retry_after")
          .put("count", report.failures().retryAfters())
          .put("min_s", report.failures().leastRetryAfter())
          .put("max_s", report.failures().greatestRetryAfter());
    }
  }

  private static void misbehaviour(ObjectNode json, double rate, Misbehaviour clients) {
    json.put("rate", rate)
        .put("sent", clients.sent())
        .put("left", clients.left())
        .put("completed", clients.completed())
        .put("failed", clients.failed());
  }

  private void steady(ObjectNode json, RunReport report, Summary steady) {
    Window window = report.steadyWindow().orElseThrow();
    long start = report.result().window().from();
    ObjectNode node = json.putObject("steady_state");
    node.put("start", (window.from() - start) / NANOS);
    node.put("end", (window.to() - start) / NANOS);
    node.put("duration", steady.seconds());
    part(node, steady, report.goodput());
  }

  /** A part of a run's requests. */
  void part(ObjectNode node, Summary summary, boolean goodput) {
    node.put("completed", summary.completed());
    node.put("failed", summary.failed());
    node.put("total_input_tokens", summary.inputTokens());
    node.put("total_output_tokens", summary.outputTokens());
    throughput(node, summary, goodput);
    latencies(node, summary);
  }

  private static void server(ObjectNode json, RunReport report) {
    long start = report.result().window().from();
    ObjectNode trends = json.putObject("trends");
    for (String metric : ServerSample.NAMES) {
      MemoryTrend.of(report.steadySamples(), metric)
          .ifPresent(
              trend ->
                  trends
                      .putObject(metric)
                      .put("first", trend.first())
                      .put("max", trend.max())
                      .put("last", trend.last())
                      .put("per_minute", trend.perMinute())
                      .put("samples", trend.samples()));
    }
    ArrayNode samples = json.putArray("samples");
    for (ServerSample sample : report.samples()) {
      ObjectNode node = samples.addObject().put("time", (sample.nanos() - start) / NANOS);
      ServerSample.NAMES.forEach(
          name -> {
            Double value = sample.values().get(name);
            if (value != null) {
              node.put(name, value);
            }
          });
    }
  }
}
