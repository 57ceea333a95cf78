package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Rights of pages as the system tells them, and what is refused. */
class ExecutableMemoryTest {
  private static final FunctionDescriptor INT = FunctionDescriptor.of(ValueLayout.JAVA_INT);

  @BeforeEach
  void linuxOnly() {
    boolean linux = System.getProperty("os.name").equals("Linux");
    assumeTrue(linux && System.getProperty("os.arch").equals("amd64"), "ABSENT: x86-64 Linux");
  }

  private static byte[] answer(int value) {
    Evex code = new Evex();
    code.mov(Gpr.RAX, value);
    code.ret();
    return code.bytes();
  }

  @Test
  void pages_areWritableThenExecutable_neverBoth() throws Throwable {
    long address;
    try (ExecutableMemory memory = ExecutableMemory.map(5000)) {
      address = memory.address();
      assertEquals(8192, memory.size());
      assertEquals("rw-p", rights(address, memory.size()));
      memory.write(0, answer(42));
      memory.write(4096, answer(43));
      memory.seal();
      assertEquals("r-xp", rights(address, memory.size()));
      MethodHandle first = memory.function(0, INT);
      MethodHandle second = memory.function(4096, INT);
      assertEquals(42, (int) first.invokeExact());
      assertEquals(43, (int) second.invokeExact());
      assertEquals("r-xp", rights(address, memory.size()));
    }
    assertEquals("", rights(address, 8192), "unmapped");
  }

  @Test
  void kernels_areExecutableOnly() throws Throwable {
    Processor.assumeSupported();
    try (LinearKernels kernels = new LinearKernels()) {
      assertTrue(kernels.memory().size() > 50_000);
      assertEquals("r-xp", rights(kernels.memory().address(), kernels.memory().size()));
    }
  }

  @Test
  void everythingElse_isRefused() {
    ExecutableMemory memory = ExecutableMemory.map(1);
    assertThrows(IllegalStateException.class, () -> memory.function(0, INT));
    assertThrows(IndexOutOfBoundsException.class, () -> memory.write(4091, answer(1)));
    assertThrows(IndexOutOfBoundsException.class, () -> memory.write(-1, answer(1)));
    memory.seal();
    assertThrows(IllegalStateException.class, () -> memory.write(0, answer(1)));
    assertThrows(IllegalStateException.class, memory::seal);
    assertThrows(IndexOutOfBoundsException.class, () -> memory.function(4096, INT));
    memory.close();
    memory.close();
    assertThrows(IllegalStateException.class, () -> memory.function(0, INT));
    assertThrows(IllegalStateException.class, memory::seal);
  }

  /**
   * What {@code /proc/self/maps} says of all of a region: its rights, empty if nothing is mapped
   * there. Neighbours with the same rights may share its line.
   */
  static String rights(long address, long size) throws IOException {
    String found = "";
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      String[] words = line.split("[ -]", 4);
      long from = Long.parseUnsignedLong(words[0], 16);
      long to = Long.parseUnsignedLong(words[1], 16);
      String rights = line.split(" ", 3)[1];
      if (from <= address && address + size <= to) {
        return rights;
      }
      if (from < address + size && address < to) {
        found += rights + " in part ";
      }
    }
    return found;
  }
}
