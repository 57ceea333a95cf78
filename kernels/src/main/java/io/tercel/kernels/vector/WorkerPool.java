package io.tercel.kernels.vector;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The threads that compute: the caller and size - 1 platform threads, which spin for a while
 * between jobs and then park.
 *
 * <p>A job's units are claimed in runs of {@code grain}, so that a thread that loses its core for a
 * moment doesn't hold up the others. Who computes a unit never changes its result: units write to
 * places of their own.
 *
 * <p>Protocol: the caller sets the job's fields, opens {@code gate} (the release) and raises {@code
 * epoch}. A worker that sees a new epoch counts itself in at the gate (the acquire), takes units
 * until none is left and counts itself out. The caller takes units too, then waits for the gate to
 * be empty and shuts it in the same step. So nobody claims while the next job's fields are set, and
 * a worker that comes late, because another process has its core, is not waited for. Only workers
 * that say that they park are woken. A parked worker can't miss a job: it says so before it looks
 * at the epoch for the last time, and the caller raises the epoch before it looks who parks.
 *
 * <p>One caller at a time, and none from within a job, whose scratch would be handed out twice:
 * {@code busy} refuses both.
 */
public final class WorkerPool implements AutoCloseable {
  /**
   * Spins before a worker parks: some tens of microseconds, longer than the gaps between two
   * operations.
   */
  private static final int SPINS = 20_000;

  private static final int SHUT = -1;

  /** Ints of a cache line: a worker's flag shares none with another's. */
  private static final int LINE = 16;

  /** Work on units [from, to) by one of the pool's threads. */
  @FunctionalInterface
  public interface Job {
    void run(int from, int to, int worker);
  }

  private final Thread[] threads;
  private final AtomicInteger next = new AtomicInteger();

  /** Workers within the job, or {@link #SHUT}. */
  private final AtomicInteger gate = new AtomicInteger(SHUT);

  private final AtomicIntegerArray parked;
  private volatile int epoch;
  private volatile boolean closed;
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final AtomicBoolean busy = new AtomicBoolean();
  private @Nullable Job job;
  private int units;
  private int grain;

  public WorkerPool(int size) {
    if (size < 1) {
      throw new IllegalArgumentException("threads: " + size + ", at least 1 is needed");
    }
    threads = new Thread[size - 1];
    parked = new AtomicIntegerArray(threads.length * LINE);
    for (int i = 0; i < threads.length; i++) {
      int worker = i + 1;
      threads[i] =
          Thread.ofPlatform().daemon().name("tercel-compute-" + worker).start(() -> loop(worker));
    }
  }

  /** Threads that compute, the caller's included. */
  public int size() {
    return threads.length + 1;
  }

  /**
   * Runs the job over units 0..count-1 and returns when all are done, or when one of them failed
   * and nobody works any more.
   *
   * @throws IllegalStateException if a job is running or the pool is closed
   * @throws RuntimeException whatever the job threw first, on whichever thread
   */
  public void run(int count, int unitsPerClaim, Job work) {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException(
          closed ? "the pool is closed" : "the pool already runs a job; jobs don't nest");
    }
    try {
      if (threads.length == 0 || count <= unitsPerClaim) {
        if (count > 0) {
          work.run(0, count, 0);
        }
      } else {
        share(count, unitsPerClaim, work);
      }
    } finally {
      busy.set(false);
    }
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // one caller at a time: epoch has a single writer
  private void share(int count, int unitsPerClaim, Job work) {
    job = work;
    units = count;
    grain = unitsPerClaim;
    next.set(0);
    gate.set(0);
    epoch++;
    for (int i = 0; i < threads.length; i++) {
      if (parked.get(i * LINE) != 0) {
        LockSupport.unpark(threads[i]);
      }
    }
    work(work, count, unitsPerClaim, 0);
    shutGate();
    job = null;
    switch (failure.getAndSet(null)) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable t -> throw new IllegalStateException("a compute thread failed: " + t, t);
    }
  }

  /** Takes units until none is left; a failure leaves none for the others. */
  private void work(Job work, int count, int unitsPerClaim, int worker) {
    try {
      claim(work, count, unitsPerClaim, worker);
    } catch (Throwable t) {
      failure.compareAndSet(null, t);
      next.set(count);
    }
  }

  private void claim(Job work, int count, int unitsPerClaim, int worker) {
    for (int from = next.getAndAdd(unitsPerClaim);
        from < count;
        from = next.getAndAdd(unitsPerClaim)) {
      work.run(from, Math.min(count, from + unitsPerClaim), worker);
    }
  }

  /** Waits for the workers that came in. */
  private void shutGate() {
    for (int spins = 0; !gate.compareAndSet(0, SHUT); spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        Thread.yield();
      }
    }
  }

  private boolean enter() {
    for (int within = gate.get(); within != SHUT; within = gate.get()) {
      if (gate.compareAndSet(within, within + 1)) {
        return true;
      }
    }
    return false;
  }

  private void loop(int worker) {
    int seen = 0;
    int flag = (worker - 1) * LINE;
    while (true) {
      for (int spins = 0; epoch == seen && !closed; spins++) {
        if (spins < SPINS) {
          Thread.onSpinWait();
        } else {
          parked.set(flag, 1);
          if (epoch == seen && !closed) {
            LockSupport.park(this);
          }
          parked.set(flag, 0);
        }
      }
      if (closed) {
        return;
      }
      seen = epoch;
      if (enter()) { // into this job, or already the next one
        Job work = job;
        if (work != null) {
          work(work, units, grain, worker);
        }
        gate.decrementAndGet();
      }
    }
  }

  /**
   * Ends the threads; a second call does nothing.
   *
   * @throws IllegalStateException if a job is running
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("the pool is closed while it runs a job");
    }
    closed = true; // and busy for ever, so that no job starts
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
  }
}
