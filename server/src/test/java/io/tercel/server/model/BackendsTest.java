package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import org.junit.jupiter.api.Test;

/** The GPU backend is never on this module's path: what is said then. */
class BackendsTest {

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
    assertTrue(line.contains("vector, scalar, tornado"), line);
  }
}
