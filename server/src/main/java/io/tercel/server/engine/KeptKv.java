package io.tercel.server.engine;

import java.util.ArrayList;
import java.util.List;

/**
 * How old a sequence's keys and values are, and what of those that it was to keep at new weights
 * ({@link StaleKv#KEEP}) was lost after all. Owned by the engine thread.
 */
final class KeptKv {
  private final List<EngineEvent.BrokenKv> broken = new ArrayList<>();
  private boolean mixesWeights;
  private int most; // tokens computed, ever
  private int numKept; // of those computed, by older weights
  private int numLost; // of those, when it was set back
  private boolean lost; // what was computed, and is not back yet
  private int mostThen; // tokens computed until it was set back
  private long lostVersion; // of the weights at that time

  /** So many tokens are computed by now. */
  void computed(int tokens) {
    most = Math.max(most, tokens);
  }

  /** The keys of so many tokens are gone; they are to be computed again. */
  void lose(int tokens, long weightVersion) {
    lost |= tokens > 0;
    numLost = mixesWeights ? numKept : 0;
    mostThen = most; // when it is back it may find more than it ever had
    lostVersion = weightVersion;
    mixesWeights = false;
  }

  /** Whether keys of more than one weight version may be among them: nobody may share them. */
  boolean mixesWeights() {
    return mixesWeights;
  }

  /**
   * The keys of so many tokens become older weights'. If it was catching up after having been set
   * back, the rest of what it had computed then is newer weights' now, which is noted.
   *
   * @param generated tokens that the sequence has said
   * @return how many tokens' older keys were lost
   */
  int mixWeights(int tokens, long weightVersion, int generated) {
    mixesWeights = true;
    numKept = tokens;
    return note(most - tokens, weightVersion, generated);
  }

  /**
   * The sequence comes back to a step. If keys that it was to keep were lost meanwhile and newer
   * weights make them again, that is noted: those that were old already when it was set back, or
   * all, if new weights have come since.
   *
   * @return how many tokens' older keys were lost
   */
  int comeBack(long weightVersion, int generated) {
    if (!lost) {
      return 0;
    }
    lost = false;
    return note(weightVersion > lostVersion ? mostThen : numLost, weightVersion, generated);
  }

  private int note(int tokens, long weightVersion, int generated) {
    if (tokens > 0) {
      broken.add(new EngineEvent.BrokenKv(tokens, weightVersion, generated));
    }
    return tokens;
  }

  /** Each time that kept keys were lost. */
  List<EngineEvent.BrokenKv> broken() {
    return broken;
  }
}
