package io.tercel.server.engine;

/**
 * A prompt and how to continue it.
 *
 * @param id for logs and the API's answer
 * @param promptTokens at least one id, each within the vocabulary; not copied, not to be changed
 * @param priority lower is more important: 0 for chat, larger for rollouts
 */
@SuppressWarnings("ArrayRecordComponent") // a prompt can be 32k ids; it is never compared
public record GenerationRequest(
    String id, int[] promptTokens, SamplingParams params, int priority) {

  /** Of a chat's priority. */
  public GenerationRequest(String id, int[] promptTokens, SamplingParams params) {
    this(id, promptTokens, params, 0);
  }
}
