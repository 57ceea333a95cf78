package io.tercel.server.metrics;

import io.prometheus.client.Collector;
import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.Counter;
import io.prometheus.client.CounterMetricFamily;
import io.prometheus.client.Gauge;
import io.prometheus.client.GaugeMetricFamily;
import io.prometheus.client.Histogram;
import io.prometheus.client.exporter.common.TextFormat;
import io.prometheus.client.hotspot.BufferPoolsExports;
import io.prometheus.client.hotspot.GarbageCollectorExports;
import io.prometheus.client.hotspot.MemoryPoolsExports;
import io.prometheus.client.hotspot.StandardExports;
import io.prometheus.client.hotspot.ThreadExports;
import io.tercel.server.call.Keys;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineStats;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.model.ServedModel;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.function.DoubleSupplier;
import java.util.function.ObjDoubleConsumer;

/**
 * The server's figures for Prometheus, under vLLM's names so that its dashboards work. The engine's
 * own are read when they are asked for; the times are those that a client sees.
 *
 * <p>Counters are named here without their {@code _total}, which the client library appends.
 */
public final class ServerMetrics {
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
  private static final double[] CHOICES = {1, 2, 5, 10, 20};
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
  private final Histogram.Child inference;
  private final Histogram.Child meanToken;
  private final Histogram.Child choices;
  private final Histogram.Child maxTokens;
  private final Histogram.Child promptTokens;
  private final Histogram.Child generationTokens;

