package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class HugePagesTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 4096, HugePages.PAGE - 1, HugePages.PAGE, 3 * HugePages.PAGE + 5})
  void allocate_zeroedAlignedAndFreedWithItsArena(long bytes) {
    MemorySegment segment;
    try (Arena arena = Arena.ofShared()) {
      segment = HugePages.allocate(arena, bytes);
      assertEquals(bytes, segment.byteSize());
      assertEquals(0, segment.address() % (bytes >= HugePages.PAGE ? HugePages.PAGE : 64));
      assertEquals(0, segment.get(ValueLayout.JAVA_BYTE, 0));
      assertEquals(0, segment.get(ValueLayout.JAVA_BYTE, bytes - 1));
      segment.set(ValueLayout.JAVA_BYTE, bytes - 1, (byte) 1);
    }
    assertFalse(segment.scope().isAlive());
  }
}
