package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CpuIdTest {

  /** Where gcc's cpuid.h has them: {@code grep -E 'bit_(OSXSAVE|AVX512(F|BW|VL|VNNI)) '}. */
  @ParameterizedTest
  @CsvSource({
    "OSXSAVE,1,2,134217728",
    "AVX512F,7,1,65536",
    "AVX512BW,7,1,1073741824",
    "AVX512VL,7,1,2147483648",
    "AVX512_VNNI,7,2,2048"
  })
  void features_areWhereCompilersLookForThem(String name, int leaf, int register, long mask) {
    CpuId.Feature feature = CpuId.Feature.valueOf(name);
    assertEquals(leaf, feature.leaf());
    assertEquals(register, feature.register());
    assertEquals(mask, 1L << feature.bit());
  }

  /** The kernel shows the flags that it lets programs use. */
  @Test
  void missing_isWhatTheKernelDoesNotShow() throws Exception {
    Path info = Path.of("/proc/cpuinfo");
    assumeTrue(System.getProperty("os.arch").equals("amd64") && Files.exists(info), "ABSENT");
    String line =
        Files.readAllLines(info).stream().filter(l -> l.startsWith("flags")).findFirst().orElse("");
    Set<String> flags = Set.of(line.substring(line.indexOf(':') + 1).strip().split(" "));
    List<String> expected = new ArrayList<>();
    for (String[] name :
        new String[][] {
          {"OSXSAVE", "xsave"},
          {"AVX512F", "avx512f"},
          {"AVX512BW", "avx512bw"},
          {"AVX512VL", "avx512vl"},
          {"AVX512_VNNI", "avx512_vnni"}
        }) {
      if (!flags.contains(name[1])) {
        expected.add(name[0]);
      }
    }
    assertEquals(expected, CpuId.missing());
  }
}
