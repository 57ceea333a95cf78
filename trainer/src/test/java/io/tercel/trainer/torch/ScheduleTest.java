package io.tercel.trainer.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class ScheduleTest {
  @Test
  void rate_warmupThenCosine() {
    Schedule schedule = new Schedule(1e-3, 101, 11, 0.1);
    assertEquals(1e-3 / 11, schedule.rate(0), 1e-18);
    assertEquals(1e-3 * 5 / 11, schedule.rate(4), 1e-18);
    assertEquals(1e-3, schedule.rate(10), 1e-18);
    // a third of the way down the cosine is three quarters, half is half
    assertEquals(1e-4 + 0.75 * 9e-4, schedule.rate(40), 1e-15);
    assertEquals(1e-4 + 0.5 * 9e-4, schedule.rate(55), 1e-15);
    assertEquals(1e-4, schedule.rate(100), 1e-18);
  }

  @Test
  void rate_noWarmup_startsAtThePeak() {
    Schedule schedule = new Schedule(2, 3, 0, 0);
    assertEquals(2, schedule.rate(0));
    assertEquals(1, schedule.rate(1), 1e-15);
    assertEquals(0, schedule.rate(2));
  }

  @Test
  void new_nonsense_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Schedule(0, 1, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new Schedule(1, 0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new Schedule(1, 1, 0, 2));
  }
}
