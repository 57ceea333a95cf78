package io.tercel.server.engine;

import org.jspecify.annotations.Nullable;

/**
 * A prompt, how to continue it, and how it is to be treated among others. What a continued prompt
 * leaves of a thought is in its parameters, see {@link Thinking#startsOpen}.
 *
 * @param id for logs and the API's answer
 * @param promptTokens at least one id, each within the vocabulary; not copied, not to be changed
 * @param serviceClass whose shares it is served from
 * @param priority rank within its class: lower is more important
 * @param staleKv what becomes of its keys and values when new weights come
 * @param group requests of the same group and prompt share the prompt's memory, as the n choices of
 *     one request do: GRPO's group, asked in several requests; null for none
 */
@SuppressWarnings("ArrayRecordComponent") // a prompt can be 32k ids; it is never compared
public record GenerationRequest(
    String id,
    int[] promptTokens,
    SamplingParams params,
    ServiceClass serviceClass,
    int priority,
    StaleKv staleKv,
    @Nullable String group) {

  /** A chat of priority 0 that drops stale keys, in no group. */
  public GenerationRequest(String id, int[] promptTokens, SamplingParams params) {
    this(id, promptTokens, params, ServiceClass.CHAT, 0, StaleKv.DROP, null);
  }

  public GenerationRequest withServiceClass(ServiceClass value) {
    return new GenerationRequest(id, promptTokens, params, value, priority, staleKv, group);
  }

  public GenerationRequest withPriority(int value) {
    return new GenerationRequest(id, promptTokens, params, serviceClass, value, staleKv, group);
  }

  public GenerationRequest withStaleKv(StaleKv value) {
    return new GenerationRequest(id, promptTokens, params, serviceClass, priority, value, group);
  }

  public GenerationRequest withGroup(@Nullable String value) {
    return new GenerationRequest(id, promptTokens, params, serviceClass, priority, staleKv, value);
  }
}
