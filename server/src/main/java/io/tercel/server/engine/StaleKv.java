package io.tercel.server.engine;

/**
 * What becomes of keys and values that older weights computed, after {@link Engine#betweenSteps}.
 */
public enum StaleKv {
  /** Running sequences are computed again from their tokens: all they say is the new weights'. */
  DROP,
  /**
   * Running sequences go on with what they have, as asynchronous rollouts do; it is never shared
   * with another sequence.
   */
  KEEP
}
