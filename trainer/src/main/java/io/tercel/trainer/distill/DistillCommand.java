package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.run.OptimizerOptions;
import io.tercel.trainer.student.Learner;
import io.tercel.trainer.student.StudentCommand;
import io.tercel.trainer.student.StudentOptions;
import io.tercel.trainer.student.StudentRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import picocli.CommandLine.Mixin;

/** {@code tercel distill}: a quantized student learns from its full-precision teacher. */
@picocli.CommandLine.Command(
    name = "distill",
    description = {
      "Trains a quantized model to answer as its full-precision teacher does.",
      "Weights stay quantized throughout; with --serve the student answers while it learns."
    },
    mixinStandardHelpOptions = true)
public final class DistillCommand extends StudentCommand {
  /** What {@code tercel quantize} leaves beside an export. */
  private static final String QUANTIZE_REPORT = "quantize_report.json";

  /** Steps between checkpoints, and between evaluations. */
  private static final int EVERY = 50;

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

  @Mixin private DistillOptions distill = new DistillOptions();

  /** Constructed by picocli. */
  public DistillCommand() {}

  @Override
  protected StudentOptions.Defaults defaults(Kind kind) throws IOException {
    Set<TrainedPart> parts =
        kind.fourBit()
            ? Set.of(TrainedPart.LATENTS, TrainedPart.TRANSFORMS, TrainedPart.CLIPS)
            : Set.of(TrainedPart.LATENTS);
    return new StudentOptions.Defaults(kind.small() ? SMALL : paper(kind), parts, EVERY);
  }

  /** Table 6's column, by what the student is. */
  private OptimizerOptions.Preset paper(Kind kind) throws IOException {
    if (kind.fourBit()) {
      return FOUR_BIT;
    }
    Path report = options().student().resolve(QUANTIZE_REPORT);
    boolean rounded =
        Files.isRegularFile(report)
            && new ObjectMapper()
                .readTree(Files.readAllBytes(report))
                .path("method")
                .asText()
                .equals("rtn");
    return rounded ? FROM_RTN : FROM_GPTQ;
  }

  @Override
  protected void check() {
    distill.check();
  }

  @Override
  protected void describe(ObjectNode settings) {
    distill.describe(settings);
  }

  /** Its answers are tried, where there are any to compare with. */
  @Override
  protected boolean asksStudent() {
    return options().evaluationData() != null;
  }

  @Override
  protected Learner learner(StudentRun run) throws IOException {
    return new Distiller(distill, options(), run);
  }
}
