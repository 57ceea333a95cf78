package io.tercel.trainer.rollout;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.trainer.data.PromptSet.Prompt;

/**
 * One answer to a prompt, token by token as the engine drew it. Its arrays are views and of one
 * length.
 */
public final class Rollout {
  private final Prompt prompt;
  private final int[] tokens;
  private final float[] logProbs;
  private final long[] versions;
  private final boolean[] forced;
  private final FinishReason reason;

  /**
   * @param logProbs under the raw logits, whatever the temperature was
   * @param versions of the weights that made each token
   * @param forced whether a token was put there rather than drawn
   */
  Rollout(
      Prompt prompt,
      int[] tokens,
      float[] logProbs,
      long[] versions,
      boolean[] forced,
      FinishReason reason) {
    this.prompt = prompt;
    this.tokens = tokens;
    this.logProbs = logProbs;
    this.versions = versions;
    this.forced = forced;
    this.reason = reason;
  }

  public Prompt prompt() {
    return prompt;
  }

  /** Of the answer, its end token included. */
  public int[] tokens() {
    return tokens;
  }

  /** The engine's log-probability of each token. */
  public float[] logProbs() {
    return logProbs;
  }

  /** The version of the weights that made each token. */
  public long[] versions() {
    return versions;
  }

  /** Which tokens were put there rather than drawn. */
  public boolean[] forced() {
    return forced;
  }

  /** Whether it came to its end, rather than to the bound of its length. */
  public boolean ended() {
    return reason == FinishReason.STOP;
  }

  public FinishReason reason() {
    return reason;
  }
}
