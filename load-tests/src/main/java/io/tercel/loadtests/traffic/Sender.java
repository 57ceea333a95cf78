package io.tercel.loadtests.traffic;

import io.tercel.loadtests.client.ClientBehavior;
import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Window;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Sends the requests of one run and keeps what became of them. Safe for many threads. */
final class Sender {
  private final Target target;
  private final ClientMix mix;
  private final boolean keepText;
  private final RunListener listener;
  private final Queue<RequestTrace> traces = new ConcurrentLinkedQueue<>();

  Sender(Target target, ClientMix mix, boolean keepText, RunListener listener) {
    this.target = target;
    this.mix = mix;
    this.keepText = keepText;
    this.listener = listener;
  }

  /**
   * Does all that can be done before the request's time has come.
   *
   * @param n its number in the run, from 0
   */
  Prepared prepare(long n, LoadRequest request) {
    ClientBehavior behavior = mix.behaviorOf(request);
    RequestTrace.Label label =
        new RequestTrace.Label(request.tags().serviceClass(), request.tags().turn());
    return new Prepared(n, label, behavior, target.prepare(request, behavior));
  }

  /** What happened in the run that began then, by the requests' numbers. */
  RunResult result(long start) {
    List<RequestTrace> all = new ArrayList<>(traces);
    all.sort(Comparator.comparingLong(RequestTrace::index));
    return new RunResult(all, new Window(start, end(all)));
  }

  /** The last patient client's end: slow readers may go on for long after it. */
  private static long end(List<RequestTrace> traces) {
    return traces.stream()
            .filter(trace -> trace.client() == RequestTrace.Client.PATIENT)
            .mapToLong(RequestTrace::last)
            .max()
            .orElseGet(System::nanoTime)
        + 1; // a window ends before its end
  }

  /** A request that is ready to be sent. */
  final class Prepared {
    private final long n;
    private final RequestTrace.Label label;
    private final ClientBehavior behavior;
    private final Target.Call call;

    private Prepared(long n, RequestTrace.Label label, ClientBehavior behavior, Target.Call call) {
      this.n = n;
      this.label = label;
      this.behavior = behavior;
      this.call = call;
    }

    boolean isSlow() {
      return behavior.kind() == RequestTrace.Client.SLOW_READER;
    }

    /** Sends it, which was to be at that time, and waits for its end. */
    RequestTrace run(long intended) throws InterruptedException {
      RequestTrace trace = new RequestTrace(n, behavior.kind(), label, intended, keepText);
      traces.add(trace);
      call.run(trace);
      listener.ended(trace);
      return trace;
    }
  }
}
