package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.speculation.Speculation;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServingOptions;
import java.time.Duration;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
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

  @Option(
      names = "--speculative",
      paramLabel = "HOW",
      description =
          "guess tokens and verify several in one step, which changes no token and no log-prob: off, ngram (from"
              + " the request's own text) or suffix (also from what other requests were answered lately; how long an"
              + " answer takes may then tell of them) (default: ${DEFAULT-VALUE})")
  String speculative = "off";

  @Option(
      names = "--speculative-tokens",
      paramLabel = "N",
      description = "guess so many tokens at most, 1 to 15 (default: ${DEFAULT-VALUE})")
  int speculativeTokens = Speculation.DEFAULT_TOKENS;

  @Option(
      names = "--class-max-waiting",
      paramLabel = "CLASS=N",
      split = ",",
      description =
          "how many sequences of a class may wait, e.g. chat=256,rollout=4096 (default: --max-waiting for each;"
              + " classes are chat, rollout and batch, a request's service_class says which)")
  Map<String, Integer> classMaxWaiting = new LinkedHashMap<>();

  @Option(
      names = "--class-places",
      paramLabel = "CLASS=SHARE",
      split = ",",
      description =
          "shares of the running places and of the KV memory (default: chat=6,rollout=3,batch=1). They count"
              + " between classes that have something to do: what one does not use is the others', a lone"
              + " class has everything")
  Map<String, Integer> classPlaces = new LinkedHashMap<>();

  @Option(
      names = "--class-tokens",
      paramLabel = "CLASS=SHARE",
      split = ",",
      description = "shares of each step's tokens, likewise (default: chat=6,rollout=3,batch=1)")
  Map<String, Integer> classTokens = new LinkedHashMap<>();

  /**
   * Adds what these options say.
   *
   * @throws UserException naming the option whose value is no time, no way to guess, or has an
   *     unknown class
   */
  void addTo(ServingOptions serving) {
    if (!(stallTimeout >= 0.001 && stallTimeout <= 1e9)) {
      throw new UserException("--stall-timeout: " + stallTimeout + " is not a positive time");
    }
    serving
        .prefixCaching(prefixCaching)
        .stallTimeout(Duration.ofMillis((long) (stallTimeout * 1000)))
        .speculative(method(speculative))
        .speculativeTokens(speculativeTokens)
        .reasoning(new ReasoningDefaults(reasoningBudget, loopBreaker))
        .classMaxWaiting(byClass("--class-max-waiting", classMaxWaiting))
        .placeShares(byClass("--class-places", classPlaces))
        .tokenShares(byClass("--class-tokens", classTokens));
  }

  private static Speculation.Method method(String label) {
    return switch (label) {
      case "off" -> Speculation.Method.OFF;
      case "ngram" -> Speculation.Method.NGRAM;
      case "suffix" -> Speculation.Method.SUFFIX;
      default ->
          throw new UserException(
              "--speculative: there is no '%s'; choose off, ngram or suffix".formatted(label));
    };
  }

  private static Map<ServiceClass, Integer> byClass(String option, Map<String, Integer> values) {
    Map<ServiceClass, Integer> byClass = new EnumMap<>(ServiceClass.class);
    values.forEach(
        (label, value) -> {
          ServiceClass c = ServiceClass.of(label);
          if (c == null) {
            throw new UserException(
                "%s: there is no class '%s'; choose of chat, rollout, batch"
                    .formatted(option, label));
          }
          byClass.put(c, value);
        });
    return byClass;
  }
}
