package io.tercel.loadtests.report;

import io.tercel.loadtests.client.ServerSample;
import io.tercel.loadtests.metrics.Failures;
import io.tercel.loadtests.metrics.Misbehaviour;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Slo;
import io.tercel.loadtests.metrics.Summary;
import io.tercel.loadtests.metrics.TimeSeries;
import io.tercel.loadtests.metrics.Window;
import io.tercel.loadtests.traffic.RunResult;
import java.util.List;
import java.util.Optional;

/**
 * All that is known of a run.
 *
 * @param goodput objectives were given, so goodput means something
 * @param steadyWindow the steady state, if there was one, and what it amounts to
 */
public record RunReport(
    RunInfo info,
    RunResult result,
    boolean goodput,
    Summary summary,
    Optional<Window> steadyWindow,
    Optional<Summary> steady,
    TimeSeries series,
    Failures failures,
    Breakdown breakdown,
    Misbehaviour leavers,
    Misbehaviour slowReaders,
    List<ServerSample> samples) {

  public RunReport {
    samples = List.copyOf(samples);
  }

  /** Works it all out. */
  public static RunReport of(RunInfo info, RunResult result, Slo slo, List<ServerSample> samples) {
    List<RequestTrace> traces = result.traces();
    Optional<Window> window = Window.steadyState(traces);
    return new RunReport(
        info,
        result,
        !slo.isEmpty(),
        Summary.of(traces, result.window(), slo),
        window,
        window.map(w -> Summary.of(traces, w, slo)),
        TimeSeries.of(traces),
        Failures.of(traces),
        Breakdown.of(traces, result.window(), slo),
        Misbehaviour.of(traces, RequestTrace.Client.LEAVER),
        Misbehaviour.of(traces, RequestTrace.Client.SLOW_READER),
        samples);
  }

  /** The steady state, or the whole run where there was none. */
  public Summary steadyOrAll() {
    return steady.orElse(summary);
  }

  /**
   * Share of requests, 0 to 1, that met their objectives, by the worse of two counts: the steady
   * state, where nobody finds an empty server, and the whole run, since all that waits until a
   * first answer comes at last was sent before the steady state.
   */
  public double attainment() {
    return Math.min(summary.attainment(), steadyOrAll().attainment());
  }

  /** The samples of the steady state, or all where there was none. */
  List<ServerSample> steadySamples() {
    return steadyWindow
        .map(w -> samples.stream().filter(s -> w.contains(s.nanos())).toList())
        .orElse(samples);
  }
}
