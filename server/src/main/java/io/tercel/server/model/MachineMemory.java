package io.tercel.server.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * How much memory this process may still take: the container's limit (cgroup v2, then v1) when
 * there is one, else what the system says is available; never the host's total alone.
 */
final class MachineMemory {
  private static final Path V2_MAX = Path.of("sys/fs/cgroup/memory.max");
  private static final Path V2_USED = Path.of("sys/fs/cgroup/memory.current");
  private static final Path V1_MAX = Path.of("sys/fs/cgroup/memory/memory.limit_in_bytes");
  private static final Path V1_USED = Path.of("sys/fs/cgroup/memory/memory.usage_in_bytes");
  private static final Path MEMINFO = Path.of("proc/meminfo");

  private MachineMemory() {}

  /** Bytes that are left for this process. */
  static long available() {
    return available(Path.of("/"));
  }

  /** The same below another root directory, for tests. */
  static long available(Path root) {
    long free = memAvailable(root.resolve(MEMINFO)).orElse(fallback());
    OptionalLong limit = left(root.resolve(V2_MAX), root.resolve(V2_USED));
    if (limit.isEmpty()) {
      limit = left(root.resolve(V1_MAX), root.resolve(V1_USED));
    }
    return Math.min(free, limit.orElse(Long.MAX_VALUE));
  }

  private static OptionalLong left(Path max, Path used) {
    OptionalLong limit = number(max);
    // version 1 says "no limit" by a number close to 2^63
    if (limit.isEmpty() || limit.getAsLong() > Long.MAX_VALUE / 2) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(Math.max(0, limit.getAsLong() - number(used).orElse(0)));
  }

  private static OptionalLong number(Path file) {
    try {
      return OptionalLong.of(Long.parseLong(Files.readString(file).strip()));
    } catch (IOException | NumberFormatException e) {
      return OptionalLong.empty(); // not there, or "max"
    }
  }

  private static OptionalLong memAvailable(Path meminfo) {
    try {
      List<String> lines = Files.readAllLines(meminfo);
      for (String line : lines) {
        if (line.startsWith("MemAvailable:")) {
          return OptionalLong.of(Long.parseLong(line.replaceAll("\\D", "")) * 1024);
        }
      }
    } catch (IOException | NumberFormatException e) {
      // another system than Linux
    }
    return OptionalLong.empty();
  }

  private static long fallback() {
    return java.lang.management.ManagementFactory.getOperatingSystemMXBean()
            instanceof com.sun.management.OperatingSystemMXBean os
        ? os.getFreeMemorySize()
        : Runtime.getRuntime().maxMemory();
  }
}
