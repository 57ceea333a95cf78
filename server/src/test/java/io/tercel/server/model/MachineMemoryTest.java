package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MachineMemoryTest {
  @TempDir private Path root;

  private void file(String path, String content) throws IOException {
    Path file = root.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  @Test
  void withoutAContainer_isWhatTheSystemHasAvailable() throws IOException {
    file("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n");
    file("sys/fs/cgroup/memory.max", "max\n");
    assertEquals(4000L * 1024, MachineMemory.available(root));
  }

  @Test
  void containerVersionTwo_countsWhatIsUsed() throws IOException {
    file("proc/meminfo", "MemAvailable: 4000000 kB\n");
    file("sys/fs/cgroup/memory.max", "1000000\n");
    file("sys/fs/cgroup/memory.current", "300000\n");
    assertEquals(700_000, MachineMemory.available(root));
  }

  @Test
  void containerVersionOne_knowsNoLimitByItsHugeNumber() throws IOException {
    file("proc/meminfo", "MemAvailable: 4000 kB\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(4000L * 1024, MachineMemory.available(root));
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n");
    assertEquals(1_500_000, MachineMemory.available(root));
  }

  @Test
  void sizes_areReadAsPeopleWriteThem() {
    assertEquals(512L << 20, ByteSize.parse("512M"));
    assertEquals(4L << 30, ByteSize.parse("4GiB"));
    assertEquals(3L << 29, ByteSize.parse("1.5g"));
    assertEquals(1048576, ByteSize.parse("1048576"));
    assertThrows(IllegalArgumentException.class, () -> ByteSize.parse("lots"));
    assertEquals("1.50 GiB", ByteSize.format(3L << 29));
  }
}
