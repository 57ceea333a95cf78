package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.ScriptedBackend;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;

class FirstStepsTest {
  private static final Duration HOURS = Duration.ofHours(9);

  /** A clock that a second passes on between any two readings. */
  private final AtomicLong seconds = new AtomicLong();

  private FirstSteps steps(ScriptedBackend backend, LongSupplier compiled) {
    return new FirstSteps(backend, 100, compiled, () -> seconds.getAndIncrement() * 1_000_000_000L);
  }

  private static ScriptedBackend backend(int blocks) {
    return new ScriptedBackend(blocks, choice -> new int[] {1});
  }

  /** Four prompts, and as many decodes as make sure that nothing is compiled any more. */
  @Test
  void restingCompilers_endThem() {
    assertEquals(4 + 64, steps(backend(64), () -> 7).run(HOURS));
  }

  @Test
  void busyCompilers_areWaitedFor() {
    AtomicLong readings = new AtomicLong();
    // its first reading, then one behind each decode: busy for 100 of them
    int steps = steps(backend(64), () -> Math.min(readings.getAndIncrement(), 100)).run(HOURS);
    assertEquals(4 + 100 + 64, steps);
  }

  /** A compilation is counted when it ends, so that a long one gives the same readings as rest. */
  @Test
  void compilationsOfManySteps_areWaitedFor() {
    AtomicLong nanos = new AtomicLong();
    AtomicLong readings = new AtomicLong();
    FirstSteps steps =
        new FirstSteps(
            backend(64),
            100,
            () -> readings.getAndIncrement() < 150 ? 7 : 99, // one that ends behind 150 decodes
            () -> nanos.getAndAdd(1_000_000));
    int taken = steps.run(HOURS);
    assertTrue(taken >= 4 + 150 + 64, taken + " steps");
    assertTrue(nanos.get() >= (150 + 200) * 1_000_000L, nanos + " ns");
  }

  @Test
  void time_endsThemWhateverIsCompiled() {
    AtomicLong readings = new AtomicLong();
    FirstSteps steps = steps(backend(64), readings::getAndIncrement);
    assertEquals(4, steps.run(Duration.ZERO));
    int some = steps.run(Duration.ofSeconds(20));
    assertTrue(some > 4 && some < 4 + 20, some + " steps");
  }

  @Test
  void littleRoom_isEnough() {
    assertEquals(1 + 64, steps(backend(5), () -> 7).run(HOURS));
  }
}
