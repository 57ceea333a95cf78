package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.Layout;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.run.OptimizerOptions;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What {@code tercel distill} is to do. */
final class DistillOptions {
  /** What the student learns from. */
  enum Objective {
    /** Forward KL divergence to the teacher's distribution over the whole vocabulary. */
    KD,
    /** Cross-entropy of the data's own responses. */
    SFT
  }

  @Option(
      names = "--student",
      required = true,
      paramLabel = "DIR",
      description = "what tercel quantize has exported, with its training-state")
  @SuppressWarnings("NullAway.Init") // picocli sets it, or refuses
  Path student;

  @Option(
      names = "--teacher",
      paramLabel = "DIR",
      description =
          "the full-precision model that the student was quantized from; --objective sft needs none")
  @Nullable Path teacher;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE|DIR|problems:MIX",
      description =
          "JSON lines: messages, text, or OpenR1-Math, NuminaMath-1.5, GSM8K, Wikitext2 as they are"
              + " published; or generated problems, such as problems:q")
  @SuppressWarnings("NullAway.Init")
  String data;

  @Option(
      names = "--data-format",
      paramLabel = "NAME",
      description = "what a line of --data holds (default: told by its fields)")
  private @Nullable String layout;

  @Option(
      names = "--max-length",
      paramLabel = "N",
      description = "tokens of an example, the rest is cut off (default: 8192)")
  private int maxLength = 8192;

  @Option(
      names = "--objective",
      paramLabel = "kd|sft",
      description = "learn from the teacher, or from the data's responses (default: kd)")
  private String objective = "kd";

  @Option(
      names = "--train",
      paramLabel = "PART,…",
      split = ",",
      description =
          "latents, scales, norms, biases, embedding, transforms, clips (default: latents, and for"
              + " W4A4 transforms and clips; scales without latents leave codes as they are)")
  private List<String> parts = List.of();

  @Option(
      names = "--train-kv",
      paramLabel = "fp32|fp16|int4",
      description =
          "how keys and values are rounded while training; serve with the same (default: fp16 for"
              + " W3, int4 for W4A4)")
  private @Nullable String cache;

  @Option(
      names = "--teacher-cache",
      paramLabel = "SIZE",
      description =
          "keep the teacher's hidden states beyond the window of steps they are computed for, up to"
              + " this size, such as 20g (default: not at all)")
  private @Nullable String teacherCache;

  @Option(
      names = "--teacher-window",
      paramLabel = "N",
      description = "steps that the teacher runs ahead (default: ${DEFAULT-VALUE})")
  private int window = 8;

  @Option(
      names = "--save-every",
      paramLabel = "N",
      description = "steps from checkpoint to checkpoint (default: ${DEFAULT-VALUE})")
  private int saveEvery = 50;

  @Option(
      names = "--eval-data",
      paramLabel = "FILE|problems:MIX",
      description =
          "what the student is tried on, in the formats of --data; generated problems are held out"
              + " from training (default: nothing)")
  @Nullable String evalData;

  @Option(
      names = "--eval-every",
      paramLabel = "N",
      description = "steps from evaluation to evaluation (default: ${DEFAULT-VALUE})")
  private int evalEvery = 50;

  @Option(
      names = "--eval-count",
      paramLabel = "N",
      description = "examples that are tried, from the first on (default: ${DEFAULT-VALUE})")
  private int evalCount = 100;

  @Mixin OptimizerOptions optimizer = new OptimizerOptions();

  Objective objective() {
    return switch (objective.toLowerCase(Locale.ROOT)) {
      case "kd" -> Objective.KD;
      case "sft" -> Objective.SFT;
      default -> throw new UserException("--objective: " + objective + "; kd or sft");
    };
  }

  DataSpec trainingData() {
    return spec(data).withSeed(optimizer.seed()).withMaxLength(maxLength);
  }

  DataSpec spec(String source) {
    return DataSpec.of(source).withLayout(layout == null ? null : Layout.parse(layout));
  }

  int maxLength() {
    return maxLength;
  }

  /** What is trained. */
  Set<TrainedPart> parts(boolean fourBit) {
    if (parts.isEmpty()) {
      return fourBit
          ? EnumSet.of(TrainedPart.LATENTS, TrainedPart.TRANSFORMS, TrainedPart.CLIPS)
          : EnumSet.of(TrainedPart.LATENTS);
    }
    return TrainedPart.parse("--train", parts);
  }

  /** Bits of keys and values while training. */
  int cacheBits(boolean fourBit) {
    return switch (cacheLabel(fourBit)) {
      case "fp32" -> 32;
      case "fp16" -> 16;
      case "int4" -> 4;
      default -> throw new UserException("--train-kv: " + cache + "; one of fp32, fp16, int4");
    };
  }

  String cacheLabel(boolean fourBit) {
    return cache != null ? cache : fourBit ? "int4" : "fp16";
  }

  /** Bytes that may outlive a window. */
  long teacherCacheBytes() {
    return teacherCache == null ? 0 : io.tercel.server.model.ByteSize.parse(teacherCache);
  }

  int window() {
    return window;
  }

  int saveEvery() {
    return saveEvery;
  }

  int evalEvery() {
    return evalEvery;
  }

  int evalCount() {
    return evalCount;
  }

  /** Checks what stands by itself. */
  void check() {
    if (objective() == Objective.KD && teacher == null) {
      throw new UserException(
          "--teacher is needed to distil: the full-precision model; or --objective sft");
    }
    for (int each : new int[] {window, saveEvery, evalEvery, evalCount}) {
      if (each < 1) {
        throw new UserException(
            "--teacher-window, --save-every, --eval-every and --eval-count are at least 1");
      }
    }
  }

  /** All that decides what comes out. */
  ObjectNode settings(boolean fourBit) {
    ObjectNode settings = new ObjectMapper().createObjectNode();
    settings
        .put("command", "distill")
        .put("objective", objective().name().toLowerCase(Locale.ROOT));
    settings.put("student", student.toString());
    settings.put("teacher", teacher == null ? null : teacher.toString());
    settings.put("data", data).put("max_length", maxLength);
    settings.put(
        "train", parts(fourBit).stream().map(TrainedPart::label).collect(Collectors.joining(",")));
    settings.put("train_kv", cacheLabel(fourBit));
    optimizer.describe(settings);
    return settings;
  }
}
