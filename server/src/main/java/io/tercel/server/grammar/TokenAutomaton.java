package io.tercel.server.grammar;

import io.tercel.server.grammar.MatchState.Frame;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A grammar before a vocabulary: which tokens may come next, as a text grows token by token.
 *
 * <p>A text never gets stuck. A token is allowed only if the text can be brought to its end from
 * behind it with the tokens of single bytes that the vocabulary has, so there always is a next one,
 * or an end token.
 *
 * <p><b>Time.</b> Each place remembers where a byte has led and which tokens it allows, so a mask
 * costs nothing the second time. Both memories are bounded. A mask is a function of the place
 * alone: what is remembered changes no result. If a walk over the vocabulary grows too long it is
 * cut short, in a fixed order, single bytes first: some tokens are missing then, none is wrong.
 *
 * <p>May be made by any thread, and then be used by one at a time: the engine's.
 */
public final class TokenAutomaton {
  /** Readings of a text that are followed side by side; further ones are given up. */
  static final int MAX_PLACES = 64;

  private static final int MAX_STATES = 4096;
  private static final int MAX_MASKS = 128;
  private static final long MAX_WALK = 1_500_000;

  private final Grammar grammar;
  private final TokenTrie trie;
  private final byte[][] texts;
  private final int[] endTokens;
  private final BitSet safeNodes;
  private final PlainRoom plainRoom;
  private final MatchState dead = new MatchState(new int[0], new Frame[0], false, false);
  private final MatchState ended = new MatchState(new int[0], new Frame[0], true, true);
  private final Map<MatchState, MatchState> states = new HashMap<>();
  private final Map<Frame, Frame> frames = new HashMap<>();
  private final List<MatchState> masked = new ArrayList<>();
  private final Places places = new Places();

  /**
   * Joins the two.
   *
   * @param texts bytes of each token, as the trie has them
   * @param endTokens allowed exactly where the text may end
   * @param path of the form, for the refusal
   * @throws GrammarException if the vocabulary can't write any of the grammar's texts
   */
  public TokenAutomaton(
      Grammar grammar, TokenTrie trie, byte[][] texts, Set<Integer> endTokens, String path) {
    this.grammar = grammar;
    this.trie = trie;
    this.texts = texts;
    this.endTokens = endTokens.stream().mapToInt(Integer::intValue).sorted().toArray();
    this.safeNodes = grammar.finishing(trie.singleBytes());
    this.plainRoom = new PlainRoom(grammar, safeNodes);
    if (!safeNodes.get(grammar.start())) {
      throw new GrammarException(
          path, "needs characters that the model's vocabulary doesn't have one by one");
    }
    if (this.endTokens.length == 0) {
      throw new GrammarException(path, "needs a model with an end token");
    }
  }

  /** The empty text. */
  public Position start() {
    places.clear();
    places.reach(grammar.start(), null);
    return new Position(places.state());
  }

  /** A place of one text; not shared between texts. */
  public final class Position {
    private MatchState state;

    private Position(MatchState state) {
      this.state = state;
    }

    /** Takes the next token; after one that was not allowed nothing is. */
    public void accept(int token) {
      if (isEndToken(token)) {
        state = state.mayEnd() ? ended : dead;
        return;
      }
      MatchState s = state;
      byte[] text = token >= 0 && token < texts.length ? texts[token] : new byte[0];
      s = text.length == 0 ? dead : s;
      for (byte b : text) {
        s = step(s, b & 0xff);
      }
      state = s.viable() ? s : dead;
    }

    /** Whether some token was not allowed. */
    public boolean isDead() {
      return state == dead;
    }

    /** Whether the text may end here. */
    public boolean mayEnd() {
      return state.mayEnd();
    }

    /**
     * The tokens that may come next, a bit each: bit {@code id % 64} of word {@code id / 64}. Not
     * to be changed.
     */
    public long[] allowed() {
      return mask(state);
    }
  }

  private boolean isEndToken(int token) {
    for (int end : endTokens) {
      if (end == token) {
        return true;
      }
    }
    return false;
  }

  private long[] mask(MatchState state) {
    long[] known = state.mask();
    if (known != null) {
      return known;
    }
    if (states.size() > MAX_STATES) {
      states.clear();
      frames.clear();
      masked.forEach(s -> s.mask(null));
      masked.clear();
    } else if (masked.size() >= MAX_MASKS) {
      masked.removeFirst().mask(null);
    }
    long[] words = new long[Math.max(trie.plain().length, lastEndToken() / 64 + 1)];
    if (state.mayEnd()) {
      for (int end : endTokens) {
        words[end >> 6] |= 1L << end;
      }
    }
    for (int b = 0; b < 256; b++) {
      if (trie.tokens(b).length > 0 && step(state, b).viable()) {
        for (int id : trie.tokens(b)) {
          words[id >> 6] |= 1L << id;
        }
      }
    }
    if (hasPlainRoom(state)) {
      long[] plain = trie.plain();
      for (int i = 0; i < plain.length; i++) {
        words[i] |= plain[i];
      }
      walk(trie.withoutPlain(), state, words);
    } else {
      walk(trie.all(), state, words);
    }
    state.mask(words);
    masked.add(state);
    return words;
  }

