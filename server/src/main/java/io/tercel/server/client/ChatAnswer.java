package io.tercel.server.client;

/**
 * A completion, whole or as far as it came.
 *
 * @param thinking the thought, empty if there was none
 * @param text the answer after it
 * @param finishReason stop, length or tool_calls; {@link #CANCELLED} if the reader left
 * @param promptTokens -1 where the server doesn't say
 * @param completionTokens thinking included; -1 where the server doesn't say
 * @param reasoningTokens the part that was thought; -1 where the server doesn't say
 */
public record ChatAnswer(
    String thinking,
    String text,
    String finishReason,
    int promptTokens,
    int completionTokens,
    int reasoningTokens) {
  public static final String CANCELLED = "cancelled";

  public boolean cancelled() {
    return finishReason.equals(CANCELLED);
  }
}
