package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.ScriptedBackend;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class FirstStepsTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  private static ScriptedBackend backend(int blocks) {
    return new ScriptedBackend(blocks, choice -> new int[] {1});
  }

  /** Four prompts, and as many decodes as make sure that nothing is compiled any more. */
  @Test
  void restingCompilers_endThem() {
    assertEquals(4 + 64, new FirstSteps(backend(64), 100, () -> 7).run(LONG));
  }

  @Test
  void busyCompilers_areWaitedFor() {
    AtomicLong readings = new AtomicLong();
    // its first reading, then one behind each decode: busy for 100 of them
    int steps =
        new FirstSteps(backend(64), 100, () -> Math.min(readings.getAndIncrement(), 100)).run(LONG);
    assertEquals(4 + 100 + 64, steps);
  }

  @Test
  void time_endsThemWhateverIsCompiled() {
    AtomicLong readings = new AtomicLong();
    FirstSteps steps = new FirstSteps(backend(64), 100, readings::getAndIncrement);
    assertEquals(4, steps.run(Duration.ZERO));
    assertTrue(steps.run(Duration.ofMillis(20)) > 4);
  }

  @Test
  void littleRoom_isEnough() {
    assertEquals(1 + 64, new FirstSteps(backend(5), 100, () -> 7).run(LONG));
  }
}
