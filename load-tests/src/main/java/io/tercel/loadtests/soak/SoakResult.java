package io.tercel.loadtests.soak;

import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.metrics.Failures;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.traffic.RunResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a soak came to.
 *
 * @param results by class of service
 * @param samples of the server's figures while it ran
 * @param after the server's figures at rest
 * @param updateSeconds how long each change of weights took
 * @param updateFaults changes that failed
 */
public record SoakResult(
    Map<String, RunResult> results,
    List<ServerSample> samples,
    ServerSample after,
    List<Double> updateSeconds,
    List<String> updateFaults) {
  /** What a server at its limit may answer. */
  private static final Set<String> ALLOWED = Set.of("http_429");

  private static final String HEAP = "jvm_memory_bytes_used";

  public SoakResult {
    results = Map.copyOf(results);
    samples = List.copyOf(samples);
    updateSeconds = List.copyOf(updateSeconds);
    updateFaults = List.copyOf(updateFaults);
  }

  static boolean isIdle(ServerSample sample) {
    return sample.values().containsKey("vllm:num_requests_running")
        && value(sample, "vllm:num_requests_running") == 0
        && value(sample, "vllm:num_requests_waiting") == 0
        && value(sample, "vllm:kv_cache_usage_perc") == 0;
  }

  private static double value(ServerSample sample, String name) {
    return sample.values().getOrDefault(name, 0.0);
  }

  /** All clients' requests. */
  List<RequestTrace> traces() {
    return results.values().stream().flatMap(r -> r.traces().stream()).toList();
  }

  MemoryTrend resident() {
    return MemoryTrend.of(s -> value(s, ServerSample.RESIDENT), samples);
  }

  /** Resident memory but for the heap in use, which is garbage for the most part. */
  MemoryTrend outsideHeap() {
    return MemoryTrend.of(s -> value(s, ServerSample.RESIDENT) - value(s, HEAP), samples);
  }

  /** What collections left of the heap. */
  MemoryTrend liveHeap() {
    return MemoryTrend.of(s -> value(s, ServerSample.LIVE), samples);
  }

  /** What should not have been, each in a line; empty if the server bore it all. */
  public List<String> complaints() {
    List<String> all = new ArrayList<>();
    Failures failures = Failures.of(traces());
    failures.counts().entrySet().stream()
        .filter(e -> !ALLOWED.contains(e.getKey()))
        .forEach(
            e ->
                all.add(
                    "%d × %s: %s"
                        .formatted(e.getValue(), e.getKey(), failures.example(e.getKey()))));
    results.forEach(
        (name, result) -> {
          if (result.traces().stream()
              .noneMatch(t -> t.ending() == RequestTrace.Ending.COMPLETED)) {
            all.add("nobody of class " + name + " was answered");
          }
        });
    if (samples.size() < 3) {
      all.add("the server's figures could not be read");
    } else {
      complain(all, "memory outside the heap", outsideHeap());
      complain(all, "what collections left of the heap", liveHeap());
    }
    if (!isIdle(after)) {
      all.add("something still runs, waits or holds blocks: " + after.values());
    }
    updateFaults.forEach(fault -> all.add("new weights: " + fault));
    return all;
  }

  private static void complain(List<String> all, String what, MemoryTrend trend) {
    if (!trend.flat()) {
      all.add(
          "%s grew from %.0f to %.0f MiB"
              .formatted(what, trend.second() / (1 << 20), trend.last() / (1 << 20)));
    }
  }
}
