package io.tercel.loadtests.report;

import io.tercel.loadtests.client.ServerSample;
import java.util.List;
import java.util.Optional;

/**
 * How one of the server's figures went over a run.
 *
 * @param perMinute slope of the straight line that fits best (least squares)
 */
public record MemoryTrend(double first, double max, double last, double perMinute, int samples) {
  /** Of one metric; none if it was read less than twice. */
  public static Optional<MemoryTrend> of(List<ServerSample> samples, String metric) {
    List<ServerSample> known =
        samples.stream().filter(s -> s.values().containsKey(metric)).toList();
    if (known.size() < 2) {
      return Optional.empty();
    }
    double[] minutes = new double[known.size()];
    double[] values = new double[known.size()];
    double meanMinutes = 0;
    double meanValue = 0;
    for (int i = 0; i < known.size(); i++) {
      minutes[i] = (known.get(i).nanos() - known.getFirst().nanos()) / 60e9;
      values[i] = known.get(i).values().getOrDefault(metric, 0.0);
      meanMinutes += minutes[i] / known.size();
      meanValue += values[i] / known.size();
    }
    double cross = 0;
    double squares = 0;
    double max = values[0];
    for (int i = 0; i < values.length; i++) {
      cross += (minutes[i] - meanMinutes) * (values[i] - meanValue);
      squares += (minutes[i] - meanMinutes) * (minutes[i] - meanMinutes);
      max = Math.max(max, values[i]);
    }
    double slope = squares > 0 ? cross / squares : 0;
    return Optional.of(
        new MemoryTrend(values[0], max, values[values.length - 1], slope, values.length));
  }
}
