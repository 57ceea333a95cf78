package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.model.Backends;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

class DevicesCommandTest {

  @Test
  void devices_withoutAnSdk_endsWithOne() {
    StringWriter err = new StringWriter();
    StringWriter out = new StringWriter();
    int status =
        Tercel.commandLine(List.of(new DevicesCommand()))
            .setErr(new PrintWriter(err))
            .setOut(new PrintWriter(out))
            .execute("devices");
    assertEquals(1, status);
    assertTrue(err.toString().contains("docs/gpu.md"), err.toString());
    assertEquals(
        "cpu  " + Backends.cpu() + "\n     " + Backends.cpuPeaks(),
        out.toString().strip(),
        "what --backend auto is");
  }
}
