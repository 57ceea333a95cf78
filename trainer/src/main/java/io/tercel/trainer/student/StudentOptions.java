package io.tercel.trainer.student;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.server.cli.TerminalProgress;
import io.tercel.server.model.ModelLocator;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.Layout;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.run.OptimizerOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What every command that trains a quantized model is told. */
public final class StudentOptions {
  /** Another order than training's. */
  private static final long EVALUATION_SEED = 20_000;

  @Option(
      names = "--student",
      required = true,
      paramLabel = "DIR|ORG/NAME",
      description =
          "what is trained: an export of tercel quantize, with its training-state, or the model/ of a"
              + " run before; for grpo best after distillation")
  @SuppressWarnings("NullAway.Init") // picocli sets it, or refuses
  private String student;

  private @Nullable Path located;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE|DIR|hf://…|problems:MIX",
      description =
          "JSON lines or parquet: messages, text, or OpenR1-Math, NuminaMath-1.5, GSM8K, Wikitext2 as"
              + " they are published, hf://datasets/ORG/NAME[@REVISION][/PATTERN] of the hub; or generated problems, such as problems:q; grpo needs answers with them")
  @SuppressWarnings("NullAway.Init")
  private String data;

  @Option(
      names = "--data-format",
      paramLabel = "NAME",
      description = "what a line of --data holds (default: told by its fields)")
  private @Nullable String layout;

  @Option(
      names = "--train",
      paramLabel = "PART,…",
      split = ",",
      description =
          "latents, scales, norms, biases, embedding, transforms, clips (default: latents, the"
              + " paper's; distill of W4A4 transforms and clips too; grpo of small models"
              + " scales,norms,embedding: each flip of a code is too coarse; scales without latents"
              + " leave codes as they are)")
  private List<String> parts = List.of();

  @Option(
      names = "--train-kv",
      paramLabel = "fp32|fp16|int4",
      description =
          "how keys and values are rounded, in training and in whatever is generated meanwhile; serve"
              + " with the same (default: fp16 for W3, int4 for W4A4)")
  private @Nullable String cache;

  @Option(
      names = "--device",
      paramLabel = "cpu|cuda[:N]",
      description =
          "where gradients are computed; the student answers on the CPU all the same (default:"
              + " ${DEFAULT-VALUE})")
  private String device = "cpu";

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "folder of the run: checkpoint, log.jsonl, curves, and model/ in the end")
  @SuppressWarnings("NullAway.Init")
  private Path out;

  @Option(names = "--resume", description = "go on from the folder's last checkpoint")
  private boolean resume;

  @Option(
      names = "--save-every",
      paramLabel = "N",
      description = "steps from checkpoint to checkpoint (default: 50, grpo 5)")
  private @Nullable Integer saveEvery;

  @Option(
      names = "--eval-data",
      paramLabel = "FILE|problems:MIX",
      description =
          "what the student is tried on, in the formats of --data; generated problems are held out"
              + " from training (default: nothing)")
  private @Nullable String evalData;

  @Option(
      names = "--eval-every",
      paramLabel = "N",
      description = "steps from evaluation to evaluation (default: 50, grpo 5)")
  private @Nullable Integer evalEvery;

  @Option(
      names = "--eval-count",
      paramLabel = "N",
      description = "examples that are tried, from the first on (default: ${DEFAULT-VALUE})")
  private int evalCount = 100;

  @Mixin private OptimizerOptions optimizer = new OptimizerOptions();

  /** For picocli. */
  public StudentOptions() {}

  /**
   * What is trained where nobody says so, and how.
   *
   * @param every steps between checkpoints, and between evaluations
   */
  public record Defaults(OptimizerOptions.Preset preset, Set<TrainedPart> parts, int every) {
    public Defaults {
      parts = Set.copyOf(parts);
    }
  }

  /** Fills in what was left open, and checks all. */
  void complete(Defaults with) {
    optimizer.complete(with.preset);
    saveEvery = saveEvery == null ? with.every : saveEvery;
    evalEvery = evalEvery == null ? with.every : evalEvery;
    if (parts.isEmpty()) {
      parts = with.parts.stream().sorted().map(TrainedPart::label).toList();
    }
    if (Math.min(saveEvery, Math.min(evalEvery, evalCount)) < 1) {
      throw new UserException("--save-every, --eval-every and --eval-count are at least 1");
    }
    if (cache != null && !List.of("fp32", "fp16", "int4").contains(cache)) {
      throw new UserException("--train-kv: " + cache + "; one of fp32, fp16, int4");
    }
  }

  /**
   * Says how keys and values are rounded, by who has decided it already.
   *
   * @throws UserException if {@code --train-kv} says something else
   */
  void cache(String label) {
    if (cache != null && !cache.equals(label)) {
      throw new UserException(
          "--train-kv: %s, but the model is served with %s; leave it out, or serve with %s"
              .formatted(cache, label, cache));
    }
    cache = label;
  }

  private static int complete(@Nullable Integer value) {
    if (value == null) {
      throw new IllegalStateException("options are not complete yet");
    }
    return value;
  }

  /** The directory of what training starts from; fetched from the hub if there is none. */
  public Path student() {
    Path known = located;
    if (known == null) {
      known = ModelLocator.locate("--student", student, TerminalProgress::hub);
      located = known;
    }
    return known;
  }

  /** Where the run's folder is. */
  public Path out() {
    return out;
  }

  String device() {
    return device;
  }

  boolean resume() {
    return resume;
  }

  public OptimizerOptions optimizer() {
    return optimizer;
  }

  /** What is learned from. */
  public DataSpec trainingData() {
    return spec(data).withSeed(optimizer.seed());
  }

  /** What the student is tried on; null where nobody asks. */
  public @Nullable DataSpec evaluationData() {
    return evalData == null ? null : spec(evalData).withSeed(EVALUATION_SEED).forEvaluation();
  }

  private DataSpec spec(String source) {
    return DataSpec.of(source).withLayout(layout == null ? null : Layout.parse(layout));
  }

  int saveEvery() {
    return complete(saveEvery);
  }

  int evalEvery() {
    return complete(evalEvery);
  }

  /** Examples of an evaluation. */
  public int evalCount() {
    return evalCount;
  }

  /** What is trained. */
  Set<TrainedPart> parts() {
    return TrainedPart.parse("--train", parts);
  }

  /** The type of keys and values, by its label. */
  String cacheLabel(boolean fourBit) {
    return cache != null ? cache : fourBit ? "int4" : "fp16";
  }

  /** Bits of keys and values. */
  public int cacheBits(boolean fourBit) {
    return switch (cacheLabel(fourBit)) {
      case "fp32" -> 32;
      case "fp16" -> 16;
      default -> 4;
    };
  }

  /** All that decides what comes out, for the run's folder. */
  void describe(ObjectNode settings, boolean fourBit) {
    settings.put("student", student).put("data", data);
    settings.put(
        "train", parts().stream().map(TrainedPart::label).collect(Collectors.joining(",")));
    settings.put("train_kv", cacheLabel(fourBit));
    optimizer.describe(settings);
  }
}
