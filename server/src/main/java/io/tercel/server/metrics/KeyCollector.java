package io.tercel.server.metrics;

import io.prometheus.client.Collector;
import io.prometheus.client.CounterMetricFamily;
import io.tercel.server.call.KeyHolder;
import io.tercel.server.call.Keys;
import java.util.List;

/** What was asked with each key; a key that is gone is not among them any more. */
final class KeyCollector extends Collector {
  private final String model;
  private final Keys keys;

  KeyCollector(String model, Keys keys) {
    this.model = model;
    this.keys = keys;
  }

  @Override
  public List<MetricFamilySamples> collect() {
    CounterMetricFamily requests =
        new CounterMetricFamily(
            "tercel_key_requests", "Requests for work, by key.", List.of("model_name", "key"));
    CounterMetricFamily tokens =
        new CounterMetricFamily(
            "tercel_key_tokens",
            "Tokens of requests that have ended, by key.",
            List.of("model_name", "key", "kind"));
    CounterMetricFamily refused =
        new CounterMetricFamily(
            "tercel_key_refused",
            "Requests over the limit of their key, by what there were too many of.",
            List.of("model_name", "key", "limit"));
    for (KeyHolder holder : keys.holders()) {
      String name = holder.name();
      KeyHolder.Counts counts = holder.counts();
      requests.addMetric(List.of(model, name), counts.requests());
      tokens.addMetric(List.of(model, name, "prompt"), counts.promptTokens());
      tokens.addMetric(List.of(model, name, "generated"), counts.generatedTokens());
      refused.addMetric(List.of(model, name, "requests"), counts.overRequests());
      refused.addMetric(List.of(model, name, "tokens"), counts.overTokens());
    }
    CounterMetricFamily unknown =
        new CounterMetricFamily(
                "tercel_unknown_key",
                "Requests without a key that they needed.",
                List.of("model_name"))
            .addMetric(List.of(model), keys.unknown());
    return List.of(requests, tokens, refused, unknown);
  }
}
