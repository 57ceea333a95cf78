package io.tercel.trainer.distill;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What {@code tercel distill} is told besides what all that train are. */
final class DistillOptions {
  /** What the student learns from. */
  enum Objective {
    /** Forward KL divergence to the teacher's distribution over the whole vocabulary. */
    KD,
    /** Cross-entropy of the data's own responses. */
    SFT
  }

  @Option(
      names = "--teacher",
      paramLabel = "DIR|ORG/NAME",
      description =
          "the full-precision model, of the hub where there is no such folder, that the student was quantized from; --objective sft needs none")
  @Nullable String teacher;

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

  Objective objective() {
    return switch (objective.toLowerCase(Locale.ROOT)) {
      case "kd" -> Objective.KD;
      case "sft" -> Objective.SFT;
      default -> throw new UserException("--objective: " + objective + "; kd or sft");
    };
  }

  int maxLength() {
    return maxLength;
  }

  /** Bytes that may outlive a window. */
  long teacherCacheBytes() {
    return teacherCache == null ? 0 : io.tercel.server.model.ByteSize.parse(teacherCache);
  }

  int window() {
    return window;
  }

  /** Checks what stands by itself. */
  void check() {
    if (objective() == Objective.KD && teacher == null) {
      throw new UserException(
          "--teacher is needed to distil: the full-precision model; or --objective sft");
    }
    if (window < 1) {
      throw new UserException("--teacher-window is at least 1");
    }
  }

  /** Adds what decides what comes out. */
  void describe(ObjectNode settings) {
    settings.put("objective", objective().name().toLowerCase(Locale.ROOT));
    settings.put("teacher", teacher);
    settings.put("max_length", maxLength);
  }
}
