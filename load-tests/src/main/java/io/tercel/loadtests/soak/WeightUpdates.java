package io.tercel.loadtests.soak;

import io.tercel.loadtests.client.AdminClient;
import io.tercel.loadtests.client.TargetException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * Gives a server other weights again and again, from directories in turn, on a thread of its own
 * until it is closed.
 */
public final class WeightUpdates implements AutoCloseable {
  private final AdminClient admin;
  private final List<String> directories;
  private final Duration interval;
  private final List<Double> seconds = new ArrayList<>();
  private final List<String> faults = new ArrayList<>();
  private final Thread thread;
  private long version = -1;

  /** Begins, with the first update after one interval. */
  public WeightUpdates(Soak.Updates updates) {
    this.admin = updates.admin();
    this.directories = updates.directories();
    this.interval = updates.interval();
    this.thread = Thread.ofVirtual().name("weight-updates").start(this::run);
  }

  private void run() {
    try {
      for (int i = 0; ; i++) {
        Thread.sleep(interval);
        update(directories.get(i % directories.size()));
      }
    } catch (InterruptedException e) {
      // closed
    }
  }

  private void update(String directory) throws InterruptedException {
    long begun = System.nanoTime();
    try {
      done(admin.updateWeights(directory), (System.nanoTime() - begun) / 1e9);
    } catch (TargetException e) {
      fault(String.valueOf(e.getMessage()));
    }
  }

  /** Versions must rise. */
  private synchronized void done(long next, double took) {
    if (next <= version) {
      fault("version " + next + " after " + version);
    }
    version = next;
    seconds.add(took);
  }

  private synchronized void fault(String what) {
    faults.add(what);
  }

  /** How long each took, from asking to the answer. */
  public synchronized List<Double> seconds() {
    return List.copyOf(seconds);
  }

  /** Those that were refused or failed, each as it was told. */
  public synchronized List<String> faults() {
    return List.copyOf(faults);
  }

  /** A line for people. */
  static String line(List<Double> seconds) {
    return seconds.isEmpty()
        ? "no new weights"
        : String.format(
            Locale.ROOT,
            "%d times new weights, %.2f s at most",
            seconds.size(),
            Collections.max(seconds));
  }

  /** What it came to, faults in lines of their own. */
  public String summary() {
    StringBuilder text = new StringBuilder(line(seconds())).append('\n');
    faults().forEach(fault -> text.append("new weights FAILED: ").append(fault).append('\n'));
    return text.toString();
  }

  /** Ends; an update under way is let go. */
  @Override
  public void close() throws InterruptedException {
    thread.interrupt();
    thread.join();
  }
}
