package io.tercel.server.call;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * Watches one call's client: whether it is still there, and whether it takes what is sent to it.
 * Whoever sends waits here while it doesn't, so that a slow client holds up itself alone; one that
 * has taken nothing for a while is gone. Slowness is no silence: whatever it takes begins the while
 * anew.
 */
public final class ClientWatch {
  private final Duration silence;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Runnable> goneCallbacks = new ArrayList<>();
  private long moves;
  private volatile boolean gone;

  /**
   * A client that is there.
   *
   * @param silence how long it may take nothing while somebody waits for it
   */
  public ClientWatch(Duration silence) {
    this.silence = silence;
  }

  /** Runs the callback as soon as the client is gone, at once if it is; it must not block. */
  public void whenGone(Runnable callback) {
    lock.lock();
    try {
      if (!gone) {
        goneCallbacks.add(callback);
        return;
      }
    } finally {
      lock.unlock();
    }
    callback.run();
  }

  public boolean gone() {
    return gone;
  }

  /** The client has left: runs the callbacks, and wakes whoever waits. */
  public void left() {
    List<Runnable> callbacks;
    lock.lock();
    try {
      gone = true;
      callbacks = List.copyOf(goneCallbacks);
      goneCallbacks.clear();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    callbacks.forEach(Runnable::run);
  }

  /** The client has taken something, or could. */
  public void moved() {
    lock.lock();
    try {
      moves++;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for something that the client's reading brings about.
   *
   * @param condition asked again after each move
   * @throws ClientGoneException if it leaves, or takes nothing for too long
   */
  public void await(BooleanSupplier condition) {
    if (!gone && condition.getAsBoolean()) {
      return;
    }
    lock.lock();
    try {
      long left = TimeUnit.NANOSECONDS.convert(silence);
      long seen = moves;
      while (!gone && !condition.getAsBoolean()) {
        if (left <= 0) {
          throw new ClientGoneException("the client did not read for " + silence);
        }
        left = changed.awaitNanos(left);
        if (moves != seen) {
          seen = moves;
          left = TimeUnit.NANOSECONDS.convert(silence);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ClientGoneException("interrupted");
    } finally {
      lock.unlock();
    }
    if (gone) {
      throw new ClientGoneException("the client has left");
    }
  }
}
