package io.tercel.kernels.format;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a checkpoint's authors want it sampled, from {@code generation_config.json}; a request's own
 * values go before these.
 *
 * @param temperature 0 is greedy, which {@code do_sample: false} means too
 * @param topP in (0, 1]
 * @param topK 0 keeps all
 * @param minP in [0, 1]
 * @param repetitionPenalty above 0; 1 is none
 * @param eosTokenIds as this file says; {@link ModelConfig#eosTokenIds} has them merged
 */
public record GenerationDefaults(
    float temperature,
    float topP,
    int topK,
    float minP,
    float repetitionPenalty,
    List<Integer> eosTokenIds) {
  static final String FILE = "generation_config.json";

  /** What holds where a file says nothing: plain sampling from the whole distribution. */
  public static final GenerationDefaults NONE = new GenerationDefaults(1, 1, 0, 0, 1, List.of());

  public GenerationDefaults {
    eosTokenIds = List.copyOf(eosTokenIds);
  }

  static GenerationDefaults read(Path directory) {
    @Nullable JsonSection json = JsonSection.readIfPresent(directory.resolve(FILE), 1 << 20);
    if (json == null) {
      return NONE;
    }
    boolean greedy = !json.booleanOr("do_sample", true);
    float temperature = (float) json.doubleOr("temperature", 0, 100, NONE.temperature);
    return new GenerationDefaults(
        greedy ? 0 : temperature,
        (float) json.doubleOr("top_p", Float.MIN_NORMAL, 1, NONE.topP),
        Math.max(0, json.intOr("top_k", -1, Integer.MAX_VALUE, NONE.topK)),
        (float) json.doubleOr("min_p", 0, 1, NONE.minP),
        (float) json.doubleOr("repetition_penalty", 1e-3, 1000, NONE.repetitionPenalty),
        json.intsOr("eos_token_id", 0, Integer.MAX_VALUE, 1024));
  }
}
