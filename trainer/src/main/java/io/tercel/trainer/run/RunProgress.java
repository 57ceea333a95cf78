package io.tercel.trainer.run;

import io.tercel.server.cli.Tty;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A bar with the time left on a terminal; elsewhere a line now and then, so logs stay readable. */
public final class RunProgress implements AutoCloseable {
  private static final int LINES = 50;

  private final int total;
  private final RunPace pace;
  private final @Nullable ProgressBar bar;

  private RunProgress(int total, int begun, @Nullable ProgressBar bar) {
    this.total = total;
    this.pace = new RunPace(total, begun);
    this.bar = bar;
  }

  /**
   * @param task what is done, in a word
   * @param stepsDone before this run, when it is resumed
   */
  public static RunProgress start(String task, int total, int stepsDone) {
    ProgressBar bar =
        Tty.isTerminal(Tty.STANDARD_ERROR)
            ? ProgressBar.builder()
                .setTaskName(task)
                .setInitialMax(total)
                .setStyle(ProgressBarStyle.ASCII)
                .startsFrom(stepsDone, Duration.ZERO)
                .build()
            : null;
    return new RunProgress(total, stepsDone, bar);
  }

  /**
   * @param state what there is to be said, such as the loss
   */
  public void stepped(int stepsDone, String state) {
    if (bar != null) {
      bar.stepTo(stepsDone);
      bar.setExtraMessage(" " + state);
    } else if (stepsDone % Math.max(1, total / LINES) == 0 || stepsDone == total) {
      Duration left = pace.left(stepsDone).plusMillis(500); // to the nearest second
      System.err.printf(
          Locale.ROOT,
          "step %d of %d, %s, %d:%02d left%n",
          stepsDone,
          total,
          state,
          left.toMinutes(),
          left.toSecondsPart());
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
