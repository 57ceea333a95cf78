package io.tercel.loadtests.data;

import java.util.List;

/** Makes random prompts of a wanted length. Safe for many threads. */
public interface PromptMaker {
  /**
   * A part of a prompt; the same seed and length always give the same part, so that prompts which
   * begin with it share their prefix.
   *
   * @param tokens at least 1
   */
  record Segment(long seed, int tokens) {}

  /** One prompt, its segments in order. */
  Prompt make(List<Segment> segments);
}
