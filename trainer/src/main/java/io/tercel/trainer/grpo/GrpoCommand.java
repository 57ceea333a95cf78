package io.tercel.trainer.grpo;

import io.tercel.server.cli.Command;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.run.OptimizerOptions;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunProgress;
import io.tercel.trainer.run.StopSignal;
import io.tercel.trainer.run.TrainingRun;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.StudentServing;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tercel grpo}: a quantized policy learns from rewards of its own answers. */
@picocli.CommandLine.Command(
    name = "grpo",
    description = {
      "Trains a quantized model by GRPO on answers of the engine that serves it.",
      "Best from a distilled model: one that hardly ever answers rightly has nothing to learn from."
    },
    mixinStandardHelpOptions = true)
public final class GrpoCommand implements Command {
  /** The exit code after SIGTERM, as shells have it. */
  private static final int TERMINATED = 143;

  /** Table 7: 250 steps at 5e-7, warm-up 8; 64 answers a step are 8 prompts. */
  private static final OptimizerOptions.Preset PAPER =
      new OptimizerOptions.Preset(250, 8, 5e-7, 1e-4, 8, 0);

  /** What gains on a model of half a million weights, measured. */
  private static final OptimizerOptions.Preset SMALL =
      new OptimizerOptions.Preset(45, 64, 3e-4, 2e-3, 3, 0.1);

  @Mixin private GrpoOptions options = new GrpoOptions();

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "folder of the run: checkpoint, log.jsonl, curves, and model/ in the end")
  @SuppressWarnings("NullAway.Init") // picocli sets it, or refuses
  private Path out;

  @Option(names = "--resume", description = "go on from the folder's last checkpoint")
  private boolean resume;

  @Mixin private StudentServing serving = new StudentServing();

  /** Constructed by picocli. */
  public GrpoCommand() {}

  @Override
  public Integer call() throws IOException {
    try (QatModel policy = QatModel.loadQuantized(options.student)) {
      long weights = policy.parameters().stream().mapToLong(Parameter::size).sum();
      boolean small = options.optimizer.small(weights);
      options.complete(small ? SMALL : PAPER, small);
      boolean fourBit = policy.precision().inputs() == 4;
      policy.cacheBits(options.cacheBits(fourBit)).train(options.parts());
      RunFolder folder = RunFolder.open(out, resume, options.settings(fourBit));
      try (QatModel reference = reference(fourBit)) {
        return train(policy, reference, folder, options.cacheLabel(fourBit));
      }
    }
  }

  private @Nullable QatModel reference(boolean fourBit) {
    if (!options.reference()) {
      return null;
    }
    QatModel start = QatModel.loadQuantized(options.student);
    start.parameters().forEach(parameter -> parameter.trained(false));
    return start.cacheBits(options.cacheBits(fourBit));
  }

  private int train(QatModel policy, @Nullable QatModel reference, RunFolder folder, String cache)
      throws IOException {
    try (StopSignal stop = StopSignal.listen()) {
      TrainingRun run = new TrainingRun(folder, options.optimizer.steps(), stop);
      return train(policy, reference, run, cache, stop);
    }
  }

  private int train(
      QatModel policy, @Nullable QatModel reference, TrainingRun run, String cache, StopSignal stop)
      throws IOException {
    RunFolder folder = run.folder();
    int steps = run.steps();
    try (ServedStudent served = serving.open(options.student, cache, run);
        run; // ends before its server does
        Grpo grpo = new Grpo(options, folder, policy, reference, served)) {
      try (RunProgress progress = RunProgress.start("grpo", steps, grpo.stepsDone())) {
        run.carryOut(
            () ->
                grpo.run(
                    (step, reward, entropy) ->
                        progress.stepped(
                            step,
                            String.format(
                                Locale.ROOT, "reward %.3f, entropy %.4f", reward, entropy)),
                    stop::asked));
      }
      if (grpo.stepsDone() < steps) {
        System.out.printf(
            "Stopped after step %d; --resume goes on from %s%n",
            grpo.stepsDone(), folder.directory());
        return TERMINATED;
      }
    }
    System.out.println("The model is in " + folder.resolve(RunFolder.MODEL));
    return 0;
  }
}
