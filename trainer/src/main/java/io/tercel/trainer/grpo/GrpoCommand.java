package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.run.OptimizerOptions;
import io.tercel.trainer.student.Learner;
import io.tercel.trainer.student.StudentCommand;
import io.tercel.trainer.student.StudentOptions;
import io.tercel.trainer.student.StudentRun;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;

/** {@code tercel grpo}: a quantized policy learns from rewards of its own answers. */
@picocli.CommandLine.Command(
    name = "grpo",
    description = {
      "Trains a quantized model by GRPO on answers of the engine that serves it.",
      "Best from a distilled model: one that hardly ever answers rightly has nothing to learn from."
    },
    mixinStandardHelpOptions = true)
public final class GrpoCommand extends StudentCommand {
  /** Steps between checkpoints, and between evaluations: one takes long. */
  private static final int EVERY = 5;

  /** Table 7: 250 steps at 5e-7, warm-up 8; 64 answers a step are 8 prompts. */
  private static final OptimizerOptions.Preset PAPER =
      new OptimizerOptions.Preset(250, 8, 5e-7, 1e-4, 8, 0);

  /** What gains on a model of half a million weights, measured. */
  private static final OptimizerOptions.Preset SMALL =
      new OptimizerOptions.Preset(45, 64, 3e-4, 2e-3, 3, 0.1);

  @Mixin private GrpoOptions grpo = new GrpoOptions();

  /** Constructed by picocli. */
  public GrpoCommand() {}

  @Override
  protected StudentOptions.Defaults defaults(Kind kind) {
    grpo.complete(kind.small());
    return kind.small()
        ? new StudentOptions.Defaults(
            SMALL, Set.of(TrainedPart.SCALES, TrainedPart.NORMS, TrainedPart.EMBEDDING), EVERY)
        : new StudentOptions.Defaults(PAPER, Set.of(TrainedPart.LATENTS), EVERY);
  }

  private int batch() {
    return options().optimizer().batch();
  }

  @Override
  protected void check() {
    grpo.check(batch());
  }

  @Override
  protected void describe(ObjectNode settings) {
    grpo.describe(settings, batch());
  }

  @Override
  protected int updates() {
    return grpo.updates(batch());
  }

  /** Rollouts are its answers. */
  @Override
  protected boolean asksStudent() {
    return true;
  }

  @Override
  protected Learner learner(StudentRun run) {
    return new Grpo(grpo, options(), run, reference(run.student()));
  }

  /** The start, as long as it is to be compared with; null where it isn't. */
  private @Nullable QatModel reference(QatModel policy) {
    if (!grpo.reference()) {
      return null;
    }
    QatModel start = QatModel.loadQuantized(options().student());
    start.parameters().forEach(parameter -> parameter.trained(false));
    return start.cacheBits(options().cacheBits(policy.precision().inputs() == 4));
  }
}
