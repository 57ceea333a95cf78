package io.tercel.loadtests.cli;

import io.tercel.server.UserException;
import picocli.CommandLine.Option;

/** How a trace is replayed. */
final class TraceOptions {
  @Option(
      names = "--trace-speed",
      paramLabel = "X",
      description = "trace: how many times faster it is replayed (default: ${DEFAULT-VALUE}).")
  double speed = 1;

  @Option(
      names = "--trace-block-size",
      paramLabel = "N",
      description =
          "trace: tokens of a prompt behind each of hash_ids (default: ${DEFAULT-VALUE}, as in"
              + " Mooncake's).")
  int blockSize = 512;

  void check() {
    if (!(speed > 0 && speed <= 1e6)) {
      throw new UserException("--trace-speed: " + speed + "; expected a number above 0, such as 2");
    }
    if (blockSize < 1) {
      throw new UserException("--trace-block-size: " + blockSize + "; expected at least 1");
    }
  }
}
