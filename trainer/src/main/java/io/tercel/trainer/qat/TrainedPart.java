package io.tercel.trainer.qat;

import io.tercel.server.UserException;
import io.tercel.trainer.torch.Parameter;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What of a student can be trained, each with a rate of its own. */
public enum TrainedPart {
  /** Linear weights: of quantized ones the latents that codes are rounded from. */
  LATENTS,
  /** Scales of quantized linears; without {@link #LATENTS} their codes stay as they are. */
  SCALES,
  NORMS,
  BIASES,
  /** The embedding, and the head where it isn't tied. */
  EMBEDDING,
  /** The factors of the online transforms of inputs of linears; not of keys, which are cached. */
  TRANSFORMS,
  /** Shares of the ranges of inputs, keys and values that are kept. */
  CLIPS;

  /** As an option has it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Reads names.
   *
   * @param option for errors
   * @throws UserException that names the one which isn't any, and those that there are
   */
  public static Set<TrainedPart> parse(String option, List<String> names) {
    Set<TrainedPart> parts = EnumSet.noneOf(TrainedPart.class);
    for (String name : names) {
      TrainedPart found = null;
      for (TrainedPart part : values()) {
        found = part.label().equals(name.strip()) ? part : found;
      }
      if (found == null) {
        throw new UserException(
            "%s: %s; any of %s"
                .formatted(
                    option,
                    name,
                    String.join(", ", Arrays.stream(values()).map(TrainedPart::label).toList())));
      }
      parts.add(found);
    }
    return parts;
  }

  /** What a parameter is; null for what is never trained. */
  public static @Nullable TrainedPart of(Parameter parameter) {
    String name = parameter.name();
    if (name.endsWith(".scale_growth")) {
      return SCALES;
    }
    if (name.endsWith("k_transform") || name.endsWith("q_transform")) {
      return null;
    }
    if (name.endsWith(QatModel.CLIP)) {
      return CLIPS;
    }
    if (name.contains("_transform.")) {
      return TRANSFORMS;
    }
    if (name.endsWith(".bias")) {
      return BIASES;
    }
    if (!parameter.isMatrix()) {
      return NORMS;
    }
    return name.startsWith("model.layers.") ? LATENTS : EMBEDDING;
  }
}
