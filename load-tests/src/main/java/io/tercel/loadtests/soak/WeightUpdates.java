package io.tercel.loadtests.soak;

import io.tercel.loadtests.client.AdminClient;
import io.tercel.loadtests.client.TargetException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Gives a server other weights again and again, from directories in turn, on a thread of its own
 * until it is closed.
 */
final class WeightUpdates implements AutoCloseable {
  private final AdminClient admin;
  private final List<String> directories;
  private final Duration interval;
  private final List<Double> seconds = new ArrayList<>();
  private final List<String> faults = new ArrayList<>();
  private final Thread thread;
  private long version = -1;

  /**
   * Begins, with the first update after one interval.
   *
   * @param directories one at least
   */
  WeightUpdates(AdminClient admin, List<String> directories, Duration interval) {
    this.admin = admin;
    this.directories = List.copyOf(directories);
    this.interval = interval;
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
  synchronized List<Double> seconds() {
    return List.copyOf(seconds);
  }

  /** Those that were refused or failed, each as it was told. */
  synchronized List<String> faults() {
    return List.copyOf(faults);
  }

  /** Ends; an update under way is let go. */
  @Override
  public void close() throws InterruptedException {
    thread.interrupt();
    thread.join();
  }
}
