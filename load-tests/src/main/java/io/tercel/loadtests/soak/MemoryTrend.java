package io.tercel.loadtests.soak;

import io.tercel.loadtests.client.ServerSample;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * How a server's memory went over a soak. The first third is warming up, and says nothing; a leak
 * shows as the last third standing above the second.
 *
 * @param second median of the second third, in bytes
 * @param last median of the last third
 */
record MemoryTrend(double second, double last) {
  /** What collections, code and caches still move when everything has been seen. */
  private static final double SHARE = 0.05;

  private static final double BYTES = 16 << 20;

  /** Of a figure of these samples, of which there are three at least. */
  static MemoryTrend of(ToDoubleFunction<ServerSample> figure, List<ServerSample> samples) {
    double[] values = samples.stream().mapToDouble(figure).toArray();
    int third = values.length / 3;
    return new MemoryTrend(
        median(values, third, 2 * third), median(values, 2 * third, values.length));
  }

  private static double median(double[] values, int from, int to) {
    double[] sorted = Arrays.copyOfRange(values, from, to);
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }

  /** Whether it grew no more than 5 % or 16 MiB, whichever is more. */
  boolean flat() {
    return last - second <= Math.max(SHARE * second, BYTES);
  }
}
