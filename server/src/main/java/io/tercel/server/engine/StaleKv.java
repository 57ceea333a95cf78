package io.tercel.server.engine;

/**
 * What becomes of a request's keys and values when new weights come while it runs; the request says
 * it, see {@link GenerationRequest#staleKv}.
 */
public enum StaleKv {
  /** It is computed again from its tokens: all it says from then on is the new weights'. */
  DROP,
  /**
   * It goes on with what it has, as asynchronous rollouts do; none of it is ever shared with
   * another sequence. Should it be set back for want of room, the older keys are lost all the same:
   * its end tells, see {@link EngineEvent.BrokenKv}.
   */
  KEEP;

  /** As requests name it: {@code drop}, {@code keep}. */
  public String label() {
    return this == DROP ? "drop" : "keep";
  }
}
