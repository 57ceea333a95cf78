package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KernelLintTest {
  private static final Path SOURCES = Path.of("src/main/java/io/tercel/kernels/tornado");

  @Test
  void kernels_areClean() throws IOException {
    List<String> findings = new ArrayList<>();
    int kernels = 0;
    try (Stream<Path> files = Files.list(SOURCES)) {
      for (Path file : files.sorted().toList()) {
        String name = String.valueOf(file.getFileName());
        if (name.matches(".*(Kernels|Arithmetic|Triple).java")) {
          findings.addAll(KernelLint.check(name, Files.readString(file)));
          kernels++;
        }
      }
    }
    assertEquals(List.of(), findings);
    assertTrue(kernels >= 7, kernels + " files");
  }

  @Test
  void check_matrixUnits_areForTheirOwnFilesAlone() {
    String code = "a = c.mmaInt8(x, y, a, MMAShape.M16N8K32);";
    assertEquals(1, KernelLint.check("W4Kernels.java", code).size());
    assertEquals(List.of(), KernelLint.check("W4MmaKernels.java", code));
    assertFalse(KernelLint.check("W4MmaKernels.java", "int a = b >>> 4;").isEmpty());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "int code = (word >>> 4) & 7;",
        "int half = -x / 2;",
        "byte[] tile = c.allocateByteLocalArray(64);",
        "while (state[3] < count) { c.localBarrier(); }",
        "float f = Float.float16ToFloat(x.get(i));",
        "float s = c.simdSum(x);",
        "float f = Float.intBitsToFloat(i);",
        "float f = Math.fma(a, b, c);",
        "int d = QuantizationUtils.dp4a_packed(a, b, c);",
        "float e = TornadoMath.exp(x);",
        "public static void int4(KernelContext c, IntArray x) {}",
        "public static void half(\n    KernelContext c) {}",
        "public static void norm(KernelContext c, IntArray x) {}",
        "public static void fmaxf(KernelContext c, IntArray x) {}",
        "float[] p = c.allocateFloatLocalArray(16); float s = tree(p, 0);",
        "float[] p = c.allocateFloatLocalArray(16); float s = tree(l,\n p);"
      })
  void check_badCode_isFound(String code) {
    assertFalse(KernelLint.check("Bad.java", code).isEmpty(), code);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "int code = (word >> 4) & 7; int blocks = cols / 32; // never >>>",
        "float zero = -min / scale; float h = -x / 2f; float t = -y / 2.5f;",
        "float e = Arithmetic.exp(x, powers); double r = TornadoMath.sqrt(x);",
        "public static void fourBits(KernelContext c, IntArray x) {}",
        "float[] p = c.allocateFloatLocalArray(16); float s = sum(p[0], p[1]); c.localBarrier();"
      })
  void check_goodCode_passes(String code) {
    assertEquals(List.of(), KernelLint.check("Good.java", code));
  }
}
