package io.tercel.server.call;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How many calls run on a wire, and how many may; and how many bytes their requests have, where
 * those stay in memory as long as they do. Thread-safe.
 */
public final class RunningCalls {
  private final int most;
  private final long mostBytes;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  private int running;
  private long bytes;

  /** Without bounds. */
  public RunningCalls() {
    this(Integer.MAX_VALUE, Long.MAX_VALUE);
  }

  /**
   * None yet.
   *
   * @param most one more is refused
   * @param mostBytes of their requests together
   */
  public RunningCalls(int most, long mostBytes) {
    this.most = most;
    this.mostBytes = mostBytes;
  }

  /**
   * Begins one.
   *
   * @param length of its request, in bytes
   * @throws ApiException if there are too many
   */
  public void begin(int length) {
    lock.lock();
    try {
      if (running >= most) {
        throw ApiException.tooManyRequests("too many calls are running; try again later");
      }
      if (bytes + length > mostBytes) {
        throw ApiException.tooManyRequests("running calls have too long requests; try again later");
      }
      running++;
      bytes += length;
    } finally {
      lock.unlock();
    }
  }

  /** Ends one that began with as many bytes. */
  public void end(int length) {
    lock.lock();
    try {
      bytes -= length;
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
