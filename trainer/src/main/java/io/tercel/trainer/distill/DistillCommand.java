package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.cli.Command;
import io.tercel.server.text.Tokenizer;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tercel distill}: a quantized student learns from its full-precision teacher. */
@picocli.CommandLine.Command(
    name = "distill",
    description = {
      "Trains a quantized model to answer as its full-precision teacher does.",
      "Weights stay quantized throughout; with --serve the student answers while it learns."
    },
    mixinStandardHelpOptions = true)
public final class DistillCommand implements Command {
  /** The exit code after SIGTERM, as shells have it. */
  private static final int TERMINATED = 143;

  /** What {@code tercel quantize} leaves beside an export. */
  private static final String QUANTIZE_REPORT = "quantize_report.json";

  /** Table 6, from GPTQ. */
  private static final OptimizerOptions.Preset FROM_GPTQ =
      new OptimizerOptions.Preset(6000, 32, 1e-6, 1e-4, 180, 0);

  /** Table 6, from rounding to nearest. */
  private static final OptimizerOptions.Preset FROM_RTN =
      new OptimizerOptions.Preset(6000, 32, 2e-5, 1e-4, 180, 0);

  /** Table 6, W4A4KV4. */
  private static final OptimizerOptions.Preset FOUR_BIT =
      new OptimizerOptions.Preset(3000, 32, 1e-6, 1e-4, 90, 0);

  /** What a model of half a million weights needs, measured. */
  private static final OptimizerOptions.Preset SMALL =
      new OptimizerOptions.Preset(400, 32, 1.5e-4, 2e-3, 20, 0);

  @Mixin private DistillOptions options = new DistillOptions();

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
  public DistillCommand() {}

  @Override
  public Integer call() throws IOException {
    options.check();
    try (QatModel student = QatModel.loadQuantized(options.student)) {
      long weights = student.parameters().stream().mapToLong(Parameter::size).sum();
      boolean small = options.optimizer.small(weights);
      boolean fourBit = student.precision().inputs() == 4;
      options.optimizer.complete(small ? SMALL : paper(fourBit));
      student.cacheBits(options.cacheBits(fourBit)).train(options.parts(fourBit));
      RunFolder folder = RunFolder.open(out, resume, options.settings(fourBit));
      return train(student, folder, options.cacheLabel(fourBit));
    }
  }

  /** Table 6's column, by what the student is. */
  private OptimizerOptions.Preset paper(boolean fourBit) throws IOException {
    if (fourBit) {
      return FOUR_BIT;
    }
    Path report = options.student.resolve(QUANTIZE_REPORT);
    boolean rounded =
        Files.isRegularFile(report)
            && new ObjectMapper()
                .readTree(Files.readAllBytes(report))
                .path("method")
                .asText()
                .equals("rtn");
    return rounded ? FROM_RTN : FROM_GPTQ;
  }

  private int train(QatModel student, RunFolder folder, String cache) throws IOException {
    try (StopSignal stop = StopSignal.listen()) {
      return train(student, new TrainingRun(folder, options.optimizer.steps(), stop), cache, stop);
    }
  }

  private int train(QatModel student, TrainingRun run, String cache, StopSignal stop)
      throws IOException {
    RunFolder folder = run.folder();
    int steps = run.steps();
    try (ServedStudent served = serve(cache, run);
        run; // ends before its server does
        Tokenizer tokenizer = Tokenizer.open(options.student);
        Distiller distiller = new Distiller(options, folder, student, tokenizer, served)) {
      try (RunProgress progress = RunProgress.start("distill", steps, distiller.stepsDone())) {
        run.carryOut(
            () ->
                distiller.run(
                    (step, loss, speed) ->
                        progress.stepped(
                            step,
                            String.format(Locale.ROOT, "loss %.5f, %.0f tokens/s", loss, speed)),
                    stop::asked));
      }
      if (distiller.stepsDone() < steps) {
        System.out.printf(
            "Stopped after step %d; --resume goes on from %s%n",
            distiller.stepsDone(), folder.directory());
        return TERMINATED;
      }
    }
    System.out.println("The model is in " + folder.resolve(RunFolder.MODEL));
    return 0;
  }

  /** The engine that answers, where somebody asks; null where nobody does. */
  private @Nullable ServedStudent serve(String cache, TrainingRun run) {
    return serving.asked() || options.evalData != null
        ? serving.open(options.student, cache, run)
        : null;
  }
}
