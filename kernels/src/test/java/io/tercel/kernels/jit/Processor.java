package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tercel.kernels.ops.BackendUnavailableException;

/** Whether machine code of this package can run where the tests do. */
public final class Processor {
  private Processor() {}

  /** Ends a test as absent where the processor or the system can't; says why. */
  public static void assumeSupported() {
    String reason = reason();
    assumeTrue(reason.isEmpty(), "ABSENT: jit " + reason);
  }

  public static boolean isSupported() {
    return reason().isEmpty();
  }

  private static String reason() {
    try {
      JitOps.requireProcessor();
      return "";
    } catch (BackendUnavailableException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
