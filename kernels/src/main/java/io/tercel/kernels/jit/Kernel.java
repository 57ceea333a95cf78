package io.tercel.kernels.jit;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * A function of machine code that reads its operands from {@link Operands}: linears so many tokens
 * by so many streams of weights.
 */
final class Kernel {
  private static final FunctionDescriptor TYPE = FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG);

  private final MethodHandle function;
  private final int streams;
  private final int tokens;

  Kernel(ExecutableMemory memory, long offset, int streams, int tokens) {
    this.function = memory.function(offset, TYPE);
    this.streams = streams;
    this.tokens = tokens;
  }

  int streams() {
    return streams;
  }

  int tokens() {
    return tokens;
  }

  /** Runs it; the caller has set all operands that it reads. */
  void run(Operands call) {
    try {
      function.invokeExact(call.address());
    } catch (Throwable e) {
      throw new AssertionError("machine code throws nothing", e);
    }
  }
}
