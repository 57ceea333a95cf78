package io.tercel.server.engine;

import io.tercel.kernels.ops.TokenResult;
import java.util.List;

/** What the engine says of a request, in order; see {@link Generation#take}. */
public sealed interface EngineEvent {

  /**
   * The prompt's scores, once, before the first token, where they were asked for.
   *
   * @param tokens one an id from the second on: token i + 1 given all before it
   * @param cachedTokens prompt tokens that came from the prefix cache (none when the prompt is
   *     scored)
   */
  record PromptScored(List<TokenResult> tokens, int cachedTokens) implements EngineEvent {}

  /**
   * One more token of a choice.
   *
   * @param weightVersion of the weights that made it
   */
  record Token(int choice, TokenResult result, long weightVersion) implements EngineEvent {}

  /**
   * The end of a choice; nothing of it follows.
   *
   * @param stopTokenId the end token that was drawn (it came as a {@link Token} before), or -1
   */
  record Finished(int choice, FinishReason reason, int stopTokenId) implements EngineEvent {}

  /** The end of the whole request by a fault of ours; the message is for the log and the client. */
  record Failed(String message) implements EngineEvent {}

  /** Why a choice ended. */
  enum FinishReason {
    STOP,
    LENGTH,
    ABORT
  }
}
