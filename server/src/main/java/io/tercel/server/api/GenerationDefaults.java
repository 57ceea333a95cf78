package io.tercel.server.api;

/**
 * How requests are sampled that don't say it themselves, as the model's {@code
 * generation_config.json} has it.
 *
 * @param topK 0 keeps all
 */
public record GenerationDefaults(
    float temperature, float topP, int topK, float minP, float repetitionPenalty) {

  /** What OpenAI's API documents: the plain distribution. */
  public static final GenerationDefaults NEUTRAL = new GenerationDefaults(1, 1, 0, 0, 1);
}
