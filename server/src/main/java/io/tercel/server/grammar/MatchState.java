package io.tercel.server.grammar;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where in a grammar a text may be: one or more places, each a node and the frames of the rules
 * that called its own. Made and used by one {@link TokenAutomaton}; equal places are, mostly, one
 * object.
 */
final class MatchState {
  /** A rule that is being read: where it goes on, and in whose rule. */
  static final class Frame {
    private final int returnsTo;
    private final @Nullable Frame caller;
    private final boolean safe;

    Frame(int returnsTo, @Nullable Frame caller, boolean safe) {
      this.returnsTo = returnsTo;
      this.caller = caller;
      this.safe = safe;
    }

    int returnsTo() {
      return returnsTo;
    }

    @Nullable Frame caller() {
      return caller;
    }

    /** Whether all that is still to come can be written with tokens of single bytes. */
    boolean safe() {
      return safe;
    }

    @Override
    public int hashCode() {
      return 31 * returnsTo + System.identityHashCode(caller);
    }

    /** Frames are shared, so callers are the same if they are one object. */
    @Override
    @SuppressWarnings("ReferenceEquality")
    public boolean equals(@Nullable Object other) {
      return other instanceof Frame f && f.returnsTo == returnsTo && f.caller == caller;
    }
  }

  private final int[] nodes;
  private final @Nullable Frame[] frames;
  private final int[] counts;
  private final boolean mayEnd;
  private final boolean viable;
  private final int hash;
  private @Nullable MatchState @Nullable [] next;
  private long @Nullable [] mask;

  /**
   * @param nodes places, the likeliest reading first
   * @param frames of the same places; null in the root's rule
   * @param counts characters that their rules have read, where those are counted; else 0
   * @param mayEnd whether the text may end here
   * @param viable whether it can be brought to its end from here, token by token
   */
  MatchState(int[] nodes, @Nullable Frame[] frames, int[] counts, boolean mayEnd, boolean viable) {
    this.nodes = nodes;
    this.frames = frames;
    this.counts = counts;
    this.mayEnd = mayEnd;
    this.viable = viable;
    int h = 31 * Arrays.hashCode(nodes) + Arrays.hashCode(counts);
    for (Frame frame : frames) {
      h = 31 * h + System.identityHashCode(frame);
    }
    this.hash = mayEnd ? ~h : h;
  }

  int size() {
    return nodes.length;
  }

  int node(int i) {
    return nodes[i];
  }

  @Nullable Frame frame(int i) {
    return frames[i];
  }

  int count(int i) {
    return counts[i];
  }

  boolean mayEnd() {
    return mayEnd;
  }

  boolean viable() {
    return viable;
  }

  /** Where a byte leads, if that was looked up before. */
  @Nullable MatchState next(int b) {
    return next == null ? null : next[b];
  }

  void next(int b, MatchState state) {
    @Nullable MatchState[] all = next;
    if (all == null) {
      all = new MatchState[256];
      next = all;
    }
    all[b] = state;
  }

  long @Nullable [] mask() {
    return mask;
  }

  void mask(long @Nullable [] words) {
    mask = words;
  }

  @Override
  public int hashCode() {
    return hash;
  }

  @Override
  @SuppressWarnings("ReferenceEquality")
  public boolean equals(@Nullable Object other) {
    if (!(other instanceof MatchState s)
        || s.hash != hash
        || s.mayEnd != mayEnd
        || !Arrays.equals(s.nodes, nodes)
        || !Arrays.equals(s.counts, counts)) {
      return false;
    }
    for (int i = 0; i < frames.length; i++) {
      if (frames[i] != s.frames[i]) {
        return false;
      }
    }
    return true;
  }
}
