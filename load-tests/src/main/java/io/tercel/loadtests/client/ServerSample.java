package io.tercel.loadtests.client;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a server's /metrics said at one moment.
 *
 * @param nanos a reading of {@link System#nanoTime}
 * @param values by metric, summed over labels; of the JVM's memory the heap alone
 */
public record ServerSample(long nanos, Map<String, Double> values) {
  /** Resident memory of the process. */
  public static final String RESIDENT = "process_resident_memory_bytes";

  /** What of the heap was in use after each pool's last collection, as far as there was one. */
  public static final String LIVE = "jvm_memory_pool_collection_used_bytes";

  /** What is looked for; a server may have some of it, or nothing. */
  public static final List<String> NAMES =
      List.of(
          RESIDENT,
          "jvm_memory_bytes_used",
          "jvm_memory_used_bytes",
          LIVE,
          "tercel_off_heap_bytes",
          "vllm:kv_cache_usage_perc",
          "vllm:num_requests_running",
          "vllm:num_requests_waiting",
          "vllm:num_preemptions_total");

  public ServerSample {
    values = Map.copyOf(values);
  }

  /** Reads Prometheus' text format. */
  static ServerSample parse(String text, long nanos) {
    SortedMap<String, Double> values = new TreeMap<>();
    text.lines()
        .filter(line -> !line.startsWith("#"))
        .forEach(
            line -> {
              int labels = line.indexOf('{');
              int space = line.lastIndexOf('}') + 1;
              int nameEnd = labels >= 0 ? labels : line.indexOf(' ');
              String name = nameEnd < 0 ? line : line.substring(0, nameEnd);
              boolean otherMemory =
                  name.startsWith("jvm_memory") && !line.contains("area=\"heap\"");
              if (NAMES.contains(name) && !otherMemory) {
                String number = line.substring(labels >= 0 ? space : nameEnd).strip().split(" ")[0];
                try {
                  values.merge(name, Double.parseDouble(number), Double::sum);
                } catch (NumberFormatException e) {
                  // +Inf and the like: no figure
                }
              }
            });
    return new ServerSample(nanos, values);
  }
}
