package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.WeightStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** No kernel leaves to a device's compiler whether a product is rounded on its own. */
class EmittedSourceTest {
  /** What a CUDA kernel may have without asking for more, which TornadoVM does not. */
  private static final int LOCAL_BYTES = 48 << 10;

  @TempDir static Path temp;

  /** What every model's kernels become. */
  @Nested
  @Tag("device")
  class OfKernels {
    private static final Path EMITTED = temp.resolve("kernels.c");

    /** TornadoVM reads these once, before it does anything. */
    @BeforeAll
    static void print() {
      System.setProperty("tornado.printKernel", "True");
      System.setProperty("tornado.print.kernel.dir", EMITTED.toString());
    }

    @Test
    void fusible_isNothing_andLocalMemorySuffices() throws IOException {
      for (TornadoBackendTest.Model model : TornadoBackendTest.Model.values()) {
        Path directory = Files.createDirectory(temp.resolve(model.name()));
        try (WeightStore weights = DeviceLab.load(model.checkpoint().write(directory))) {
          KvLayout layout = KvLayout.of(weights.config(), model.type);
          new TornadoBackends().open(weights, layout, DeviceLab.BLOCKS, 0).close();
        }
      }
      List<String> lines = Files.readAllLines(EMITTED);
      Set<String> names = new TreeSet<>(EmittedSource.kernels(lines));
      assertTrue(names.size() > 15, names.toString());
      assertEquals(List.of(), EmittedSource.fusible(lines));
      Map<String, Integer> bytes = EmittedSource.localBytes(lines);
      assertTrue(bytes.size() > 5, bytes.toString());
      bytes.values().removeIf(b -> b <= LOCAL_BYTES);
      assertEquals(Map.of(), bytes);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "f_1  =  f_2 * f_3;\nf_4  =  f_5 - f_1;",
        "f_1  =  f_2 * f_3;\nf_4  =  f_1 - f_5;",
        "f_1  =  f_2 * 3.0F;\n  f_4  =  -f_1;\nf_6  =  f_5 - f_4;",
        "d_1  =  d_2 * d_3;\nd_4  =  d_5 + d_1;"
      })
  void fusible_productInADifference_isFound(String code) {
    assertEquals(1, EmittedSource.fusible(code.lines().toList()).size(), code);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "f_1  =  f_2 * f_3;\nf_4  =  0.0F - f_1;\nf_5  =  f_6 - f_4;",
        "f_1  =  fma(f_2, f_3, f_7);\nf_4  =  f_5 - f_1;",
        "f_1  =  f_2 * 0.5F;\nf_4  =  f_5 - f_1;",
        "f_1  =  f_2 * f_3;\nf_4  =  f_5 * f_1;",
        "f_1  =  f_2 * f_3;\n"
            + "__kernel void next(__global long *_kernel_context)\nf_4  =  f_5 - f_1;"
      })
  void fusible_whatIsRoundedAnyhow_passes(String code) {
    assertEquals(List.of(), EmittedSource.fusible(code.lines().toList()));
  }

  @Test
  void localBytes_addsUpAKernelsArrays() {
    List<String> lines =
        List.of(
            "__kernel void a(__global long *_kernel_context)",
            "  __local int adi_3[100];",
            "  __local double add_4[8];",
            "__kernel void b(__global long *_kernel_context)",
            "  __shared__ float adf_3[3];");
    assertEquals(Map.of("a", 464, "b", 12), EmittedSource.localBytes(lines));
  }
}
