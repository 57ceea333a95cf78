package io.tercel.loadtests.cli;

import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.traffic.RunListener;
import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * Shows how far a run is: a bar on a terminal, elsewhere a line every ten seconds, so that logs
 * stay readable.
 */
final class RunProgress implements RunListener, AutoCloseable {
  private static final int WIDTH = 110;
  private static final Duration TICK = Duration.ofMillis(500);
  private static final int TICKS_A_LINE = 20;

  private final PrintStream out;
  private final String name;
  private final long start = System.nanoTime();
  private final AtomicLong ended = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong tokens = new AtomicLong();
  private final long seconds;
  private final @Nullable ProgressBar bar;
  private final Thread ticker;

  /**
   * Begins.
   *
   * @param requests how many there will be; 0 if the time decides
   * @param duration how long requests are sent, if the time decides
   */
  RunProgress(PrintStream out, String name, int requests, Duration duration) {
    this.out = out;
    this.name = name;
    this.seconds = requests > 0 ? 0 : duration.toSeconds();
    Console console = System.console();
    boolean terminal = console != null && console.isTerminal();
    this.bar =
        terminal
            ? new ProgressBarBuilder()
                .setTaskName(name)
                .setInitialMax(requests > 0 ? requests : seconds)
                .setUnit(requests > 0 ? " requests" : " s", 1)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(250)
                .setConsumer(new ConsoleProgressBarConsumer(out, WIDTH))
                .build()
            : null;
    this.ticker = Thread.ofVirtual().name("progress").start(this::tick);
  }

  @Override
  public void ended(RequestTrace trace) {
    ended.incrementAndGet();
    tokens.addAndGet(trace.outputTokens());
    if (trace.failure() != null) {
      failed.incrementAndGet();
    }
  }

  private void tick() {
    try {
      for (int ticks = 1; ; ticks++) {
        Thread.sleep(TICK);
        show(ticks % TICKS_A_LINE == 0);
      }
    } catch (InterruptedException e) {
      // closed
    }
  }

  private void show(boolean line) {
    double elapsed = (System.nanoTime() - start) / 1e9;
    String figures =
        String.format(Locale.ROOT, "%.0f tok/s, %d failed", tokens.get() / elapsed, failed.get());
    ProgressBar shown = bar;
    if (shown != null) {
      shown.setExtraMessage(" " + figures);
      shown.stepTo(seconds > 0 ? Math.min(seconds, (long) elapsed) : ended.get());
    } else if (line) {
      out.printf(
          Locale.ROOT, "%s: %.0f s, %d requests ended, %s%n", name, elapsed, ended.get(), figures);
    }
  }

  @Override
  public void close() {
    ticker.interrupt();
    if (bar != null) {
      show(false);
      bar.close();
    }
  }
}
