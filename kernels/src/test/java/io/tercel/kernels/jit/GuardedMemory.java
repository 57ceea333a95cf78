package io.tercel.kernels.jit;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Memory between two pages that nobody may touch: a byte too far, either way, is a fault of the
 * process. Linux only.
 */
final class GuardedMemory implements AutoCloseable {
  private static final long PAGE = 4096;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final MethodHandle MMAP =
      find("mmap", FunctionDescriptor.of(LONG, LONG, LONG, INT, INT, INT, LONG));
  private static final MethodHandle MPROTECT =
      find("mprotect", FunctionDescriptor.of(INT, LONG, LONG, INT));
  private static final MethodHandle MUNMAP = find("munmap", FunctionDescriptor.of(INT, LONG, LONG));

  private final long base;
  private final long pages;
  private final MemorySegment segment;

  /**
   * @param atEnd whether the bytes end at the upper guard, else begin at the lower one
   */
  GuardedMemory(long bytes, boolean atEnd) throws Throwable {
    pages = Math.ceilDiv(bytes, PAGE) * PAGE;
    base = (long) MMAP.invokeExact(0L, pages + 2 * PAGE, 0, 0x22, -1, 0L);
    if (base == -1 || (int) MPROTECT.invokeExact(base + PAGE, pages, 3) != 0) {
      throw new OutOfMemoryError("mmap");
    }
    long at = base + PAGE + (atEnd ? pages - bytes : 0);
    segment = MemorySegment.ofAddress(at).reinterpret(bytes);
  }

  private static MethodHandle find(String name, FunctionDescriptor type) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
  }

  MemorySegment segment() {
    return segment;
  }

  @Override
  public void close() {
    try {
      int failed = (int) MUNMAP.invokeExact(base, pages + 2 * PAGE);
      assert failed == 0;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
