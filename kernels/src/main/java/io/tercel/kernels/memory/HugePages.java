package io.tercel.kernels.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * Zeroed off-heap memory on 2 MiB pages where the system grants them: fewer page faults while
 * loading and fewer TLB misses afterwards. On Linux it maps anonymous memory and advises the kernel
 * before the first touch; anywhere else, or if anything is refused, it is plain arena memory.
 */
public final class HugePages {
  /** Alignment and granularity in bytes of what {@link #allocate} returns. */
  public static final long PAGE = 2L << 20;

  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int MADV_HUGEPAGE = 14;

  private static final boolean LINUX = System.getProperty("os.name", "").equals("Linux");
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  // addresses travel as longs: nothing here is dereferenced before its size is known
  private static final @Nullable MethodHandle MMAP =
      libc("mmap", FunctionDescriptor.of(LONG, LONG, LONG, INT, INT, INT, LONG));
  private static final @Nullable MethodHandle MADVISE =
      libc("madvise", FunctionDescriptor.of(INT, LONG, LONG, INT));
  private static final @Nullable MethodHandle MUNMAP =
      libc("munmap", FunctionDescriptor.of(INT, LONG, LONG));

  private HugePages() {}

  /**
   * At least {@code bytes} zeroed bytes, aligned to {@link #PAGE}, freed when {@code arena} closes.
   * The segment is exactly {@code bytes} long.
   */
  public static MemorySegment allocate(Arena arena, long bytes) {
    if (bytes >= PAGE && MMAP != null && MADVISE != null && MUNMAP != null) {
      MemorySegment mapped = map(arena, bytes, MMAP, MADVISE, MUNMAP);
      if (mapped != null) {
        return mapped;
      }
    }
    return arena.allocate(bytes, bytes >= PAGE ? PAGE : 64);
  }

  private static @Nullable MemorySegment map(
      Arena arena, long bytes, MethodHandle mmap, MethodHandle madvise, MethodHandle munmap) {
    long reserved = Math.ceilDiv(bytes, PAGE) * PAGE + PAGE; // slack to align by hand
    try {
      long base =
          (long) mmap.invokeExact(0L, reserved, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      if (base == -1L) {
        return null;
      }
      long start = Math.ceilDiv(base, PAGE) * PAGE;
      // A refusal only means small pages.
      int refused = (int) madvise.invokeExact(start, reserved - PAGE, MADV_HUGEPAGE);
      assert refused == 0 || refused == -1;
      return MemorySegment.ofAddress(start)
          .reinterpret(bytes, arena, segment -> unmap(munmap, base, reserved));
    } catch (Throwable e) {
      throw new AssertionError("mmap and madvise take and return plain integers", e);
    }
  }

  private static void unmap(MethodHandle munmap, long base, long reserved) {
    try {
      int failed = (int) munmap.invokeExact(base, reserved);
      assert failed == 0;
    } catch (Throwable e) {
      throw new AssertionError("munmap takes and returns plain integers", e);
    }
  }

  private static @Nullable MethodHandle libc(String name, FunctionDescriptor type) {
    if (!LINUX) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find(name)
        .map(symbol -> linker.downcallHandle(symbol, type))
        .orElse(null);
  }
}
