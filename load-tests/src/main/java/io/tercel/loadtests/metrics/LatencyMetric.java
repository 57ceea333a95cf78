package io.tercel.loadtests.metrics;

/** The latencies that are measured, under the names that {@code vllm bench serve} gives them. */
public enum LatencyMetric {
  TTFT("ttft", "Time to First Token"),
  TTFAT("ttfat", "Time to First Answer Token (after thinking)"),
  TPOT("tpot", "Time per Output Token (excl. 1st token)"),
  ITL("itl", "Inter-token Latency"),
  E2EL("e2el", "End-to-end Latency");

  private final String key;
  private final String title;

  LatencyMetric(String key, String title) {
    this.key = key;
    this.title = title;
  }

  /** As in options and in JSON. */
  public String key() {
    return key;
  }

  public String title() {
    return title;
  }
}
