package io.tercel.server.model;

/**
 * How a thought is kept within bounds where the request doesn't say it.
 *
 * @param budget most tokens of a thought; -1 for no limit
 * @param breakLoops whether a chat's text that repeats itself is ended
 */
public record ReasoningDefaults(int budget, boolean breakLoops) {
  /** Nobody steps in. */
  public static final ReasoningDefaults NONE = new ReasoningDefaults(-1, false);
}
