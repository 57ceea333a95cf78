package io.tercel.server.grpc;

import io.grpc.stub.ServerCallStreamObserver;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.Rights;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The way back to one call's client. Sending waits while the client doesn't read, so that a slow
 * one holds up itself alone; one that reads nothing for the write timeout, has cancelled or has
 * passed its deadline is gone.
 *
 * <p>One thread sends and ends. To be made before the service's method returns, as gRPC wants it.
 */
final class Outbound<T> {
  private final ServerCallStreamObserver<T> observer;
  private final Duration writeTimeout;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Runnable> goneCallbacks = new ArrayList<>();
  private final Rights rights = KeyInterceptor.RIGHTS.get();
  private volatile boolean gone;

  Outbound(ServerCallStreamObserver<T> observer, Duration writeTimeout) {
    this.observer = observer;
    this.writeTimeout = writeTimeout;
    observer.setOnReadyHandler(this::ready);
    observer.setOnCancelHandler(this::cancelled);
  }

  /**
   * Sends a message.
   *
   * @throws ClientGoneException if nobody reads any more
   */
  void send(T message) {
    awaitReady();
    observer.onNext(message);
  }

  void end() {
    if (!gone) {
      observer.onCompleted();
    }
  }

  void fail(Throwable failure) {
    if (!gone) {
      observer.onError(ErrorStatus.of(failure));
    }
  }

  /** Runs the callback as soon as the client is gone, at once if it is. */
  void whenGone(Runnable callback) {
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

  boolean gone() {
    return gone;
  }

  /** What the client's key allows. */
  Rights rights() {
    return rights;
  }

  private void ready() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void cancelled() {
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

  private void awaitReady() {
    if (!gone && observer.isReady()) {
      return;
    }
    long left = TimeUnit.NANOSECONDS.convert(writeTimeout);
    lock.lock();
    try {
      while (!gone && !observer.isReady() && left > 0) {
        left = changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ClientGoneException("interrupted");
    } finally {
      lock.unlock();
    }
    if (gone) {
      throw new ClientGoneException("the client cancelled");
    }
    if (!observer.isReady()) {
      throw new ClientGoneException("the client did not read for " + writeTimeout);
    }
  }
}
