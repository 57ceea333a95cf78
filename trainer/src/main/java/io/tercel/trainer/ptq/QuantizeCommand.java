package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.ptq.QuantizeOptions.CheckpointFormat;
import io.tercel.trainer.ptq.QuantizeOptions.Method;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
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
      paramLabel = "DIR",
      description = "The 16-bit model: a directory as on Hugging Face.")
  private Path model;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Where the quantized model goes; must not exist.")
  private Path out;

  @Option(
      names = "--method",
      paramLabel = "NAME",
      description =
          "rtn (round to nearest), gptq (default of w3g128); for w4a4kv4 rtn, quarot or flatquant"
              + " (default).")
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
      description = "Search each group's best clip. Default: with gptq yes, with rtn no.")
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

  @Mixin private W4Flags w4;

  @Option(
      names = "--calibration",
      paramLabel = "FILE",
      arity = "1..*",
      description =
          "Texts to observe: .jsonl with token_ids, messages, text, or prompt and completion;"
              + " anything else is plain text. gptq needs them.")
  private List<Path> calibration = new ArrayList<>();

  @Option(
      names = "--self-traces",
      description =
          "Let the model itself continue the prompts (or problems) of --calibration, at"
              + " temperature 0.6; best for reasoning models.")
  private boolean selfTraces;

  @Option(
      names = "--calibration-samples",
      defaultValue = "128",
      paramLabel = "N",
      description = "Sequences to observe (default 128).")
  private int samples;

  @Option(
      names = "--calibration-length",
      paramLabel = "N",
      description = "Tokens of a sequence, at most (default 2048, or the model's positions).")
  private @Nullable Integer length;

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
    if (format.equals(W4Flags.FORMAT)) {
      return quantizeToFourBits();
    }
    QuantizeOptions options = options();
    GptqExport.checkTarget(out);
    if (calibration.isEmpty() && options.method() == Method.GPTQ) {
      throw new UserException(
          "--calibration is missing: gptq needs texts to observe; give .jsonl or text files, or"
              + " prompts with --self-traces");
    }
    PrintWriter console = spec.commandLine().getOut();
    int workers = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    checkAtLeast("--threads", workers, 1);
    try (Checkpoint source = Checkpoint.open(model);
        Ops ops = new VectorOps(workers)) {
      if (!source.unexpectedTensors().isEmpty()) {
        console.println("left out, for no layer asks for them: " + source.unexpectedTensors());
      }
      Calibration observed = calibration.isEmpty() ? null : calibration(source, workers, console);
      QuantizeReport report = quantize(source, observed, options, ops);
      console.print(report.toTable());
      console.printf("%s: %s in %.1f s%n", out, FORMAT, report.toJson().get("seconds").asDouble());
      console.flush();
    }
    return 0;
  }

  private Integer quantizeToFourBits() throws IOException {
    W4Options.Method chosen =
        choose("--method", method == null ? "flatquant" : method, W4Options.Method.values());
    W4Options options =
        w4.options(chosen, actOrder == null || actOrder, damping(), seed, trainingState);
    GptqExport.checkTarget(out);
    if (calibration.isEmpty() && chosen != W4Options.Method.RTN) {
      throw new UserException(
          "--calibration is missing: "
              + chosen.name().toLowerCase(Locale.ROOT)
              + " needs texts to observe; give .jsonl or text files, or prompts with"
              + " --self-traces");
    }
    PrintWriter console = spec.commandLine().getOut();
    int workers = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    checkAtLeast("--threads", workers, 1);
    try (Checkpoint source = Checkpoint.open(model);
        Ops ops = new VectorOps(workers)) {
      Calibration observed = calibration.isEmpty() ? null : calibration(source, workers, console);
      W4Report report = w4.quantize(source, out, observed, options, ops);
      console.print(report.toTable());
      console.printf("%s: %s in %.1f s%n", out, W4Flags.FORMAT, report.seconds());
      console.flush();
    }
    return 0;
  }

  private QuantizeReport quantize(
      Checkpoint source, @Nullable Calibration observed, QuantizeOptions options, Ops ops)
      throws IOException {
    long weights = 0;
    for (LinearSource linear : GptqExport.linears(source)) {
      weights += (long) linear.rows() * linear.cols();
    }
    try (ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName("quantize")
            .setInitialMax(weights)
            .setUnit("k weights", 1000)
            .setStyle(ProgressBarStyle.ASCII)
            .setUpdateIntervalMillis(500)
            .build()) {
      return Quantizer.quantize(
          source,
          out,
          observed,
          options,
          ops,
          (name, count) -> {
            bar.setExtraMessage(" " + name.substring(name.lastIndexOf('.') + 1));
            bar.stepBy(count);
          });
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
        clip == null ? gptq : clip,
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

  private static void checkAtLeast(String option, int value, int least) {
    if (value < least) {
      throw new UserException(option + ": " + value + "; expected at least " + least);
    }
  }

  private Calibration calibration(Checkpoint source, int workers, PrintWriter console)
      throws IOException {
    int positions = source.config().maxPositionEmbeddings();
    int limit = length == null ? Math.min(2048, positions) : length;
    checkAtLeast("--calibration-length", limit, 2);
    checkAtLeast("--calibration-samples", samples, 1);
    if (limit > positions) {
      throw new UserException(
          "--calibration-length: %d; the model has %d positions".formatted(limit, positions));
    }
    List<int[]> documents;
    Set<Integer> ends;
    if (!Files.exists(model.resolve("tokenizer.json"))) {
      throw new UserException(
          "--model: " + model + " has no tokenizer.json, which the calibration texts need");
    }
    try (Tokenizer tokenizer = Tokenizer.open(model)) {
      int vocab = source.config().vocabSize();
      documents = new CalibrationReader(tokenizer, vocab, selfTraces).read(calibration);
      ends = tokenizer.endTokens(source.config().eosTokenIds());
    }
    if (selfTraces) {
      Collections.shuffle(documents, new Random(seed));
      List<int[]> prompts = documents.subList(0, Math.min(samples, documents.size()));
      console.printf("the model continues %d prompts%n", prompts.size());
      console.flush();
      documents = SelfTraces.write(source, prompts, ends, limit, seed, workers);
    }
    if (documents.stream().noneMatch(d -> d.length >= 2)) {
      throw new UserException("--calibration: no document has two tokens or more");
    }
    Calibration drawn = Calibration.draw(documents, samples, limit, seed);
    console.printf(
        "calibration: %d sequences, %d tokens%n", drawn.sequences().size(), drawn.numTokens());
    console.flush();
    return drawn;
  }
}