  public ServerMetrics(String name, ServedModel served) {
    this.model = name;
    new EngineCollector(served.engine()).register(registry);
    Gauge regions =
        Gauge.build("tercel_off_heap_bytes", "Memory outside the heap, by region.")
            .labelNames("model_name", "region")
            .register(registry);
    served.offHeapBytes().forEach((region, bytes) -> regions.labels(name, region).set(bytes));
    new StandardExports().register(registry); // the process: resident bytes, CPU, open files
    new MemoryPoolsExports().register(registry);
    new BufferPoolsExports().register(registry);
    new GarbageCollectorExports().register(registry);
    new ThreadExports().register(registry);
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
    inference = histogram("request_inference_time_seconds", "Queue to last token.", REQUEST);
    meanToken =
        histogram(
            "request_time_per_output_token_seconds",
            "Mean time per token of a choice, after its first.",
            BETWEEN_TOKENS);
    choices = histogram("request_params_n", "Choices that requests ask for.", CHOICES);
    maxTokens = histogram("request_params_max_tokens", "Tokens that requests allow.", TOKENS);
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
  public void queued(long nanos) {
    queue.observe(seconds(nanos));
  }

  /** A choice has its first token, so long after it left the queue. */
  public void prefilled(long nanos) {
    prefill.observe(seconds(nanos));
  }

  /** A choice has its first token. */
  public void firstToken(long nanos) {
    firstToken.observe(seconds(nanos));
  }

  /** A choice has its next token. */
  public void nextToken(long nanos) {
    betweenTokens.observe(seconds(nanos));
  }

  /**
   * A choice ended.
   *
   * @param reason stop, length, tool_calls, abort or error
   * @param nanos since the request came
   * @param inferenceNanos from the queue's end to its last token
   * @param decodeNanos from its first token to its last
   */
  public void finished(
      String reason, int tokens, long nanos, long inferenceNanos, long decodeNanos) {
    // to an engine, and so to vLLM's dashboards, a call is a stop like any other
    success.labels(model, reason.equals("tool_calls") ? "stop" : reason).inc();
    wholeRequest.observe(seconds(nanos));
    if (tokens > 0) {
      inference.observe(seconds(inferenceNanos));
      decode.observe(seconds(decodeNanos));
      if (tokens > 1) {
        meanToken.observe(seconds(decodeNanos) / (tokens - 1));
      }
      generationTokens.observe(tokens);
    }
  }

  /** A prompt was submitted. */
  public void prompt(int tokens, SamplingParams params) {
    promptTokens.observe(tokens);
    choices.observe(params.n());
    maxTokens.observe(params.ending().maxTokens());
  }

  /**
   * A figure of somebody else's, 0 until it is given; a process that also trains shows its curves
   * so.
   *
   * @param name whole, such as {@code tercel_training_loss}
   * @return takes the present value
   * @throws IllegalArgumentException if there is one of this name
   */
  public DoubleConsumer gauge(String name, String help) {
    return Gauge.build(name, help).labelNames("model_name").register(registry).labels(model)::set;
  }

  /**
   * The same of several things that have names.
   *
   * @param label says what the names are of
   * @return takes a name's present value
   */
  public ObjDoubleConsumer<String> gauges(String name, String help, String label) {
    Gauge all = Gauge.build(name, help).labelNames("model_name", label).register(registry);
    return (of, value) -> all.labels(model, of).set(value);
  }

  /** The figures of a server's keys. */
  public void keys(Keys keys) {
    new KeyCollector(model, keys).register(registry);
  }

  /**
   * A figure of somebody else's that is read when it is asked for.
   *
   * @param name whole, without the {@code _total} of a counter
   * @param rises whether it is a counter
   */
  public void reading(String name, String help, boolean rises, DoubleSupplier value) {
    List<String> labels = List.of("model_name");
    new Collector() {
      @Override
      public List<MetricFamilySamples> collect() {
        double now = value.getAsDouble();
        return List.of(
            rises
                ? new CounterMetricFamily(name, help, labels).addMetric(List.of(model), now)
                : new GaugeMetricFamily(name, help, labels).addMetric(List.of(model), now));
      }
    }.register(registry);
  }

  /** All of it in Prometheus' text format. */
  public String text() {
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
    private static final List<String> BY_CLASS = List.of("model_name", "service_class");
    private final Engine engine;

    EngineCollector(Engine engine) {
      this.engine = engine;
    }

    @Override
    public List<MetricFamilySamples> collect() {
      EngineStats stats = engine.stats();
      List<MetricFamilySamples> all = new ArrayList<>(whole(stats));
      all.add(cacheConfig(stats));
      all.addAll(drafts(stats.drafts()));
      all.addAll(byClass(stats));
      return all;
    }

    private List<MetricFamilySamples> whole(EngineStats stats) {
      double used = stats.blocks().total() - stats.blocks().free();
      return List.of(
          gauge("num_requests_running", "Sequences that hold blocks.", stats.running()),
          gauge("num_requests_waiting", "Sequences that wait.", stats.waiting()),
          gauge(
              "kv_cache_usage_perc",
              "Share of the KV cache in use; 1 is all of it.",
              stats.blocks().total() == 0 ? 0 : used / stats.blocks().total()),
          counter(
              "prompt_tokens",
              "Tokens of prompts, computed or found.",
              stats.work().promptTokens()),
          new CounterMetricFamily(
                  "tercel_prompt_tokens_computed", "Prompt tokens not found in the cache.", LABELS)
              .addMetric(List.of(model), stats.work().computedPromptTokens()),
          counter("generation_tokens", "Tokens generated.", stats.work().generationTokens()),
          counter("prefix_cache_queries", "Tokens looked up.", stats.prefix().queries()),
          counter("prefix_cache_hits", "Tokens found.", stats.prefix().hits()),
          counter(
              "num_preemptions",
              "Sequences set back for want of room.",
              stats.work().preemptions()),
          new CounterMetricFamily(
                  "tercel_kv_broken",
                  "Sequences whose kept keys were lost for want of room.",
                  LABELS)
              .addMetric(List.of(model), stats.brokenKv().times()),
          new CounterMetricFamily(
                  "tercel_kv_broken_tokens", "Tokens whose kept keys were lost.", LABELS)
              .addMetric(List.of(model), stats.brokenKv().tokens()),
          new CounterMetricFamily(
                  "tercel_nan_sequences", "Sequences that failed of a NaN in the model.", LABELS)
              .addMetric(List.of(model), stats.work().nanSequences()),
          new GaugeMetricFamily("tercel_weight_version", "Of the weights in use.", LABELS)
              .addMetric(List.of(model), stats.weightVersion()));
    }

    /** What routers must know of the cache to follow it; the figures are in the labels. */
    private MetricFamilySamples cacheConfig(EngineStats stats) {
      return new GaugeMetricFamily(
              "vllm:cache_config_info",
              "The KV cache: tokens of a block, and blocks.",
              List.of("model_name", "block_size", "num_gpu_blocks"))
          .addMetric(
              List.of(
                  model,
                  Integer.toString(engine.blockSize()),
                  Integer.toString(stats.blocks().total())),
              1);
    }

    private List<MetricFamilySamples> drafts(EngineStats.Drafts drafts) {
      CounterMetricFamily byPlace =
          new CounterMetricFamily(
              "vllm:spec_decode_num_accepted_tokens_per_pos",
              "Drafted tokens that came true, by their place in the draft.",
              List.of("model_name", "position"));
      for (int i = 0; i < drafts.acceptedByPlace().size(); i++) {
        byPlace.addMetric(List.of(model, Integer.toString(i)), drafts.acceptedByPlace().get(i));
      }
      return List.of(
          counter("spec_decode_num_drafts", "Drafts verified.", drafts.drafts()),
          counter("spec_decode_num_draft_tokens", "Tokens drafted.", drafts.tokens()),
          counter(
              "spec_decode_num_accepted_tokens",
              "Drafted tokens that came true.",
              drafts.accepted()),
          byPlace);
    }

    private List<MetricFamilySamples> byClass(EngineStats stats) {
      GaugeMetricFamily running =
          new GaugeMetricFamily(
              "tercel_class_requests_running", "Sequences that hold blocks, by class.", BY_CLASS);
      GaugeMetricFamily waiting =
          new GaugeMetricFamily(
              "tercel_class_requests_waiting", "Sequences that wait, by class.", BY_CLASS);
      GaugeMetricFamily stalled =
          new GaugeMetricFamily(
              "tercel_class_requests_stalled",
              "Sequences whose clients must read before they go on, by class.",
              BY_CLASS);
      CounterMetricFamily tokens =
          new CounterMetricFamily(
              "tercel_class_generation_tokens", "Tokens generated, by class.", BY_CLASS);
      CounterMetricFamily preemptions =
          new CounterMetricFamily(
              "tercel_class_preemptions", "Sequences set back, by class.", BY_CLASS);
      for (ServiceClass c : ServiceClass.values()) {
        List<String> labels = List.of(model, c.label());
        running.addMetric(labels, stats.of(c).running());
        waiting.addMetric(labels, stats.of(c).waiting());
        stalled.addMetric(labels, stats.of(c).stalled());
        tokens.addMetric(labels, stats.of(c).generationTokens());
        preemptions.addMetric(labels, stats.of(c).preemptions());
      }
      return List.of(running, waiting, stalled, tokens, preemptions);
    }

    private GaugeMetricFamily gauge(String name, String help, double value) {
      return new GaugeMetricFamily("vllm:" + name, help, LABELS).addMetric(List.of(model), value);
    }

    private CounterMetricFamily counter(String name, String help, double value) {
      return new CounterMetricFamily("vllm:" + name, help, LABELS).addMetric(List.of(model), value);
    }
  }
}
