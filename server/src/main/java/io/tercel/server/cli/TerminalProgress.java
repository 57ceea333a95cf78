package io.tercel.server.cli;

import io.tercel.server.hub.DownloadProgress;
import io.tercel.server.hub.HubClient;
import io.tercel.server.hub.HubConfig;
import java.io.PrintStream;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * A bar with size, speed and time left on a terminal; elsewhere one line a file, so that logs stay
 * readable.
 */
public final class TerminalProgress implements DownloadProgress {
  private static final long MIB = 1 << 20;
  private static final int WIDTH = 110;

  private final PrintStream out;
  private final boolean bars;
  private @Nullable ProgressBar bar;

  /** Speaks to a stream, with bars if it is a terminal. */
  public TerminalProgress(PrintStream out, boolean terminal) {
    this.out = out;
    this.bars = terminal;
  }

  /** The hub as this process's environment says, with progress on the standard error stream. */
  public static HubClient hub() {
    return new HubClient(
        HubConfig.ofProcess(),
        new TerminalProgress(System.err, Tty.isTerminal(Tty.STANDARD_ERROR)));
  }

  @Override
  public void note(String line) {
    out.println(line);
  }

  @Override
  public void begin(String model, long total) {
    close();
    if (bars) {
      bar =
          new ProgressBarBuilder()
              .setTaskName(model)
              .setInitialMax(total)
              .setUnit(" MiB", MIB)
              .showSpeed()
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(250)
              .setConsumer(new ConsoleProgressBarConsumer(out, WIDTH))
              .build();
    } else {
      out.printf("Fetching %s: %.1f MiB%n", model, total / (double) MIB);
    }
  }

  @Override
  public void file(String name) {
    if (bar != null) {
      bar.setExtraMessage(" " + name);
    } else {
      out.println("  " + name);
    }
  }

  @Override
  public void done(long bytes) {
    if (bar != null) {
      bar.stepTo(bytes);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }
}
