package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class DisturbanceTest {
  private static final Disturbance.Ticks START = new Disturbance.Ticks(100, 5, 1000);

  @Test
  void procStat_isRead() throws IOException {
    Disturbance.Ticks ticks =
        Disturbance.Ticks.parse("cpu  1000 200 300 40000 500 60 70 80 900 90");
    assertEquals(16.3, ticks.busy(), 1e-9);
    assertEquals(0.8, ticks.stolen(), 1e-9);
    assertEquals(422.1, ticks.all(), 1e-9);
    assertThrows(IOException.class, () -> Disturbance.Ticks.parse("intr 1 2 3"));
    assertThrows(IOException.class, () -> Disturbance.Ticks.parse("cpu 1 2 3"));
  }

  @Test
  void quietMachine_saysNothing() {
    assertEquals("", Disturbance.verdict(START, new Disturbance.Ticks(118, 5, 1020), 17.5, 0.2));
    assertEquals("", Disturbance.verdict(START, START, 0, 0), "no time has passed");
    // ticks are coarse: this process may seem to have computed more than all did
    assertEquals("", Disturbance.verdict(START, new Disturbance.Ticks(118, 5, 1020), 18.3, 0));
  }

  @Test
  void others_areNamedWithTheirShare() {
    String line = Disturbance.verdict(START, new Disturbance.Ticks(120, 5, 1020), 12, 1.25);
    assertTrue(line.startsWith("disturbed: others took 40 % of"), line);
    assertTrue(line.contains("the hypervisor 0 %") && line.contains("waited 1.3 s"), line);
    assertEquals(1, line.lines().count());
  }

  @Test
  void steal_isNamed() {
    String line = Disturbance.verdict(START, new Disturbance.Ticks(115, 6, 1020), 15, 0);
    assertTrue(line.contains("the hypervisor 5 %"), line);
  }
}
