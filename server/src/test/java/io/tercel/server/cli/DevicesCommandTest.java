package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

class DevicesCommandTest {

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
