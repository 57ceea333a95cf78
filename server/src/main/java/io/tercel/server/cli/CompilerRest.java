package io.tercel.server.cli;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;

/**
 * How long the JVM's compilers have finished nothing. Their time is counted behind each
 * compilation, so a rest shorter than a long one means little.
 */
final class CompilerRest {
  /** Long enough to begin to measure. */
  static final Duration ENOUGH = Duration.ofMillis(400);

  private final CompilationMXBean compilers = ManagementFactory.getCompilationMXBean();
  private long compiled = compilers.getTotalCompilationTime();
  private long since = System.nanoTime();

  /** Whether nothing was finished for so long, as far as the calls of this method can tell. */
  boolean lasts(Duration rest) {
    long now = compilers.getTotalCompilationTime();
    if (now != compiled) {
      compiled = now;
      since = System.nanoTime();
    }
    return System.nanoTime() - since >= rest.toNanos();
  }
}
