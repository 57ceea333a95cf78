package io.tercel.loadtests.traffic;

import io.tercel.loadtests.client.ClientBehavior;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.data.Seeds;
import java.util.SplittableRandom;

/**
 * Which clients misbehave: a function of the seed and the request's index.
 *
 * @param abortRate share that leaves, 0 to 1; a quarter of it before any token, the others after a
 *     number of tokens that is uniform up to the answer's length
 * @param slowRate share that reads slowly, 0 to 1
 * @param slowBytesPerSecond how slowly
 */
public record ClientMix(double abortRate, double slowRate, int slowBytesPerSecond, long seed) {
  private static final double LEAVES_EARLY = 0.25;
  private static final long EARLY_NANOS = 200_000_000;

  /** For answers whose length the server decides. */
  private static final int UNKNOWN_LENGTH = 128;

  /** Everybody reads. */
  public static ClientMix patient() {
    return new ClientMix(0, 0, 1, 0);
  }

  ClientBehavior behaviorOf(LoadRequest request) {
    SplittableRandom random = Seeds.stream(seed, "clients", request.index());
    double kind = random.nextDouble();
    if (kind < abortRate) {
      boolean early = random.nextDouble() < LEAVES_EARLY;
      int length = request.maxTokens() > 0 ? request.maxTokens() : UNKNOWN_LENGTH;
      return new ClientBehavior.Leaver(
          early ? 0 : 1 + random.nextInt(length), random.nextLong(EARLY_NANOS));
    }
    return kind < abortRate + slowRate
        ? new ClientBehavior.SlowReader(slowBytesPerSecond)
        : new ClientBehavior.Patient();
  }
}
