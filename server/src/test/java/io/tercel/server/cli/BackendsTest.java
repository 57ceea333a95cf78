package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
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

    ModelOptions options = new ModelOptions();
    options.backend = "tornado";
    options.check();
    assertThrows(UserException.class, () -> Backends.available(options));
  }

  @Test
  void device_withoutABackendThatHasSome_isRefused() {
    ModelOptions options = new ModelOptions();
    options.device = 1;
    UserException refusal = assertThrows(UserException.class, options::check);
    assertEquals("--device: the auto backend has none", refusal.getMessage());
    options.device = 0;
    options.backend = "cuda";
    String line = String.valueOf(assertThrows(UserException.class, options::check).getMessage());
    assertTrue(line.contains("vector, scalar, tornado"), line);
  }

  @Test
  void devices_withoutAnSdk_endsWithOne() {
    StringWriter err = new StringWriter();
    int status =
        Tercel.commandLine(List.of(new DevicesCommand()))
            .setErr(new PrintWriter(err))
            .execute("devices");
    assertEquals(1, status);
    assertTrue(err.toString().contains("docs/gpu.md"), err.toString());
  }
}
