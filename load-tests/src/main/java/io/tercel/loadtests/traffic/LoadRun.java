package io.tercel.loadtests.traffic;

import io.tercel.loadtests.client.Target;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.metrics.Failure;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/** Sends a workload to a server, one virtual thread a request. Runs once. */
public final class LoadRun {
  private final Dataset dataset;
  private final TrafficPlan plan;
  private final Sender sender;
  private final AtomicLong taken = new AtomicLong();

  /** Sends nothing yet. */
  public LoadRun(
      Target target,
      Dataset dataset,
      TrafficPlan plan,
      ClientMix mix,
      boolean keepText,
      RunListener listener) {
    this.dataset = dataset;
    this.plan = plan;
    this.sender = new Sender(target, mix, keepText, listener);
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
        return sender.result(start);
      } catch (ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      } finally {
        threads.shutdownNow(); // everything has ended, unless this run was interrupted
      }
    }
  }

  /**
   * As many clients as may be under way; each asks again when it has its answer. Slow readers come
   * besides: else they would hold one place after the other until nobody else were left.
   */
  private long closed(ExecutorService threads, Queue<Future<?>> running) {
    long start = System.nanoTime();
    for (int i = 0; i < plan.clients(); i++) {
      running.add(
          threads.submit(
              () -> {
                for (long n = taken.getAndIncrement();
                    plan.wants(n, start);
                    n = taken.getAndIncrement()) {
                  Sender.Prepared prepared = prepare(n);
                  if (prepared.isSlow()) {
                    running.add(threads.submit(() -> prepared.run(System.nanoTime())));
                    continue;
                  }
                  Failure failure = prepared.run(System.nanoTime()).failure();
                  if (failure != null) {
                    Pause.after(failure, plan, start);
                  }
                }
                return null;
              }));
    }
    return start;
  }

  /** Each request at its time, whatever the others do; with a limit, it waits for its turn. */
  private long open(ExecutorService threads, Queue<Future<?>> running) throws InterruptedException {
    long[] arrivals = plan.arrivals();
    Semaphore turns =
        new Semaphore(plan.maxConcurrency() > 0 ? plan.maxConcurrency() : Integer.MAX_VALUE, true);
    List<Sender.Prepared> atOnce = new ArrayList<>();
    if (plan.pace() instanceof Pace.Unpaced) {
      for (int i = 0; i < arrivals.length; i++) {
        atOnce.add(prepare(i));
      }
    }
    long start = System.nanoTime();
    for (int i = 0; i < arrivals.length; i++) {
      Sender.Prepared prepared = atOnce.isEmpty() ? prepare(i) : atOnce.get(i);
      long due = start + arrivals[first(i)];
      Pause.until(due);
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

  /** Whose arrival a request shares: its own, or that of the first of its group. */
  private int first(int n) {
    long together = dataset.sentWith(plan.firstIndex() + n) - plan.firstIndex();
    return (int) Math.max(0, together);
  }

  private Sender.Prepared prepare(long n) {
    return sender.prepare(n, dataset.request(plan.firstIndex() + n));
  }
}
