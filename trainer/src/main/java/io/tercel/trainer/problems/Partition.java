package io.tercel.trainer.problems;

import java.nio.charset.StandardCharsets;

/**
 * The two sets that no problem is in both of: a hash of a problem's canonical form, and nothing
 * else, says which. The wording, the seed and the order of drawing do not matter.
 */
public enum Partition {
  TRAINING,
  HELD_OUT;

  /** One canonical form in so many is held out. */
  public static final int HELD_OUT_ONE_IN = 10;

  /**
   * Whether a problem belongs to this set. A problem that is not held out itself but one of whose
   * steps is a held-out problem belongs to neither.
   */
  public boolean contains(Problem problem) {
    return switch (this) {
      case TRAINING -> problem.facts().stream().noneMatch(Partition::isHeldOut);
      case HELD_OUT -> !problem.facts().isEmpty() && isHeldOut(problem.facts().getFirst());
    };
  }

  static boolean isHeldOut(String fact) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : fact.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return Long.remainderUnsigned(Seeds.mix(hash), HELD_OUT_ONE_IN) == 0;
  }
}
