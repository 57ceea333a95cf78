package io.tercel.trainer.run;

import java.util.concurrent.CountDownLatch;

/**
 * The wish that a run end, by SIGTERM, SIGINT or whoever {@linkplain #ask asks}: the step under way
 * is finished and saved, and only then does the process end.
 */
public final class StopSignal implements AutoCloseable {
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread hook = Thread.ofPlatform().unstarted(this::await);
  private volatile boolean asked;

  private StopSignal() {}

  /** Listens until closed. */
  public static StopSignal listen() {
    StopSignal signal = new StopSignal();
    Runtime.getRuntime().addShutdownHook(signal.hook);
    return signal;
  }

  private void await() {
    asked = true;
    try {
      closed.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Asks, without ending the process by that alone. */
  public void ask() {
    asked = true;
  }

  /** Whether the run is to end after this step. */
  public boolean asked() {
    return asked;
  }

  @Override
  public void close() {
    closed.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // the process is ending already
    }
  }
}
