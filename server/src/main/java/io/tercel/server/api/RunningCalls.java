package io.tercel.server.api;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** How many calls run on a wire, and how many may. Thread-safe. */
public final class RunningCalls {
  private final int most;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  private int running;

  /**
   * None yet.
   *
   * @param most one more is refused
   */
  public RunningCalls(int most) {
    this.most = most;
  }

  /**
   * Begins one.
   *
   * @throws ApiException if there are too many
   */
  public void begin() {
    lock.lock();
    try {
      if (running >= most) {
        throw ApiException.tooManyRequests("too many calls are running; try again later");
      }
      running++;
    } finally {
      lock.unlock();
    }
  }

  /** One has ended. */
  public void end() {
    lock.lock();
    try {
      if (--running == 0) {
        idle.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** How many run now. */
  public int running() {
    lock.lock();
    try {
      return running;
    } finally {
      lock.unlock();
    }
  }

  /** Waits until none runs; false if some still do after the timeout. */
  public boolean awaitIdle(Duration timeout) throws InterruptedException {
    long left = TimeUnit.NANOSECONDS.convert(timeout);
    lock.lock();
    try {
      while (running > 0 && left > 0) {
        left = idle.awaitNanos(left);
      }
      return running == 0;
    } finally {
      lock.unlock();
    }
  }
}
