package io.tercel.trainer.run;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How far a run is.
 *
 * @param stepsDone those before a resumption included
 * @param lines of the log that this process has written
 * @param left at the pace so far; null where there is none yet, and at the end
 * @param failure why it failed, in a line; null where it hasn't
 */
public record RunStatus(
    State state, int stepsDone, long lines, @Nullable Duration left, @Nullable String failure) {
  /** What a run is at. */
  public enum State {
    /** What it needs is being read. */
    PREPARING,
    RUNNING,
    /** All steps are done, and the model is written. */
    FINISHED,
    /** Asked to, before the last step; a checkpoint is saved. */
    STOPPED,
    FAILED
  }

  /** Whether nothing changes any more. */
  public boolean ended() {
    return state == State.FINISHED || state == State.STOPPED || state == State.FAILED;
  }
}
