package io.tercel.trainer.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * How a student's parameters are moved. What isn't said is a preset's: the paper's (Table 6 or 7)
 * for real models, and rates that small ones need for those below 50 million weights.
 */
public final class OptimizerOptions {
  /** Fewer weights than this are a small model. */
  private static final long SMALL = 50_000_000;

  @Option(
      names = "--preset",
      paramLabel = "auto|paper|small",
      description =
          "where defaults come from: auto is small below 50 million weights (default:"
              + " ${DEFAULT-VALUE})")
  private String preset = "auto";

  @Option(names = "--steps", paramLabel = "N", description = "optimizer steps (default: preset's)")
  private @Nullable Integer steps;

  @Option(
      names = "--lr",
      paramLabel = "RATE",
      description =
          "peak learning rate of latents, norms, biases and embedding (default: preset's)")
  private @Nullable Double rate;

  @Option(
      names = "--lr-scales",
      paramLabel = "RATE",
      description = "of the logarithms of scales (default: preset's)")
  private @Nullable Double scaleRate;

  @Option(
      names = "--lr-transforms",
      paramLabel = "RATE",
      description = "of transforms of inputs (default: 5e-5, Table 6)")
  private @Nullable Double transformRate;

  @Option(
      names = "--lr-clips",
      paramLabel = "RATE",
      description = "of shares of ranges (default: 5e-4, Table 6)")
  private @Nullable Double clipRate;

  @Option(
      names = "--warmup",
      paramLabel = "N",
      description = "steps in which rates rise (default: preset's)")
  private @Nullable Integer warmup;

  @Option(
      names = "--final-lr",
      paramLabel = "SHARE",
      description = "of the peak, at the end of the cosine (default: preset's)")
  private @Nullable Double finalShare;

  @Option(
      names = "--weight-decay",
      paramLabel = "D",
      description = "decoupled, of matrices (default: 0: a decayed latent changes codes)")
  private double weightDecay;

  @Option(
      names = "--clip-norm",
      paramLabel = "N",
      description = "longer gradients are shortened to this norm (default: ${DEFAULT-VALUE})")
  private double clipNorm = 1;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "examples a step, for grpo prompts (default: preset's)")
  private @Nullable Integer batch;

  @Option(
      names = "--micro-tokens",
      paramLabel = "N",
      description =
          "tokens of a step that are computed at a time: gradients add up, whatever this is"
              + " (default: ${DEFAULT-VALUE})")
  private int microTokens = 2048;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "of the data's order and of whatever is drawn (default: ${DEFAULT-VALUE})")
  private long seed = 1;

  /** What a preset says where nobody else does. */
  public record Preset(
      int steps, int batch, double rate, double scaleRate, int warmup, double finalShare) {}

  /** The preset that is asked for. */
  public boolean small(long weights) {
    return switch (preset) {
      case "auto" -> weights < SMALL;
      case "small" -> true;
      case "paper" -> false;
      default -> throw new UserException("--preset: " + preset + "; one of auto, paper, small");
    };
  }

  /** Fills in what was left open, and checks all. */
  public void complete(Preset with) {
    steps = or(steps, with.steps);
    batch = or(batch, with.batch);
    rate = or(rate, with.rate);
    finalShare = or(finalShare, with.finalShare);
    scaleRate = or(scaleRate, with.scaleRate);
    transformRate = or(transformRate, 5e-5);
    clipRate = or(clipRate, 5e-4);
    // a short run has no room for a long warm-up
    warmup = or(warmup, Math.min(with.warmup, steps() / 10));
    require("--steps must be 1 to 10000000", steps() >= 1 && steps() <= 10_000_000);
    require("--lr must be above 0 and below 1", rate() > 0 && rate() < 1);
    for (Double r : List.of(scaleRate(), transformRate(), clipRate())) {
      require(
          "--lr-scales, --lr-transforms and --lr-clips must be 0 or more, and below 1",
          r >= 0 && r < 1);
    }
    require("--warmup must be 0 to the number of steps", warmup() >= 0 && warmup() <= steps());
    require("--final-lr must be 0 to 1", finalShare() >= 0 && finalShare() <= 1);
    require("--weight-decay must be 0 or more, and below 1", weightDecay >= 0 && weightDecay < 1);
    require("--clip-norm must be above 0", clipNorm > 0);
    require("--batch must be 1 to 1000000", batch() >= 1 && batch() <= 1_000_000);
    require("--micro-tokens must be 2 to 10000000", microTokens >= 2 && microTokens <= 10_000_000);
  }

  private static <T> T or(@Nullable T given, T otherwise) {
    return given == null ? otherwise : given;
  }

  private static void require(String bounds, boolean kept) {
    if (!kept) {
      throw new UserException(bounds);
    }
  }

  private static <T> T complete(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("options are not complete yet");
    }
    return value;
  }

  public int steps() {
    return complete(steps);
  }

  public double rate() {
    return complete(rate);
  }

  public double scaleRate() {
    return complete(scaleRate);
  }

  public double transformRate() {
    return complete(transformRate);
  }

  public double clipRate() {
    return complete(clipRate);
  }

  public int warmup() {
    return complete(warmup);
  }

  public double finalShare() {
    return complete(finalShare);
  }

  public double weightDecay() {
    return weightDecay;
  }

  public double clipNorm() {
    return clipNorm;
  }

  public int batch() {
    return complete(batch);
  }

  public int microTokens() {
    return microTokens;
  }

  public long seed() {
    return seed;
  }

  /** All that decides what comes out, for the run's folder. */
  public void describe(ObjectNode settings) {
    settings.put("steps", steps()).put("lr", rate()).put("lr_scales", scaleRate());
    settings.put("lr_transforms", transformRate()).put("lr_clips", clipRate());
    settings.put("warmup", warmup()).put("final_lr", finalShare()).put("weight_decay", weightDecay);
    settings.put("clip_norm", clipNorm).put("batch", batch()).put("micro_tokens", microTokens);
    settings.put("seed", seed);
  }
}
