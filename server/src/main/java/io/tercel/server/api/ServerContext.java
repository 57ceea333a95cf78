package io.tercel.server.api;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** What all connections of a server share: limits, and how many requests run. */
final class ServerContext {
  private final RequestGate gate;
  private final HttpLimits limits;
  private final BodyBudget budget;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  private int running;
  private volatile boolean draining;

  ServerContext(RequestGate gate, HttpLimits limits) {
    this.gate = gate;
    this.limits = limits;
    this.budget = new BodyBudget(limits.maxBufferedBytes());
  }

  RequestGate gate() {
    return gate;
  }

  HttpLimits limits() {
    return limits;
  }

  BodyBudget budget() {
    return budget;
  }

  boolean draining() {
    return draining;
  }

  void drain() {
    draining = true;
  }

  void begin() {
    lock.lock();
    try {
      running++;
    } finally {
      lock.unlock();
    }
  }

  void end() {
    lock.lock();
    try {
      if (--running == 0) {
        idle.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Requests that have a thread. */
  int running() {
    lock.lock();
    try {
      return running;
    } finally {
      lock.unlock();
    }
  }

  /** Waits until no request runs; false if some still do after the timeout. */
  boolean awaitIdle(Duration timeout) throws InterruptedException {
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
