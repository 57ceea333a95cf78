package io.tercel.trainer.eval.code;

import java.time.Duration;
import java.util.List;

/**
 * What one run of a program may use.
 *
 * @param cpu of each of its processes
 * @param wall until all of it is killed
 * @param memoryBytes of address space of each of its processes
 * @param fileBytes of each file that it writes
 * @param outputBytes that are read of what it prints; more is a failure
 */
record ProcessLimits(
    Duration cpu, Duration wall, long memoryBytes, long fileBytes, int outputBytes) {
  /** LiveCodeBench's 6 seconds a test; what waits, or is kept waiting, gets thrice that. */
  static final ProcessLimits USUAL =
      new ProcessLimits(
          Duration.ofSeconds(6), Duration.ofSeconds(18), 4L << 30, 64L << 20, 64 << 20);

  private static final int PROCESSES = 32;

  /** The command of util-linux that sets them for what it starts. */
  List<String> prlimit() {
    return List.of(
        "prlimit",
        "--cpu=%d:%d".formatted(cpu.toSeconds(), cpu.toSeconds() + 1),
        "--as=" + memoryBytes,
        "--fsize=" + fileBytes,
        "--nproc=" + PROCESSES,
        "--nofile=64",
        "--core=0",
        "--");
  }
}