  private int lastEndToken() {
    return endTokens[endTokens.length - 1];
  }

  private boolean hasPlainRoom(MatchState state) {
    for (int i = 0; i < state.size(); i++) {
      Frame frame = state.frame(i);
      if ((frame == null || frame.safe()) && plainRoom.has(state.node(i))) {
        return true;
      }
    }
    return false;
  }

  private void walk(TokenTrie.Walk walk, MatchState from, long[] words) {
    MatchState[] path = new MatchState[Short.MAX_VALUE + 1];
    path[0] = from;
    long cost = 0;
    for (int node = 0; node < walk.numNodes() && cost < MAX_WALK; ) {
      int depth = walk.depth(node);
      MatchState before = path[depth];
      cost += 4L * before.size() - 3; // one place costs little more than the walk itself
      MatchState state = step(before, walk.b(node));
      if (state == dead) {
        node = walk.end(node);
        continue;
      }
      if (state.viable()) {
        for (int t = walk.firstTokens()[node]; t < walk.firstTokens()[node + 1]; t++) {
          int id = walk.tokens()[t];
          words[id >> 6] |= 1L << id;
        }
      }
      path[depth + 1] = state;
      node++;
    }
  }

  private MatchState step(MatchState state, int b) {
    MatchState known = state.next(b);
    if (known != null) {
      return known;
    }
    places.clear();
    for (int i = 0; i < state.size(); i++) {
      int next = grammar.node(state.node(i)).next(b);
      if (next >= 0) {
        places.reach(next, state.frame(i));
      }
    }
    MatchState next = places.state();
    if (states.size() <= MAX_STATES) {
      state.next(b, next);
    }
    return next;
  }

  /** Gathers the places that are reached together. */
  private final class Places {
    private final int[] nodes = new int[MAX_PLACES];
    private final @Nullable Frame[] itsFrames = new Frame[MAX_PLACES];
    private final boolean[] safe = new boolean[MAX_PLACES];
    private int count;
    private int visits;
    private boolean mayEnd;

    void clear() {
      count = 0;
      visits = 0;
      mayEnd = false;
    }

    /** Enters a node, the starts of the rules that it calls, and what follows where it ends. */
    void reach(int node, @Nullable Frame frame) {
      if (!grammar.live().get(node) || visits++ > 16 * MAX_PLACES) {
        return;
      }
      GrammarNode n = grammar.node(node);
      if (n.numByteEdges() > 0 && !add(node, frame)) {
        return;
      }
      for (int c = 0; c < n.numCalls(); c++) {
        int returnsTo = n.returnsTo(c);
        if (grammar.live().get(returnsTo)) {
          boolean last = grammar.node(returnsTo).isEnd();
          reach(grammar.start(n.rule(c)), last ? frame : frame(returnsTo, frame));
        }
      }
      if (n.accepts()) {
        if (frame == null) {
          mayEnd = true;
        } else {
          reach(frame.returnsTo(), frame.caller());
        }
      }
    }

    /** Whether the place is a new one. */
    @SuppressWarnings("ReferenceEquality") // frames are shared
    private boolean add(int node, @Nullable Frame frame) {
      for (int i = 0; i < count; i++) {
        if (nodes[i] == node && itsFrames[i] == frame) {
          return false;
        }
      }
      boolean isSafe = safeNodes.get(node) && (frame == null || frame.safe());
      int at = count;
      if (count == MAX_PLACES) { // the ones that lead to an end must not be crowded out
        at = isSafe ? lastUnsafe() : -1;
      } else {
        count++;
      }
      if (at >= 0) {
        nodes[at] = node;
        itsFrames[at] = frame;
        safe[at] = isSafe;
      }
      return true;
    }

    private int lastUnsafe() {
      int at = MAX_PLACES - 1;
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
      if (count == 0 && !mayEnd) {
        return dead;
      }
      boolean viable = mayEnd;
      for (int i = 0; i < count; i++) {
        viable |= safe[i];
      }
      MatchState state =
          new MatchState(
              Arrays.copyOf(nodes, count), Arrays.copyOf(itsFrames, count), mayEnd, viable);
      if (states.size() > MAX_STATES) {
        return states.getOrDefault(state, state);
      }
      MatchState known = states.putIfAbsent(state, state);
      return known == null ? state : known;
    }
  }
}
