package io.tercel.loadtests.hostile;

import java.util.Locale;

/**
 * A server's own figures at one time, from its metrics.
 *
 * @param resident bytes of the process
 * @param heap bytes in use, garbage included
 * @param direct bytes of network buffers
 * @param requests that run or wait
 * @param kvUsage share of the KV cache in use
 */
public record ServerReading(long resident, long heap, long direct, long requests, double kvUsage) {

  /** Reads Prometheus' text format; what is missing is 0. */
  static ServerReading of(String metrics) {
    return new ServerReading(
        (long) value(metrics, "process_resident_memory_bytes "),
        (long) value(metrics, "jvm_memory_bytes_used{area=\"heap\""),
        (long) value(metrics, "jvm_buffer_pool_used_bytes{pool=\"direct\""),
        (long)
            (value(metrics, "vllm:num_requests_running{")
                + value(metrics, "vllm:num_requests_waiting{")),
        value(metrics, "vllm:kv_cache_usage_perc{"));
  }

  private static double value(String metrics, String start) {
    return metrics
        .lines()
        .filter(line -> line.startsWith(start))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .findFirst()
        .orElse(0);
  }

  /** Whether nothing runs, waits or holds a block. */
  public boolean idle() {
    return requests == 0 && kvUsage == 0;
  }

  /** The larger of each. */
  ServerReading max(ServerReading other) {
    return new ServerReading(
        Math.max(resident, other.resident),
        Math.max(heap, other.heap),
        Math.max(direct, other.direct),
        Math.max(requests, other.requests),
        Math.max(kvUsage, other.kvUsage));
  }

  /** Bytes as whole MiB. */
  public static String mib(long bytes) {
    return String.format(Locale.ROOT, "%,d", bytes >> 20);
  }
}
