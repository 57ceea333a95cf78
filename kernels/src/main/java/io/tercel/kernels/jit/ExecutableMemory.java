package io.tercel.kernels.jit;

import io.tercel.kernels.ops.BackendUnavailableException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Locale;

/**
 * Pages of machine code. They are writable at first, then, once {@link #seal}ed, executable for
 * good; never both. Code lies where the system put it, and what it is was written by this package.
 *
 * <p>Whoever mapped it closes it, after the last call into it.
 */
final class ExecutableMemory implements AutoCloseable {
  private static final long PAGE = 4096;
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int PROT_EXEC = 4;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

  private enum State {
    WRITABLE,
    EXECUTABLE,
    UNMAPPED
  }

  private final MemorySegment pages;
  private State state = State.WRITABLE;

  private ExecutableMemory(MemorySegment pages) {
    this.pages = pages;
  }

  /**
   * Zeroed, writable pages.
   *
   * @param bytes at least this many
   * @throws BackendUnavailableException if this isn't Linux on x86-64, or the system refuses
   */
  static ExecutableMemory map(long bytes) {
    String os = System.getProperty("os.name", "");
    String arch = System.getProperty("os.arch", "");
    if (!os.equals("Linux") || !arch.equals("amd64")) {
      throw new BackendUnavailableException(
          "kernels are assembled for Linux on amd64 only, this is %s on %s"
              .formatted(os, arch.toLowerCase(Locale.ROOT)));
    }
    long size = Math.ceilDiv(bytes, PAGE) * PAGE;
    long base = Libc.mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS);
    if (base == -1) {
      throw new BackendUnavailableException("the system gave no memory for machine code");
    }
    return new ExecutableMemory(MemorySegment.ofAddress(base).reinterpret(size));
  }

  /** Where it lies; for tests that ask the system for its rights. */
  long address() {
    return pages.address();
  }

  /** Bytes, whole pages. */
  long size() {
    return pages.byteSize();
  }

  /**
   * Puts code at an offset.
   *
   * @throws IllegalStateException once sealed
   */
  void write(long offset, byte[] code) {
    require(State.WRITABLE);
    MemorySegment.copy(MemorySegment.ofArray(code), 0, pages, offset, code.length);
  }

  /**
   * Takes the right to write away and gives the right to execute, in one step.
   *
   * @throws BackendUnavailableException if the system refuses, as a hardened one may
   */
  void seal() {
    require(State.WRITABLE);
    if (Libc.mprotect(pages.address(), pages.byteSize(), PROT_READ | PROT_EXEC) != 0) {
      throw new BackendUnavailableException("the system lets no memory become executable");
    }
    state = State.EXECUTABLE;
  }

  /**
   * The function of that type at an offset.
   *
   * @throws IllegalStateException unless sealed
   */
  MethodHandle function(long offset, FunctionDescriptor type) {
    require(State.EXECUTABLE);
    return Linker.nativeLinker().downcallHandle(pages.asSlice(offset, 1), type);
  }

  private void require(State wanted) {
    if (state != wanted) {
      throw new IllegalStateException("code is " + state + ", not " + wanted);
    }
  }

  /** Gives the pages back; nothing may be running in them. */
  @Override
  public void close() {
    if (state != State.UNMAPPED) {
      state = State.UNMAPPED;
      int failed = Libc.munmap(pages.address(), pages.byteSize());
      assert failed == 0;
    }
  }

  /** The system calls; looked up when the first page is mapped, so not on other systems. */
  private static final class Libc {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final MethodHandle MMAP =
        find("mmap", FunctionDescriptor.of(LONG, LONG, LONG, INT, INT, INT, LONG));
    private static final MethodHandle MPROTECT =
        find("mprotect", FunctionDescriptor.of(INT, LONG, LONG, INT));
    private static final MethodHandle MUNMAP =
        find("munmap", FunctionDescriptor.of(INT, LONG, LONG));

    private static MethodHandle find(String name, FunctionDescriptor type) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
    }

    static long mmap(long bytes, int protection, int flags) {
      try {
        return (long) MMAP.invokeExact(0L, bytes, protection, flags, -1, 0L);
      } catch (Throwable e) {
        throw plain(e);
      }
    }

    static int mprotect(long address, long bytes, int protection) {
      try {
        return (int) MPROTECT.invokeExact(address, bytes, protection);
      } catch (Throwable e) {
        throw plain(e);
      }
    }

    static int munmap(long address, long bytes) {
      try {
        return (int) MUNMAP.invokeExact(address, bytes);
      } catch (Throwable e) {
        throw plain(e);
      }
    }

    private static AssertionError plain(Throwable e) {
      return new AssertionError("system calls take and return plain integers", e);
    }
  }
}
