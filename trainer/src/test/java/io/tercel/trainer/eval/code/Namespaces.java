package io.tercel.trainer.eval.code;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Whether this machine lets its users make namespaces; where it does, a sandbox must be found. */
public final class Namespaces {
  private Namespaces() {}

  /** Leaves the test out where there are none. */
  public static void assume() throws InterruptedException {
    assumeTrue(runs("unshare", "--map-root-user", "--net", "--pid", "--fork", "true"), "unshare");
    assumeTrue(runs("prlimit", "--nproc=9", "true"), "prlimit");
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/python3")), "a python3 that all may run");
  }

  private static boolean runs(String... command) throws InterruptedException {
    try {
      return new ProcessBuilder(List.of(command)).start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
