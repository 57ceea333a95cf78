package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.server.cli.TerminalProgress;
import io.tercel.server.model.ModelLocator;
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

/** {@code tercel quantize}: makes a 3-bit or 4-bit model of a 16-bit one. */
@CommandLine.Command(
    name = "quantize",
    description = "Makes a 3-bit or 4-bit model of a 16-bit one.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class QuantizeCommand implements Command {
  private static final String FORMAT = "w3g128";

  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR|ORG/NAME",
      description = "The 16-bit model: a directory as on Hugging Face, or its name there.")
  private String model;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Where the quantized model goes; must not exist.")
  private Path out;

  @Option(
      names = "--resume",
      description =
          "Go on with what an interrupted run has left of --out, behind the last layer it"
              + " finished; the other options as they were.")
  private boolean resume;

  @Option(
      names = "--method",
      paramLabel = "NAME",
      description =
          "w3g128: rtn (round to nearest), gptq (default) or awq (strong inputs scaled up);"
              + " w4a4kv4: rtn, quarot or flatquant (default).")
  private @Nullable String method;

  @Option(
      names = "--format",
      defaultValue = FORMAT,
      paramLabel = "NAME",
      description =
          "w3g128: weights in 3 bits, groups of 128 (default); w4a4kv4: weights, activations, keys"
              + " and values in 4 bits.")
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

  @Mixin private W4Flags w4 = new W4Flags();

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
    checkAtLeast("--threads", workers(), 1);
    return format.equals(W4Flags.FORMAT) ? quantizeToFourBits() : quantizeToThreeBits();
  }

  private int workers() {
    return threads == null ? Runtime.getRuntime().availableProcessors() : threads;
  }

  private Integer quantizeToThreeBits() throws IOException {
    QuantizeOptions options = options();
    checkPlaces(options.method(), options.method().observes());
    PrintWriter console = spec.commandLine().getOut();
    try (Checkpoint source = Checkpoint.open(ModelLocator.locate(model, TerminalProgress::hub));
        Ops ops = new VectorOps(workers())) {
      if (!source.unexpectedTensors().isEmpty()) {
        console.println("left out, for no layer asks for them: " + source.unexpectedTensors());
      }
      Quantizer.checkShapes(source);
      QuantizeReport report;
      try (ExportDirectory directory = new ExportDirectory(out, resume)) {
        Calibration observed = observed(source, directory, console);
        report = quantize(source, directory, observed, options, ops);
      }
      console.print(report.toTable());
      say(FORMAT, report.seconds(), report.bytes(), console);
    }
    return 0;
  }

  private Integer quantizeToFourBits() throws IOException {
    W4Options.Method chosen =
        choose("--method", method == null ? "flatquant" : method, W4Options.Method.values());
    W4Options options =
        w4.options(chosen, actOrder == null || actOrder, damping(), seed, trainingState);
    checkPlaces(chosen, chosen.observes());
    PrintWriter console = spec.commandLine().getOut();
    try (Checkpoint source = Checkpoint.open(ModelLocator.locate(model, TerminalProgress::hub));
        Ops ops = new VectorOps(workers())) {
      W4Quantizer.checkShapes(source);
      W4Report report;
      try (ExportDirectory directory = new ExportDirectory(out, resume)) {
        Calibration observed = observed(source, directory, console);
        report = w4.quantize(source, directory, observed, options, ops);
      }
      console.print(report.toTable());
      say(W4Flags.FORMAT, report.seconds(), report.linearBytes(), console);
    }
    return 0;
  }

  private void say(String made, double seconds, long bytes, PrintWriter console) {
    console.printf(
        Locale.ROOT, "%s: %s in %.1f s, linears %.1f MB%n", out, made, seconds, bytes / 1e6);
    console.flush();
  }

  /** Refuses, before any work, a target that is there and texts that are not. */
  private void checkPlaces(Enum<?> chosen, boolean observes) throws IOException {
    ExportDirectory.checkTarget(out);
    if (calibration.isEmpty() && observes) {
      throw new UserException(
          "--calibration is missing: %s needs texts to observe; give .jsonl or text files, or"
                  .formatted(chosen.name().toLowerCase(Locale.ROOT))
              + " prompts with --self-traces");
    }
  }

  private Calibration draw(Checkpoint source, PrintWriter console) throws IOException {
    Calibration drawn = calibration.draw(source, seed, workers(), console);
    say(drawn, console);
    return drawn;
  }

  private static void say(Calibration drawn, PrintWriter console) {
    console.printf(
        "calibration: %d sequences, %d tokens, %s%n",
        drawn.sequences().size(), drawn.numTokens(), drawn.domain());
    console.flush();
  }

  /** The calibration of the run that is resumed, or a new one, which is kept for that. */
  private @Nullable Calibration observed(
      Checkpoint source, ExportDirectory directory, PrintWriter console) throws IOException {
    if (calibration.isEmpty()) {
      return null;
    }
    Path kept = directory.resolve(Calibration.FILE);
    if (Files.exists(kept)) {
      Calibration before = Calibration.read(kept);
      say(before, console);
      return before;
    }
    Calibration drawn = draw(source, console);
    drawn.write(kept);
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
      throw new UserException(
          "--format: " + format + "; expected " + FORMAT + " or " + W4Flags.FORMAT);
    }
    Method chosen = choose("--method", method == null ? "gptq" : method, Method.values());
    boolean gptq = chosen == Method.GPTQ;
    return new QuantizeOptions(
        chosen,
        symmetric,
        clip == null ? chosen.observes() : clip,
        gptq && (actOrder == null || actOrder),
        staticGroups,
        damping(),
        choose("--checkpoint-format", checkpointFormat, CheckpointFormat.values()),
        trainingState);
  }

  private double damping() {
    if (!(damping >= 0 && damping <= 1)) {
      throw new UserException("--damping: " + damping + "; expected 0 to 1");
    }
    return damping;
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
