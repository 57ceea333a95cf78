package io.tercel.loadtests.traffic;

import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.SessionDataset;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A closed loop of clients that each go through one session after another: the next prompt holds
 * the answers so far, and is sent when its user has thought. A session ends with its last turn, or
 * with a request that failed or whose client left; the run when enough requests were sent. Runs
 * once.
 */
public final class SessionRun {
  private final SessionDataset sessions;
  private final TrafficPlan plan;
  private final Sender sender;
  private final AtomicLong requests = new AtomicLong();
  private final AtomicLong begun = new AtomicLong();

  /**
   * Sends nothing yet.
   *
   * @param plan a closed loop's
   */
  public SessionRun(
      Target target,
      SessionDataset sessions,
      TrafficPlan plan,
      ClientMix mix,
      RunListener listener) {
    if (!plan.closed()) {
      throw new IllegalArgumentException("sessions need a number of clients");
    }
    this.sessions = sessions;
    this.plan = plan;
    this.sender = new Sender(target, mix, true, listener);
  }

  /** Goes through sessions until enough requests were sent, and waits for the end of all. */
  public RunResult run() throws InterruptedException {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      try {
        long start = System.nanoTime();
        List<Future<?>> clients = new ArrayList<>();
        for (int i = 0; i < plan.clients(); i++) {
          clients.add(
              threads.submit(
                  () -> {
                    client(start);
                    return null;
                  }));
        }
        for (Future<?> client : clients) {
          client.get();
        }
        return sender.result(start);
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      } finally {
        threads.shutdownNow(); // everything has ended, unless this run was interrupted
      }
    }
  }

  private void client(long start) throws InterruptedException {
    SessionDataset.Session session = null;
    for (long n = requests.getAndIncrement();
        plan.wants(n, start);
        n = requests.getAndIncrement()) {
      if (session == null) {
        session = sessions.session(plan.firstIndex() + begun.getAndIncrement());
      } else {
        // not before it is known that there is a next turn: else the run's end would wait for it
        Pause.until(plan.notAfterEnd(System.nanoTime() + session.thinkNanos(), start));
        if (!plan.wants(n, start)) {
          return;
        }
      }
      RequestTrace trace = sender.prepare(n, session.next()).run(System.nanoTime());
      Failure failure = trace.failure();
      if (failure != null) {
        Pause.after(failure, plan, start);
      }
      if (trace.ending() == RequestTrace.Ending.COMPLETED && session.hasNext()) {
        session.answered(trace.answerText());
      } else {
        session = null;
      }
    }
  }
}
