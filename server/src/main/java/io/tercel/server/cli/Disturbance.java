package io.tercel.server.cli;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Whether others used this machine while something was measured: how much of the processors' time
 * they took, what a hypervisor stole, and how long this process' threads stood in the run queue. On
 * Linux from /proc; elsewhere nothing is known and nothing is said.
 */
final class Disturbance {
  /** USER_HZ, which Linux has fixed for programs at 100. */
  private static final double TICK_SECONDS = 0.01;

  /** What a quiet machine's own housekeeping may take. */
  private static final double TOLERATED = 0.05;

  private static final double TOLERATED_STEAL = 0.01;

  private final Path proc;

  /**
   * Seconds since the machine started, of all processors together.
   *
   * @param busy what anybody computed
   * @param stolen what the hypervisor gave to others
   * @param all idle time included
   */
  record Ticks(double busy, double stolen, double all) {
    /** From /proc/stat's first line. */
    static Ticks parse(String line) throws IOException {
      String[] fields = line.trim().split("\\s+");
      if (fields.length < 9 || !fields[0].equals("cpu")) {
        throw new IOException("an unknown /proc/stat: " + line);
      }
      double[] seconds = new double[9];
      for (int i = 1; i < 9; i++) {
        seconds[i] = Long.parseLong(fields[i]) * TICK_SECONDS;
      }
      // user, nice, system, idle, iowait, irq, softirq, steal
      double busy = seconds[1] + seconds[2] + seconds[3] + seconds[6] + seconds[7];
      return new Ticks(busy, seconds[8], busy + seconds[4] + seconds[5] + seconds[8]);
    }
  }

  /** The machine and this process at one moment. */
  private record Moment(Ticks ticks, double own, double waited) {}

  private final Moment start;

  private Disturbance(Path proc) throws IOException {
    this.proc = proc;
    this.start = now();
  }

  /** Begins to watch. */
  static Disturbance watch() {
    try {
      return new Disturbance(Path.of("/proc"));
    } catch (IOException | NumberFormatException e) {
      return none();
    }
  }

  private static Disturbance none() {
    return new Disturbance();
  }

  private Disturbance() {
    this.proc = Path.of("");
    this.start = new Moment(new Ticks(0, 0, 0), Double.NaN, 0);
  }

  private Moment now() throws IOException {
    Ticks ticks =
        Ticks.parse(Files.readString(proc.resolve("stat")).lines().findFirst().orElse(""));
    double own =
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime() / 1e9;
    return new Moment(ticks, own, waited());
  }

  /** Seconds that this process' threads were ready and had no processor. */
  private double waited() throws IOException {
    double nanos = 0;
    try (DirectoryStream<Path> threads =
        Files.newDirectoryStream(proc.resolve("self").resolve("task"))) {
      for (Path thread : threads) {
        try {
          String[] fields = Files.readString(thread.resolve("schedstat")).trim().split("\\s+");
          nanos += fields.length < 2 ? 0 : Double.parseDouble(fields[1]);
        } catch (IOException e) {
          continue; // it has ended
        }
      }
    }
    return nanos / 1e9;
  }

  /** One line if the time since {@link #watch} was disturbed, else empty. */
  String verdict() {
    if (Double.isNaN(start.own)) {
      return "";
    }
    try {
      Moment end = now();
      return verdict(
          start.ticks, end.ticks, end.own - start.own, Math.max(0, end.waited - start.waited));
    } catch (IOException | NumberFormatException e) {
      return "";
    }
  }

  /**
   * As {@link #verdict()}, of numbers.
   *
   * @param own seconds that this process computed
   * @param waited seconds that its threads waited for a processor
   */
  static String verdict(Ticks from, Ticks to, double own, double waited) {
    double all = to.all - from.all;
    if (all <= 0) {
      return "";
    }
    double others = Math.max(0, to.busy - from.busy - own) / all;
    double stolen = (to.stolen - from.stolen) / all;
    if (others <= TOLERATED && stolen <= TOLERATED_STEAL) {
      return "";
    }
    return String.format(
        Locale.ROOT,
        "disturbed: others took %.0f %% of the processors' time, the hypervisor %.0f %%; this process'"
            + " threads waited %.1f s for one. Don't compare these figures with another run's.",
        100 * others,
        100 * stolen,
        waited);
  }
}
