package io.tercel.server.cli;

import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.model.ByteSize;
import java.io.PrintStream;

/**
 * A line on the console that tells how far loading is; silent where it takes less than a second or
 * nobody looks.
 */
final class LoadBar implements LoadProgress {
  private static final long QUIET_NANOS = 1_000_000_000L;

  private final PrintStream out;
  private final boolean shown = System.console() != null;
  private final long start = System.nanoTime();
  private int lastPercent = -1;

  LoadBar(PrintStream out) {
    this.out = out;
  }

  @Override
  public synchronized void loaded(String name, long doneBytes, long totalBytes) {
    int percent = totalBytes == 0 ? 100 : (int) (100 * doneBytes / totalBytes);
    if (!shown || percent == lastPercent || System.nanoTime() - start < QUIET_NANOS) {
      return;
    }
    lastPercent = percent;
    out.print("\rLoading " + ByteSize.format(totalBytes) + " of weights: " + percent + " %");
    if (percent == 100) {
      out.println();
    }
    out.flush();
  }
}
