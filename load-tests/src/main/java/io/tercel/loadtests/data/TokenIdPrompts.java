package io.tercel.loadtests.data;

import java.util.List;
import java.util.SplittableRandom;

/** Prompts of exactly the wanted number of tokens, drawn from a pool of ordinary token ids. */
public final class TokenIdPrompts implements PromptMaker {
  private final int[] pool;

  /**
   * Draws from a pool.
   *
   * @param pool ids that the model knows and that are no special tokens; at least one
   */
  public TokenIdPrompts(int[] pool) {
    if (pool.length == 0) {
      throw new IllegalArgumentException("no token ids to draw from");
    }
    this.pool = pool.clone();
  }

  @Override
  public Prompt make(List<Segment> segments) {
    int[] ids = new int[segments.stream().mapToInt(Segment::tokens).sum()];
    int at = 0;
    for (Segment segment : segments) {
      SplittableRandom random = new SplittableRandom(segment.seed());
      for (int i = 0; i < segment.tokens(); i++) {
        ids[at++] = pool[random.nextInt(pool.length)];
      }
    }
    return new Prompt.TokenIds(ids);
  }
}
