package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServingOptions;
import java.time.Duration;
import picocli.CommandLine.Option;

/** How requests share the engine, and how far a thought may go. */
final class EngineOptions {
  @Option(
      names = "--prefix-caching",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "take the beginning of a prompt from those before it (default: on)")
  boolean prefixCaching = true;

  @Option(
      names = "--stall-timeout",
      paramLabel = "SECONDS",
      description =
          "end a request whose client has left a full queue unread so long (default: ${DEFAULT-VALUE})")
  double stallTimeout = 60;

  @Option(
      names = "--reasoning-budget",
      paramLabel = "TOKENS",
      description =
          "close a thought after so many tokens, unless the request has a thinking_token_budget; -1 for no limit (default: ${DEFAULT-VALUE})")
  int reasoningBudget = -1;

  @Option(
      names = "--loop-breaker",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "close a thought, or end an answer, that repeats itself over and over (default: on)")
  boolean loopBreaker = true;

  /**
   * Adds what these options say.
   *
   * @throws UserException naming the option whose value is no time
   */
  void addTo(ServingOptions serving) {
    if (!(stallTimeout >= 0.001 && stallTimeout <= 1e9)) {
      throw new UserException("--stall-timeout: " + stallTimeout + " is not a positive time");
    }
    serving
        .prefixCaching(prefixCaching)
        .stallTimeout(Duration.ofMillis((long) (stallTimeout * 1000)))
        .reasoning(new ReasoningDefaults(reasoningBudget, loopBreaker));
  }
}
