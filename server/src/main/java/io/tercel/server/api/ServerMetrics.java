package io.tercel.server.api;

import io.prometheus.client.Collector;
import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.Counter;
import io.prometheus.client.CounterMetricFamily;
import io.prometheus.client.GaugeMetricFamily;
import io.prometheus.client.Histogram;
import io.prometheus.client.exporter.common.TextFormat;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineStats;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;

/**
 * The server's figures for Prometheus, under vLLM's names so that its dashboards work. The engine's
 * own are read when they are asked for; the times are those that a client sees.
 *
 * <p>Counters are named here without their {@code _total}, which the client library appends.
 */
final class ServerMetrics {
  private static final double[] FIRST_TOKEN = {
    .001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
    2560
  };
  private static final double[] BETWEEN_TOKENS = {
    .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80
  };
  private static final double[] REQUEST = {
    .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680
  };
  private static final double[] TOKENS = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000
  };

  private final CollectorRegistry registry = new CollectorRegistry();
  private final String model;
  private final Counter success;
  private final Histogram.Child firstToken;
  private final Histogram.Child betweenTokens;
  private final Histogram.Child wholeRequest;
  private final Histogram.Child queue;
  private final Histogram.Child prefill;
  private final Histogram.Child decode;
  private final Histogram.Child promptTokens;
  private final Histogram.Child generationTokens;

  ServerMetrics(String model, Engine engine) {
    this.model = model;
    new EngineCollector(engine).register(registry);
    success =
        Counter.build("vllm:request_success", "Choices that ended, by how.")
            .labelNames("model_name", "finished_reason")
            .register(registry);
    for (String reason : List.of("stop", "length", "abort", "error")) {
      success.labels(model, reason); // a dashboard shall see zeros, not gaps
    }
    firstToken = histogram("time_to_first_token_seconds", "Time to first token.", FIRST_TOKEN);
    betweenTokens = histogram("inter_token_latency_seconds", "Time per token.", BETWEEN_TOKENS);
    wholeRequest = histogram("e2e_request_latency_seconds", "Time of a request.", REQUEST);
    queue = histogram("request_queue_time_seconds", "Time in the queue.", REQUEST);
    prefill = histogram("request_prefill_time_seconds", "Queue to first token.", REQUEST);
    decode = histogram("request_decode_time_seconds", "First to last token.", REQUEST);
    promptTokens = histogram("request_prompt_tokens", "Prompt tokens of a request.", TOKENS);
    generationTokens = histogram("request_generation_tokens", "Tokens of a choice.", TOKENS);
  }

  private Histogram.Child histogram(String name, String help, double[] buckets) {
    return Histogram.build("vllm:" + name, help)
        .labelNames("model_name")
        .buckets(buckets)
        .register(registry)
        .labels(model);
  }

  /** A choice left the queue. */
  void queued(long nanos) {
    queue.observe(seconds(nanos));
  }

  /** A choice has its first token, so long after it left the queue. */
  void prefilled(long nanos) {
    prefill.observe(seconds(nanos));
  }

  /** A choice has its first token. */
  void firstToken(long nanos) {
    firstToken.observe(seconds(nanos));
  }

  /** A choice has its next token. */
  void nextToken(long nanos) {
    betweenTokens.observe(seconds(nanos));
  }

  /**
   * A choice ended.
   *
   * @param reason stop, length, abort or error
   * @param nanos since the request came
   * @param decodeNanos from its first token to its last
   */
  void finished(String reason, int tokens, long nanos, long decodeNanos) {
    success.labels(model, reason).inc();
    wholeRequest.observe(seconds(nanos));
    if (tokens > 0) {
      decode.observe(seconds(decodeNanos));
      generationTokens.observe(tokens);
    }
  }

  /** A prompt was submitted. */
  void prompt(int tokens) {
    promptTokens.observe(tokens);
  }

  /** All of it in Prometheus' text format. */
  String text() {
    StringWriter out = new StringWriter();
    try {
      TextFormat.write004(out, registry.metricFamilySamples());
    } catch (IOException e) {
      throw new UncheckedIOException(e); // a string has room
    }
    return out.toString();
  }

  private static double seconds(long nanos) {
    return nanos / Collector.NANOSECONDS_PER_SECOND;
  }

  /** The engine's gauges and counters, one reading for all of them. */
  private final class EngineCollector extends Collector {
    private static final List<String> LABELS = List.of("model_name");
    private final Engine engine;

    EngineCollector(Engine engine) {
      this.engine = engine;
    }

    @Override
    public List<MetricFamilySamples> collect() {
      EngineStats stats = engine.stats();
      double used = stats.totalBlocks() - stats.freeBlocks();
      return List.of(
          gauge("num_requests_running", "Sequences that hold blocks.", stats.running()),
          gauge("num_requests_waiting", "Sequences that wait.", stats.waiting()),
          gauge(
              "kv_cache_usage_perc",
              "Share of the KV cache in use; 1 is all of it.",
              stats.totalBlocks() == 0 ? 0 : used / stats.totalBlocks()),
          counter("prompt_tokens", "Prompt tokens computed.", stats.promptTokens()),
          counter("generation_tokens", "Tokens generated.", stats.generationTokens()),
          counter("prefix_cache_queries", "Tokens looked up.", stats.prefixQueries()),
          counter("prefix_cache_hits", "Tokens found.", stats.prefixHits()),
          counter("num_preemptions", "Sequences set back for want of room.", stats.preemptions()));
    }

    private GaugeMetricFamily gauge(String name, String help, double value) {
      return new GaugeMetricFamily("vllm:" + name, help, LABELS).addMetric(List.of(model), value);
    }

    private CounterMetricFamily counter(String name, String help, double value) {
      return new CounterMetricFamily("vllm:" + name, help, LABELS).addMetric(List.of(model), value);
    }
  }
}
