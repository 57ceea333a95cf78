package io.tercel.trainer.run;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.run.RunStatus.State;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A run as others see it while it is under way: how far it is, its log as it grows, and the wish
 * that it stop. It never waits for those who look.
 */
public final class TrainingRun implements RunLog.Listener, AutoCloseable {
  private final RunFolder folder;
  private final int steps;
  private final StopSignal stop;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private State state = State.PREPARING;
  private int stepsDone;
  private long lines;
  private @Nullable RunPace pace;
  private @Nullable String failure;

  /** What a run does. */
  @FunctionalInterface
  public interface Work {
    /** Returns at the last step, or after a step at which it was asked to stop. */
    void run() throws IOException;
  }

  /**
   * One that is being prepared.
   *
   * @param steps of the whole run
   */
  public TrainingRun(RunFolder folder, int steps, StopSignal stop) {
    this.folder = folder;
    this.steps = steps;
    this.stop = stop;
    folder.listener(this);
  }

  public RunFolder folder() {
    return folder;
  }

  /** Of the whole run. */
  public int steps() {
    return steps;
  }

  /** Asks it to end after the step under way, with a checkpoint. */
  public void cancel() {
    stop.ask();
  }

  /** Has it done, and tells those who look how it has ended. */
  public void carryOut(Work work) throws IOException {
    try {
      work.run();
    } catch (IOException | RuntimeException | Error e) {
      end(State.FAILED, String.valueOf(e.getMessage()));
      throw e;
    }
    end(finished() ? State.FINISHED : State.STOPPED, null);
  }

  /** Whether all steps are done. */
  public boolean finished() {
    return status().stepsDone() >= steps;
  }

  /** Of one that has not come to its {@linkplain #carryOut work}, that it never will. */
  @Override
  public void close() {
    end(State.FAILED, "it ended before its first step");
  }

  private void end(State as, @Nullable String why) {
    change(
        () -> {
          if (state == State.PREPARING || state == State.RUNNING) {
            state = as;
            failure = why;
          }
        });
  }

  @Override
  public void opened(int done) {
    change(
        () -> {
          state = State.RUNNING;
          stepsDone = done;
          pace = new RunPace(steps, done);
        });
  }

  @Override
  public void appended(JsonNode line) {
    change(
        () -> {
          lines++;
          stepsDone = Math.max(stepsDone, line.path("step").asInt());
        });
  }

  private void change(Runnable to) {
    lock.lock();
    try {
      to.run();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Whether its log can be read. */
  public boolean opened() {
    lock.lock();
    try {
      return pace != null;
    } finally {
      lock.unlock();
    }
  }

  /** Now. */
  public RunStatus status() {
    lock.lock();
    try {
      RunPace known = state == State.RUNNING ? pace : null;
      Duration left = known == null ? Duration.ZERO : known.left(stepsDone);
      return new RunStatus(state, stepsDone, lines, left.isZero() ? null : left, failure);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for something to look at.
   *
   * @param until of the present status
   * @param leaving asked again after each {@link #wake}
   */
  public RunStatus await(Predicate<RunStatus> until, BooleanSupplier leaving)
      throws InterruptedException {
    lock.lock();
    try {
      RunStatus now = status();
      while (!until.test(now) && !leaving.getAsBoolean()) {
        changed.await();
        now = status();
      }
      return now;
    } finally {
      lock.unlock();
    }
  }

  /** Has those who wait ask whether they still want to. */
  public void wake() {
    change(() -> {});
  }
}
