package io.tercel.loadtests.traffic;

import io.tercel.loadtests.client.ClientBehavior;
import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.Window;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** Sends a workload to a server, one virtual thread a request. Runs once. */
public final class LoadRun {
  private static final double REST_SECONDS = 0.1;
  private static final long MAX_REST_NANOS = 60_000_000_000L;

  private final Target target;
  private final Dataset dataset;
  private final TrafficPlan plan;
  private final ClientMix mix;
  private final boolean keepText;
  private final RunListener listener;
  private final Queue<RequestTrace> traces = new ConcurrentLinkedQueue<>();
  private final AtomicLong taken = new AtomicLong();

  /** Sends nothing yet. */
  public LoadRun(
      Target target,
      Dataset dataset,
      TrafficPlan plan,
      ClientMix mix,
      boolean keepText,
      RunListener listener) {
    this.target = target;
    this.dataset = dataset;
    this.plan = plan;
    this.mix = mix;
    this.keepText = keepText;
    this.listener = listener;
  }

  /** Sends everything and waits for the end of all of it. */
  public RunResult run() throws InterruptedException {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      // clients add slow readers while they are waited for, and always before their own end
      Queue<Future<?>> running = new ConcurrentLinkedQueue<>();
      try {
        long start = plan.closed() ? closed(threads, running) : open(threads, running);
        for (Future<?> each = running.poll(); each != null; each = running.poll()) {
          each.get();
        }
        List<RequestTrace> all = new ArrayList<>(traces);
        all.sort(Comparator.comparingLong(RequestTrace::index));
        return new RunResult(all, new Window(start, end(all)));
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      } finally {
        threads.shutdownNow(); // everything has ended, unless this run was interrupted
      }
    }
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

  /**
   * As many clients as may be under way; each asks again when it has its answer. Slow readers come
   * besides: else they would hold one place after the other until nobody else were left.
   */
  private long closed(ExecutorService threads, Queue<Future<?>> running) {
    int clients =
        plan.numPrompts() > 0
            ? Math.min(plan.numPrompts(), plan.maxConcurrency())
            : plan.maxConcurrency();
    long start = System.nanoTime();
    for (int i = 0; i < clients; i++) {
      running.add(
          threads.submit(
              () -> {
                for (long n = taken.getAndIncrement();
                    wanted(n, start);
                    n = taken.getAndIncrement()) {
                  Prepared prepared = prepare(n);
                  if (prepared.isSlow()) {
                    running.add(threads.submit(() -> prepared.run(System.nanoTime())));
                  } else {
                    rest(prepared.run(System.nanoTime()), start);
                  }
                }
                return null;
              }));
    }
    return start;
  }

  /** A client that was turned away waits before its next request, as the server says. */
  private void rest(RequestTrace trace, long start) throws InterruptedException {
    Failure failure = trace.failure();
    if (failure != null) {
      long nanos = (long) (failure.retryAfter().orElse(REST_SECONDS) * 1e9);
      long until = System.nanoTime() + Math.min(nanos, MAX_REST_NANOS);
      sleepUntil(plan.numPrompts() > 0 ? until : Math.min(until, start + plan.durationNanos()));
    }
  }

  private boolean wanted(long n, long start) {
    return plan.numPrompts() > 0
        ? n < plan.numPrompts()
        : System.nanoTime() - start < plan.durationNanos();
  }

  /** Each request at its time, whatever the others do; with a limit, it waits for its turn. */
  private long open(ExecutorService threads, Queue<Future<?>> running) throws InterruptedException {
    long[] arrivals = plan.arrivals();
    Semaphore turns =
        new Semaphore(plan.maxConcurrency() > 0 ? plan.maxConcurrency() : Integer.MAX_VALUE, true);
    List<Prepared> atOnce = new ArrayList<>();
    if (plan.pace() instanceof Pace.Unpaced) {
      for (int i = 0; i < arrivals.length; i++) {
        atOnce.add(prepare(i));
      }
    }
    long start = System.nanoTime();
    for (int i = 0; i < arrivals.length; i++) {
      Prepared prepared = atOnce.isEmpty() ? prepare(i) : atOnce.get(i);
      long due = start + arrivals[i];
      sleepUntil(due);
      running.add(
          threads.submit(
              () -> {
                turns.acquire();
                try {
                  prepared.run(due);
                } finally {
                  turns.release();
                }
                return null;
              }));
    }
    return start;
  }

  private static void sleepUntil(long nanoTime) throws InterruptedException {
    for (long left = nanoTime - System.nanoTime(); left > 0; left = nanoTime - System.nanoTime()) {
      LockSupport.parkNanos(left);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
    }
  }

  private Prepared prepare(long n) {
    LoadRequest request = dataset.request(plan.firstIndex() + n);
    ClientBehavior behavior = mix.behaviorOf(request);
    return new Prepared(n, behavior, target.prepare(request, behavior));
  }

  private final class Prepared {
    private final long n;
    private final ClientBehavior behavior;
    private final Target.Call call;

    Prepared(long n, ClientBehavior behavior, Target.Call call) {
      this.n = n;
      this.behavior = behavior;
      this.call = call;
    }

    boolean isSlow() {
      return behavior.kind() == RequestTrace.Client.SLOW_READER;
    }

    RequestTrace run(long intended) throws InterruptedException {
      RequestTrace trace = new RequestTrace(n, behavior.kind(), intended, keepText);
      traces.add(trace);
      call.run(trace);
      listener.ended(trace);
      return trace;
    }
  }
}
