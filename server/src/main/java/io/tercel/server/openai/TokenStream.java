package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.engine.EngineEvent.Token;
import io.tercel.server.openai.wire.Usage;
import io.tercel.server.request.CompletionId;
import java.util.List;

/**
 * Where the tokens of a request go as they come, for wires that carry more than JSON answers do.
 * Used by one thread, in the order of the methods here; those of several choices interleave.
 */
public interface TokenStream {

  /** The request was admitted. */
  void started(CompletionId id, int promptTokens);

  /** The prompt's scores from its second token on, where they were asked for. */
  void promptScored(List<TokenResult> scores);

  /**
   * A token as it was drawn.
   *
   * @param thinking whether it belongs to the thought, as the markers around that do
   */
  void token(Token token, boolean thinking);

  /** What became final with the tokens of the choice since its last delta. */
  void delta(ChoiceDelta delta);

  /**
   * All choices have ended.
   *
   * @param id with the last token's fingerprint
   * @param broken kept keys that were lost
   */
  void ended(CompletionId id, List<GenerationReader.BrokenChoice> broken, Usage usage);
}
