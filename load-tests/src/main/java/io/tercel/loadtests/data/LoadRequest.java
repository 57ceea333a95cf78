package io.tercel.loadtests.data;

/**
 * One request of a workload.
 *
 * @param index its place in the workload, from 0
 * @param maxTokens the longest answer, in tokens, thinking included; 0 leaves it to the server
 * @param seed of its sampling
 * @param tags what it is told apart by
 */
public record LoadRequest(long index, Prompt prompt, int maxTokens, long seed, Tags tags) {
  /**
   * What tells requests of one workload apart.
   *
   * @param serviceClass sent as {@code service_class}; empty for none
   * @param groupId sent as {@code group_id}, the same for all samples of one prompt; empty for none
   * @param turn of its session, from 1; 0 outside of one
   */
  public record Tags(String serviceClass, String groupId, int turn) {
    public static final Tags NONE = new Tags("", "", 0);

    /** A turn of a session. */
    public static Tags turn(int turn) {
      return new Tags("", "", turn);
    }
  }

  /** A request like any other. */
  public LoadRequest(long index, Prompt prompt, int maxTokens, long seed) {
    this(index, prompt, maxTokens, seed, Tags.NONE);
  }
}
