package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.server.engine.StaleKv;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import io.tercel.trainer.worker.RolloutServers;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * What {@code tercel grpo} is told besides what all that train are; each default says where it
 * comes from.
 */
final class GrpoOptions {
  @Option(
      names = "--reward",
      paramLabel = "NAME[={JSON}]",
      description =
          "what is rewarded: boxed is the paper's, 1 for a right boxed answer; others by the"
              + " RewardProvider service (default: ${DEFAULT-VALUE})")
  private String reward = "boxed";

  @Option(
      names = "--group",
      paramLabel = "N",
      description = "answers to each prompt (default: 8, Table 7; small models 16)")
  private @Nullable Integer group;

  @Option(
      names = "--updates",
      paramLabel = "N",
      description =
          "optimizer steps on the rollouts of a step, each on its part of them (default: 1, on"
              + " policy; small models 4)")
  private @Nullable Integer updates;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "of rollouts (default: ${DEFAULT-VALUE}; unstated in the paper)")
  private float temperature = 1;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "of an answer (default: 32768, Table 7, as far as the context goes)")
  private int maxTokens = 32_768;

  @Option(
      names = "--advantage",
      paramLabel = "std|mean",
      description =
          "std divides by a group's deviation (GRPO), mean doesn't (Dr. GRPO) (default: preset's:"
              + " std, small models mean)")
  private @Nullable String advantage;

  @Option(
      names = "--clip",
      paramLabel = "LOW[,HIGH]",
      split = ",",
      description =
          "how far a ratio may move: 0.2 is GRPO's, 0.2,0.28 DAPO's (default: 0.2; small models"
              + " 0.2,0.28)")
  private List<Double> clip = List.of();

  @Option(
      names = "--ratio",
      paramLabel = "token|sequence",
      description = "what has a ratio: a token (GRPO), or an answer (GSPO) (default: token)")
  private String ratio = "token";

  @Option(
      names = "--aggregate",
      paramLabel = "token|sequence",
      description =
          "every token counts the same (DAPO, TRL), or every answer (DeepSeekMath) (default: token)")
  private String aggregate = "token";

  @Option(
      names = "--kl",
      paramLabel = "WEIGHT",
      description = "of the KL term to the start (default: 0, as TRL and verl have it)")
  private double klWeight;

  @Option(
      names = "--dynamic-sampling",
      negatable = true,
      defaultValue = "false",
      fallbackValue = "true",
      description = "replace groups of equal reward by others, up to three times as many (DAPO)")
  private boolean dynamicSampling;

  @Option(
      names = "--overlong",
      paramLabel = "keep|drop",
      description =
          "answers that were cut off are rewarded like others, or teach nothing (DAPO) (default:"
              + " keep)")
  private String overlong = "keep";

  @Option(
      names = "--old-log-probs",
      paramLabel = "engine|trainer",
      description =
          "what ratios are taken against: the engine's own, or the trainer's before the step, with"
              + " --importance-cap (default: engine)")
  private String old = "engine";

  @Option(
      names = "--importance-cap",
      paramLabel = "C",
      description =
          "with --old-log-probs trainer: a token counts min(p_trainer / p_engine, C) (default: 2,"
              + " verl's)")
  private double importanceCap = 2;

  @Option(
      names = "--max-staleness",
      paramLabel = "K",
      description =
          "generate for up to K steps ahead while weights change; 0 waits (default:"
              + " ${DEFAULT-VALUE}: rollouts of step t are from version t)")
  private int maxStaleness;

  @Option(
      names = "--stale-kv",
      paramLabel = "drop|keep",
      description =
          "with --max-staleness: whether keys and values are computed again at new weights"
              + " (default: drop)")
  private String staleKv = "drop";

  @Option(
      names = "--reference",
      negatable = true,
      description =
          "keep the start beside the policy, for KL to it in the log (default: small models alone,"
              + " or where --kl asks for it)")
  private @Nullable Boolean reference;

  /** Who answers besides this process; no setting, for it changes nothing of what is learned. */
  @Mixin RolloutServers servers = new RolloutServers();

  private boolean small;

  /** Says what defaults go by. */
  void complete(boolean smallModel) {
    small = smallModel;
  }

  /**
   * Checks all.
   *
   * @param batch prompts of a step
   */
  void check(int batch) {
    requireIn("--ratio", ratio, "token", "sequence");
    requireIn("--aggregate", aggregate, "token", "sequence");
    requireIn("--overlong", overlong, "keep", "drop");
    requireIn("--old-log-probs", old, "engine", "trainer");
    requireIn("--stale-kv", staleKv, "drop", "keep");
    require(
        "--group must be 2 to 1024: advantages compare answers", group() >= 2 && group() <= 1024);
    require("--updates must be 1 to --batch", updates(batch) >= 1 && updates(batch) <= batch);
    require("--max-tokens must be at least 1", maxTokens >= 1);
    require("--kl must be 0 or more", klWeight >= 0);
    require("--importance-cap must be above 0", importanceCap > 0);
    require("--max-staleness must be 0 to 64", maxStaleness >= 0 && maxStaleness <= 64);
    require(
        "--temperature must be 1 where ratios are taken against the engine's log-probabilities,"
            + " which are of raw logits: give --old-log-probs trainer, or temperature 1",
        temperature == 1);
    require("--clip must be one or two numbers above 0", clip.size() <= 2);
    clip.forEach(c -> require("--clip must be above 0 and, LOW, below 1", c > 0 && c < 10));
    advantages();
  }

  private static void require(String bounds, boolean kept) {
    if (!kept) {
      throw new UserException(bounds);
    }
  }

  private static void requireIn(String option, String value, String... allowed) {
    require(
        option + ": " + value + "; one of " + String.join(", ", allowed),
        List.of(allowed).contains(value));
  }

  Reward reward() {
    return Rewards.parse(reward);
  }

  int group() {
    return group != null ? group : small ? 16 : 8;
  }

  /** Of the optimizer in a step of so many prompts. */
  int updates(int batch) {
    return updates != null ? updates : small ? Math.min(4, batch) : 1;
  }

  int maxTokens() {
    return maxTokens;
  }

  Sampling sampling() {
    return new Sampling(temperature, 1, maxTokens);
  }

  Advantages advantages() {
    String name = advantage != null ? advantage : small ? "mean" : "std";
    requireIn("--advantage", name, "std", "mean");
    return name.equals("mean") ? Advantages.MEAN : Advantages.STD;
  }

  PolicyObjective objective() {
    double low = clip.isEmpty() ? 0.2 : clip.getFirst();
    double high = clip.size() == 2 ? clip.get(1) : clip.isEmpty() && small ? 0.28 : low;
    return new PolicyObjective(low, high, klWeight);
  }

  boolean sequenceRatio() {
    return ratio.equals("sequence");
  }

  boolean sequenceMean() {
    return aggregate.equals("sequence");
  }

  boolean dynamicSampling() {
    return dynamicSampling;
  }

  boolean dropOverlong() {
    return overlong.equals("drop");
  }

  boolean trainersLogProbs() {
    return old.equals("trainer");
  }

  double importanceCap() {
    return importanceCap;
  }

  int maxStaleness() {
    return maxStaleness;
  }

  StaleKv staleKv() {
    return staleKv.equals("keep") ? StaleKv.KEEP : StaleKv.DROP;
  }

  boolean reference() {
    return reference != null ? reference : small || klWeight > 0;
  }

  /** Adds what decides what comes out. */
  void describe(ObjectNode settings, int batch) {
    PolicyObjective objective = objective();
    settings.put("reward", reward).put("group", group()).put("updates", updates(batch));
    settings.put("max_tokens", maxTokens).put("temperature", (double) temperature);
    settings.put("advantage", advantages().name().toLowerCase(Locale.ROOT));
    settings.put("clip_low", objective.clipLow()).put("clip_high", objective.clipHigh());
    settings.put("kl", klWeight).put("ratio", ratio).put("aggregate", aggregate);
    settings.put("dynamic_sampling", dynamicSampling).put("overlong", overlong);
    settings.put("old_log_probs", old).put("importance_cap", importanceCap);
    settings.put("max_staleness", maxStaleness).put("stale_kv", staleKv);
  }
}
