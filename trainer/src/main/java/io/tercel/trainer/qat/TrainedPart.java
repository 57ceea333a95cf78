package io.tercel.trainer.qat;

import io.tercel.trainer.torch.Parameter;
import java.util.Locale;
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
