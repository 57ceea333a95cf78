package io.tercel.server.grammar;

import io.tercel.server.grammar.MatchState.Frame;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The states of one grammar before one vocabulary: which of them a byte leads to. What was found is
 * remembered until it is too much.
 *
 * <p>The characters of a string with a length are counted beside the automaton: a place is a node
 * and a count. Far from both bounds a count changes nothing, so {@link #withoutBounds} has the
 * masks of all such places.
 */
final class MatchStates {
  private static final int MAX_STATES = 4096;

  /** Counts of places that never come to a bound: the least length is reached, or never is. */
  private static final int ABOVE_MIN = -1;

  private static final int BELOW_MIN = -2;

  private final Grammar grammar;
  private final BitSet safeNodes;
  private final CharDistance distance;
  private final CharDistance safeDistance;
  private final int mostDistance;
  private final MatchState dead =
      new MatchState(new int[0], new Frame[0], new int[0], false, false);
  private final Map<MatchState, MatchState> states = new HashMap<>();
  private final Map<Frame, Frame> frames = new HashMap<>();
  private final Places places = new Places();

  /**
   * @param bytes that the vocabulary has one by one
   */
  MatchStates(Grammar grammar, BitSet bytes) {
    this.grammar = grammar;
    this.safeNodes = grammar.finishing(bytes);
    BitSet every = new BitSet();
    every.set(0, 256);
    this.distance = new CharDistance(grammar, every);
    this.safeDistance = new CharDistance(grammar, bytes);
    this.mostDistance = safeDistance.most();
  }

  /** Whether a text can be brought to its end from anywhere by single bytes. */
  boolean isWritable() {
    boolean fit = safeDistance.leastLengthsAreReached();
    for (int rule = 0; rule < grammar.numRules(); rule++) {
      int start = grammar.start(rule);
      Grammar.Length length = grammar.length(start);
      fit &= length == null || !safeNodes.get(start) || safeDistance.of(start) <= length.max();
    }
    return fit && start().viable();
  }

  /** The nodes whose rules' ends can be reached by single bytes. */
  BitSet safeNodes() {
    return safeNodes;
  }

  MatchState dead() {
    return dead;
  }

  /** The empty text. */
  MatchState start() {
    places.clear();
    places.reach(grammar.start(), null, 0);
    return places.state();
  }

  /** Whether more is remembered than should be. */
  boolean areTooMany() {
    return states.size() > MAX_STATES;
  }

  /** Forgets all; states that are still in use stay good. */
  void forget() {
    states.clear();
    frames.clear();
  }

  /** Where a byte leads. */
  MatchState step(MatchState state, int b) {
    MatchState known = state.next(b);
    if (known != null) {
      return known;
    }
    places.clear();
    for (int i = 0; i < state.size(); i++) {
      int node = state.node(i);
      int next = grammar.node(node).next(b);
      if (next >= 0) {
        int count = state.count(i);
        boolean counts = count >= 0 && isCounted(node) && grammar.isBetweenCharacters(node);
        places.reach(next, state.frame(i), counts ? count + 1 : count);
      }
    }
    MatchState next = places.state();
    if (states.size() <= MAX_STATES) {
      state.next(b, next);
    }
    return next;
  }

  private boolean isCounted(int node) {
    return grammar.length(node) != null;
  }

  /** Whether no place of it is near a bound, or has one. */
  boolean isUnbounded(MatchState state, int i) {
    return !isCounted(state.node(i)) || state.count(i) < 0;
  }

  /**
   * How many characters may follow, whichever they are, before some bound changes what is allowed;
   * a large number if nothing is counted.
   */
  int room(MatchState state) {
    int room = Integer.MAX_VALUE;
    for (int i = 0; i < state.size(); i++) {
      Grammar.Length length = grammar.length(state.node(i));
      int count = state.count(i);
      if (length != null && count >= 0) {
        room = Math.min(room, length.max() - count - mostDistance);
        room = count < length.min() ? Math.min(room, length.min() - count) : room;
      }
    }
    return room;
  }

  /** The same places, none of which ever comes to a bound. */
  MatchState withoutBounds(MatchState state) {
    places.clear();
    places.mayEnd = state.mayEnd();
    for (int i = 0; i < state.size(); i++) {
      Grammar.Length length = grammar.length(state.node(i));
      int count = state.count(i);
      if (length != null && count >= 0) {
        count = count < length.min() ? BELOW_MIN : ABOVE_MIN;
      }
      places.add(state.node(i), state.frame(i), count);
    }
    return places.state();
  }

  /** Gathers the places that are reached together. */
  private final class Places {
    private final int[] nodes = new int[TokenAutomaton.MAX_PLACES];
    private final @Nullable Frame[] itsFrames = new Frame[TokenAutomaton.MAX_PLACES];
    private final int[] counts = new int[TokenAutomaton.MAX_PLACES];
    private final boolean[] safe = new boolean[TokenAutomaton.MAX_PLACES];
    private int size;
    private int visits;
    private boolean mayEnd;

    void clear() {
      size = 0;
      visits = 0;
      mayEnd = false;
    }

    /** Enters a node, the starts of the rules that it calls, and what follows where it ends. */
    void reach(int node, @Nullable Frame frame, int count) {
      if (!grammar.live().get(node) || visits++ > 16 * TokenAutomaton.MAX_PLACES) {
        return;
      }
      Grammar.Length length = grammar.length(node);
      if (length != null && !fits(node, count, distance)) {
        return;
      }
      GrammarNode n = grammar.node(node);
      if (n.numByteEdges() > 0 && !add(node, frame, count)) {
        return;
      }
      for (int c = 0; c < n.numCalls(); c++) {
        int returnsTo = n.returnsTo(c);
        if (grammar.live().get(returnsTo)) {
          boolean last = grammar.node(returnsTo).isEnd();
          reach(grammar.start(n.rule(c)), last ? frame : frame(returnsTo, frame), 0);
        }
      }
      boolean isShort =
          length != null && (count == BELOW_MIN || (count >= 0 && count < length.min()));
      if (n.accepts() && !isShort) {
        if (frame == null) {
          mayEnd = true;
        } else {
          reach(frame.returnsTo(), frame.caller(), 0);
        }
      }
    }

    /** Whether the rule can still end within its length. */
    private boolean fits(int node, int count, CharDistance left) {
      Grammar.Length length = grammar.length(node);
      int needed = left.of(node);
      return length == null
          || (count < 0 ? needed < CharDistance.NEVER : needed <= length.max() - count);
    }

    /** Whether the place is a new one. */
    @SuppressWarnings("ReferenceEquality") // frames are shared
    boolean add(int node, @Nullable Frame frame, int count) {
      for (int i = 0; i < size; i++) {
        if (nodes[i] == node && itsFrames[i] == frame && counts[i] == count) {
          return false;
        }
      }
      boolean isSafe =
          safeNodes.get(node) && (frame == null || frame.safe()) && fits(node, count, safeDistance);
      int at = size;
      if (size == nodes.length) { // the ones that lead to an end must not be crowded out
        at = isSafe ? lastUnsafe() : -1;
      } else {
        size++;
      }
      if (at >= 0) {
        nodes[at] = node;
        itsFrames[at] = frame;
        counts[at] = count;
        safe[at] = isSafe;
      }
      return true;
    }

    private int lastUnsafe() {
      int at = nodes.length - 1;
      while (at >= 0 && safe[at]) {
        at--;
      }
      return at;
    }

    private Frame frame(int returnsTo, @Nullable Frame caller) {
      boolean isSafe = safeNodes.get(returnsTo) && (caller == null || caller.safe());
      Frame frame = new Frame(returnsTo, caller, isSafe);
      Frame known = frames.putIfAbsent(frame, frame);
      return known == null ? frame : known;
    }

    MatchState state() {
      if (size == 0 && !mayEnd) {
        return dead;
      }
      boolean viable = mayEnd;
      for (int i = 0; i < size; i++) {
        viable |= safe[i];
      }
      MatchState state =
          new MatchState(
              Arrays.copyOf(nodes, size),
              Arrays.copyOf(itsFrames, size),
              Arrays.copyOf(counts, size),
              mayEnd,
              viable);
      if (states.size() > MAX_STATES) {
        return states.getOrDefault(state, state);
      }
      MatchState known = states.putIfAbsent(state, state);
      return known == null ? state : known;
    }
  }
}
