package io.tercel.server.cli;

import java.io.Console;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * Whether a standard stream is a terminal, each by itself: Java's console only says whether input
 * and output both are.
 */
public final class Tty {
  public static final int STANDARD_INPUT = 0;
  public static final int STANDARD_OUTPUT = 1;
  public static final int STANDARD_ERROR = 2;

  private Tty() {}

  /** Asks the C library about a file descriptor; where there is none, asks the console. */
  public static boolean isTerminal(int descriptor) {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> isatty = linker.defaultLookup().find("isatty");
    if (isatty.isEmpty()) {
      Console console = System.console();
      return console != null && console.isTerminal();
    }
    try {
      return (int)
              linker
                  .downcallHandle(
                      isatty.get(),
                      FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT))
                  .invokeExact(descriptor)
          != 0;
    } catch (Throwable e) {
      throw new LinkageError("isatty", e);
    }
  }
}
