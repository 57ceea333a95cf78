package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.trainer.ptq.QuantizeOptions.CheckpointFormat;
import io.tercel.trainer.ptq.QuantizeOptions.Method;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tercel quantize}: makes a 3-bit model of a 16-bit one. */
@CommandLine.Command(
    name = "quantize",
    description = "Makes a 3-bit model of a 16-bit one.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class QuantizeCommand implements Command {
  private static final String FORMAT = "w3g128";

  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "The 16-bit model: a directory as on Hugging Face.")
  private Path model;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Where the 3-bit model goes; must not exist.")
  private Path out;

  @Option(
      names = "--resume",
      description =
          "Go on with what an interrupted run has left of --out, behind the last layer it"
              + " finished; the other options as they were.")
  private boolean resume;

  @Option(
      names = "--method",
      defaultValue = "gptq",
      paramLabel = "NAME",
      description =
          "rtn (round to nearest), gptq (default) or awq (strong inputs scaled up, activation-aware).")
  private String method;

  @Option(
      names = "--format",
      defaultValue = FORMAT,
      paramLabel = "NAME",
      description = "w3g128: 3 bits, groups of 128 (default, the only one).")
  private String format;

  @Option(names = "--sym", description = "Symmetric groups; else each has a zero point.")
  private boolean symmetric;

  @Option(
      names = "--mse",
      negatable = true,
      description =
          "Search each group's best clip (awq: by its outputs). Default: yes, with rtn no.")
  private @Nullable Boolean clip;

  @Option(
      names = "--act-order",
      negatable = true,
      description = "gptq: strongest inputs first, groups kept in place. Default: yes.")
  private @Nullable Boolean actOrder;

  @Option(
      names = "--static-groups",
      description = "gptq: scales from the original weights; --act-order implies it.")
  private boolean staticGroups;

  @Option(
      names = "--damping",
      defaultValue = "0.01",
      paramLabel = "X",
      description = "gptq: share of the mean diagonal added to the Hessian (default 0.01).")
  private double damping;

  @Mixin private CalibrationOptions calibration = new CalibrationOptions();

  @Option(
      names = "--checkpoint-format",
      defaultValue = "auto",
      paramLabel = "NAME",
      description = "gptq or gptq_v2; auto (default): gptq for --sym, else gptq_v2.")
  private String checkpointFormat;

  @Option(
      names = "--training-state",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Keep latents, scales and codes for training beside the model (default).")
  private boolean trainingState;

  @Option(
      names = "--seed",
      defaultValue = "0",
      paramLabel = "N",
      description = "Of windows and traces (default 0).")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Compute threads (default: all processors).")
  private @Nullable Integer threads;

  /** For the service loader. */
  @SuppressWarnings("NullAway.Init") // picocli fills the options
  public QuantizeCommand() {}

  @Override
  public Integer call() throws IOException {
    QuantizeOptions options = options();
    int workers = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    checkAtLeast("--threads", workers, 1);
    ExportDirectory.checkTarget(out);
    if (calibration.isEmpty() && options.method().observes()) {
      throw new UserException(
          "--calibration is missing: %s needs texts to observe; give .jsonl or text files, or"
                  .formatted(options.method().label())
              + " prompts with --self-traces");
    }
    PrintWriter console = spec.commandLine().getOut();
    try (Checkpoint source = Checkpoint.open(model);
        Ops ops = new VectorOps(workers)) {
      if (!source.unexpectedTensors().isEmpty()) {
        console.println("left out, for no layer asks for them: " + source.unexpectedTensors());
      }
      Quantizer.checkShapes(source);
      QuantizeReport report;
      try (ExportDirectory directory = new ExportDirectory(out, resume)) {
        Calibration observed = observed(source, directory, workers, console);
        report = quantize(source, directory, observed, options, ops);
      }
      console.print(report.toTable());
      console.printf(
          Locale.ROOT,
          "%s: %s in %.1f s, linears %.1f MB%n",
          out,
          FORMAT,
          report.seconds(),
          report.bytes() / 1e6);
      console.flush();
    }
    return 0;
  }

  /** The calibration of the run that is resumed, or a new one, which is kept for that. */
  private @Nullable Calibration observed(
      Checkpoint source, ExportDirectory directory, int workers, PrintWriter console)
      throws IOException {
    if (calibration.isEmpty()) {
      return null;
    }
    Path kept = directory.resolve(Calibration.FILE);
    Calibration drawn;
    if (Files.exists(kept)) {
      drawn = Calibration.read(kept);
    } else {
      drawn = calibration.draw(source, seed, workers, console);
      drawn.write(kept);
    }
    console.printf(
        "calibration: %d sequences, %d tokens, %s%n",
        drawn.sequences().size(), drawn.numTokens(), drawn.domain());
    console.flush();
    return drawn;
  }

  private QuantizeReport quantize(
      Checkpoint source,
      ExportDirectory directory,
      @Nullable Calibration observed,
      QuantizeOptions options,
      Ops ops)
      throws IOException {
    long weights = 0;
    for (LinearSource linear : GptqExport.linears(source)) {
      weights += (long) linear.rows() * linear.cols();
    }
    try (QuantizeProgress progress =
        new QuantizeProgress(weights, source.layers().size(), spec.commandLine().getOut())) {
      return Quantizer.quantize(source, directory, observed, options, ops, progress);
    }
  }

  private QuantizeOptions options() {
    if (!format.equals(FORMAT)) {
      throw new UserException("--format: " + format + "; expected " + FORMAT);
    }
    Method chosen = choose("--method", method, Method.values());
    if (!(damping >= 0 && damping <= 1)) {
      throw new UserException("--damping: " + damping + "; expected 0 to 1");
    }
    boolean gptq = chosen == Method.GPTQ;
    return new QuantizeOptions(
        chosen,
        symmetric,
        clip == null ? chosen.observes() : clip,
        gptq && (actOrder == null || actOrder),
        staticGroups,
        damping,
        choose("--checkpoint-format", checkpointFormat, CheckpointFormat.values()),
        trainingState);
  }

  private static <E extends Enum<E>> E choose(String option, String value, E[] among) {
    List<String> names = new ArrayList<>();
    for (E e : among) {
      String name = e.name().toLowerCase(Locale.ROOT);
      if (name.equals(value)) {
        return e;
      }
      names.add(name);
    }
    throw new UserException(option + ": " + value + "; expected " + String.join(", ", names));
  }

  static void checkAtLeast(String option, int value, int least) {
    if (value < least) {
      throw new UserException(option + ": " + value + "; expected at least " + least);
    }
  }
}
