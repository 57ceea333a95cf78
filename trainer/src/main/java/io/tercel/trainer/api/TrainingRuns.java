package io.tercel.trainer.api;

import io.tercel.server.UserException;
import io.tercel.trainer.run.TrainingRun;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The runs of a process, one at a time. */
public interface TrainingRuns {
  /** The newest; null before the first. */
  @Nullable TrainingRun current();

  /**
   * Starts a run, which is being prepared when this returns.
   *
   * @throws UserException in one line, if none can be started now or not this one
   */
  TrainingRun start(Wish wish);

  /**
   * A run that somebody wants.
   *
   * @param command {@code distill} or {@code grpo}
   * @param arguments of it, as on a command line
   * @param folder a name for the run's folder
   * @param resume whether it goes on from that folder's checkpoint
   * @param student what is trained, if it isn't what is served
   */
  record Wish(
      String command,
      List<String> arguments,
      String folder,
      boolean resume,
      @Nullable String student) {
    public Wish {
      arguments = List.copyOf(arguments);
    }
  }

  /** Of a process that was started for one run. */
  static TrainingRuns only(TrainingRun run) {
    return new TrainingRuns() {
      @Override
      public TrainingRun current() {
        return run;
      }

      @Override
      public TrainingRun start(Wish wish) {
        throw new UserException(
            "this process was started for one run, and ends with it: start runs on a server that"
                + " tercel serve --training DIR has started");
      }
    };
  }
}
