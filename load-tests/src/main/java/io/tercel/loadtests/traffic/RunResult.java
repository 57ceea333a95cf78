package io.tercel.loadtests.traffic;

import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Window;
import java.util.List;

/**
 * What happened in a run.
 *
 * @param traces of all requests, by index
 * @param window from the start to the end of the last request of a patient client
 */
public record RunResult(List<RequestTrace> traces, Window window) {
  public RunResult {
    traces = List.copyOf(traces);
  }
}
