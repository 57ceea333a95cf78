package io.tercel.server.testing;

import io.tercel.server.engine.Engine;
import java.util.concurrent.TimeUnit;

/** Proves that an engine does not do something, without waiting for it to not happen. */
public final class EngineRounds {
  private static final int ROUNDS = 5;

  private EngineRounds() {}

  /**
   * Has the engine's loop go round several times. Between two actions of {@link
   * Engine#betweenSteps} it schedules once and computes what may run: what has not happened after
   * this will not happen by itself.
   */
  public static void of(Engine engine) throws Exception {
    for (int i = 0; i < ROUNDS; i++) {
      engine.betweenSteps(() -> 0).get(10, TimeUnit.SECONDS);
    }
  }
}
