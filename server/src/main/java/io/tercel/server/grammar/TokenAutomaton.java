package io.tercel.server.grammar;

import io.tercel.server.grammar.MatchState.Frame;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;

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

  private static final int MAX_MASKS = 128;
  private static final int MAX_DERIVED = 32;
  private static final long MAX_WALK = 1_500_000;

  private final TokenTrie trie;
  private final byte[][] texts;
  private final int[] endTokens;
  private final PlainRoom plainRoom;
  private final MatchStates states;
  private final MatchState ended = new MatchState(new int[0], new Frame[0], new int[0], true, true);

  /** States that remember their masks: those of a walk, and those that took little to find. */
  private final Deque<MatchState> walked = new ArrayDeque<>();

  private final Deque<MatchState> derived = new ArrayDeque<>();

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
    this.trie = trie;
    this.texts = texts;
    this.endTokens = endTokens.stream().mapToInt(Integer::intValue).sorted().toArray();
    this.states = new MatchStates(grammar, trie.singleBytes());
    this.plainRoom = new PlainRoom(grammar, states.safeNodes());
    if (!states.isWritable()) {
      throw new GrammarException(
          path, "needs characters that the model's vocabulary doesn't have one by one");
    }
    if (this.endTokens.length == 0) {
      throw new GrammarException(path, "needs a model with an end token");
    }
  }

  /** The empty text. */
  public Position start() {
    return new Position(states.start());
  }

  /** A place of one text; not shared between texts. */
  public final class Position {
    private MatchState state;

    private Position(MatchState state) {
      this.state = state;
    }

    /** Another place of the same text. */
    public Position copy() {
      return new Position(state);
    }

    /** Takes the next token; after one that was not allowed nothing is. */
    public void accept(int token) {
      if (isEndToken(token)) {
        state = state.mayEnd() ? ended : states.dead();
        return;
      }
      MatchState s = state;
      byte[] text = token >= 0 && token < texts.length ? texts[token] : new byte[0];
      s = text.length == 0 ? states.dead() : s;
      for (byte b : text) {
        s = states.step(s, b & 0xff);
      }
      state = s.viable() ? s : states.dead();
    }

    /** Whether some token was not allowed. */
    public boolean isDead() {
      return state == states.dead();
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
    if (states.areTooMany()) {
      states.forget();
      for (Deque<MatchState> masked : List.of(walked, derived)) {
        masked.forEach(s -> s.mask(null));
        masked.clear();
      }
    }
    int room = states.room(state);
    boolean isFree = room == Integer.MAX_VALUE || state.size() > MAX_PLACES / 8;
    TokenTrie.Longer longer = isFree ? null : trie.longer(room);
    long[] words = longer == null ? walk(state) : derive(state, longer);
    Deque<MatchState> masked = longer == null ? walked : derived;
    if (masked.size() >= (longer == null ? MAX_MASKS : MAX_DERIVED)) {
      masked.removeFirst().mask(null);
    }
    state.mask(words);
    masked.add(state);
    return words;
  }

  /** Far from a string's bounds only the longest tokens come to them. */
  private long[] derive(MatchState state, TokenTrie.Longer longer) {
    long[] words = mask(states.withoutBounds(state)).clone();
    long[] others = longer.bits();
    for (int i = 0; i < others.length; i++) {
      words[i] &= ~others[i];
    }
    walk(longer.walk(), state, words);
    return words;
  }

  private long[] walk(MatchState state) {
    long[] words = new long[Math.max(trie.plain().length, lastEndToken() / 64 + 1)];
    if (state.mayEnd()) {
      for (int end : endTokens) {
        words[end >> 6] |= 1L << end;
      }
    }
    for (int b = 0; b < 256; b++) {
      if (trie.tokens(b).length > 0 && states.step(state, b).viable()) {
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
    return words;
  }

  private int lastEndToken() {
    return endTokens[endTokens.length - 1];
  }

  private boolean hasPlainRoom(MatchState state) {
    for (int i = 0; i < state.size(); i++) {
      Frame frame = state.frame(i);
      if ((frame == null || frame.safe())
          && states.isUnbounded(state, i)
          && plainRoom.has(state.node(i))) {
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
      MatchState state = states.step(before, walk.b(node));
      if (state == states.dead()) {
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
}
