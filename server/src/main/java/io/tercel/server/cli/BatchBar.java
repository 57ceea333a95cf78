package io.tercel.server.cli;

import io.tercel.server.batch.BatchProgress;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * How many requests of a file are answered, at which rate and for how long still: a bar on a
 * terminal, elsewhere a line now and then, so that logs stay readable.
 */
final class BatchBar implements BatchProgress {
  private static final int WIDTH = 110;
  private static final long A_LINE_NANOS = Duration.ofSeconds(30).toNanos();

  private final PrintStream out;
  private final boolean terminal;
  private @Nullable ProgressBar bar;
  private long start;
  private long lastLine;
  private int total;
  private int kept;
  private int answered;
  private int failed;
  private long tokens;

  /** Speaks to a stream, with a bar if it is a terminal. */
  BatchBar(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  @Override
  public void begin(int total, int kept) {
    this.total = total;
    this.kept = kept;
    start = System.nanoTime();
    lastLine = start;
    if (kept > 0) {
      out.printf("%d of %d requests were answered before; going on.%n", kept, total);
    }
    if (terminal) {
      bar =
          new ProgressBarBuilder()
              .setTaskName("generate")
              .setInitialMax(total)
              .setUnit(" requests", 1)
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(250)
              .startsFrom(kept, Duration.ZERO)
              .setConsumer(new ConsoleProgressBarConsumer(out, WIDTH))
              .build();
    }
  }

  @Override
  public void answered(long more, boolean error) {
    answered++;
    tokens += more;
    failed += error ? 1 : 0;
    long now = System.nanoTime();
    double seconds = (now - start) / 1e9;
    String rate = String.format(Locale.ROOT, "%.0f tok/s, %d failed", tokens / seconds, failed);
    ProgressBar shown = bar;
    if (shown != null) {
      shown.setExtraMessage(" " + rate);
      shown.stepTo(kept + answered);
    } else if (now - lastLine >= A_LINE_NANOS) {
      lastLine = now;
      long left = Math.round(seconds / answered * (total - kept - answered));
      out.printf(
          Locale.ROOT,
          "%d of %d requests, %s, about %d:%02d:%02d left%n",
          kept + answered,
          total,
          rate,
          left / 3600,
          left / 60 % 60,
          left % 60);
    }
  }

  /** Tokens a second so far. */
  double rate() {
    return tokens / ((System.nanoTime() - start) / 1e9);
  }

  @Override
  public void close() {
    ProgressBar shown = bar;
    if (shown != null) {
      shown.close();
      bar = null;
    }
  }
}
