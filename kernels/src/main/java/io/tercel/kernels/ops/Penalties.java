package io.tercel.kernels.ops;

/**
 * Penalties on tokens already seen, with OpenAI's (presence, frequency: subtracted, generated
 * tokens only) and Hugging Face's (repetition: logits divided when positive, multiplied when
 * negative; prompt and generated tokens) meanings.
 *
 * @param generated counts of generated ids
 * @param prompt counts of prompt ids
 */
public record Penalties(
    float presence, float frequency, float repetition, TokenCounts generated, TokenCounts prompt) {}
