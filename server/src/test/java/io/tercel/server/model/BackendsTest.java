package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.ops.Ops;
import io.tercel.server.UserException;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Which backend is had, and what is said if it can't be. The GPU's is never on this module's path.
 */
class BackendsTest {

  /** What the processor has is asked of JitOps itself: the test holds on any. */
  @Test
  void auto_isJitWhereThatCanBeHad() {
    boolean supported = true;
    try {
      JitOps.requireProcessor();
    } catch (BackendUnavailableException e) {
      supported = false;
      String missing = String.valueOf(e.getMessage());
      UserException refusal =
          assertThrows(
              UserException.class, () -> Backends.cpuOps(new ServingOptions().backend("jit")));
      assertEquals("--backend jit: " + missing, refusal.getMessage());
      assertEquals("vector: jit " + missing, Backends.cpu());
    }
    for (String name : supported ? List.of("auto", "jit") : List.of("auto")) {
      try (Ops ops = Backends.cpuOps(new ServingOptions().backend(name).threads(1))) {
        assertEquals(supported ? "jit" : "vector", ops.name());
      }
    }
    if (supported) {
      assertTrue(Backends.cpu().startsWith("jit: "), Backends.cpu());
      assertTrue(Backends.cpu().contains("AVX512_VNNI"), Backends.cpu());
    }
    try (Ops ops = Backends.cpuOps(new ServingOptions().backend("vector").threads(1))) {
      assertEquals("vector", ops.name());
    }
    try (Ops ops = Backends.cpuOps(new ServingOptions().backend("scalar").threads(1))) {
      assertEquals("scalar", ops.name());
    }
  }

  @Test
  void tornado_isNotHere_andSaysWhatItNeeds() {
    UserException refusal =
        assertThrows(UserException.class, () -> Backends.devices(Backends.TORNADO));
    String line = String.valueOf(refusal.getMessage());
    assertTrue(line.startsWith("--backend tornado: "), line);
    assertTrue(line.contains("TORNADOVM_HOME") && line.contains("docs/gpu.md"), line);
    assertEquals(1, line.lines().count());

    ServingOptions options = new ServingOptions().backend("tornado");
    options.check();
    assertThrows(UserException.class, () -> Backends.available(options));
  }

  @Test
  void device_withoutABackendThatHasSome_isRefused() {
    ServingOptions options = new ServingOptions().device(1);
    UserException refusal = assertThrows(UserException.class, options::check);
    assertEquals("--device: the auto backend has none", refusal.getMessage());
    options.device(0).backend("cuda");
    String line = String.valueOf(assertThrows(UserException.class, options::check).getMessage());
    assertTrue(line.contains("auto, jit, vector, scalar, tornado"), line);
  }
}
