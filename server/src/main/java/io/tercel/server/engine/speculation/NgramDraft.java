package io.tercel.server.engine.speculation;

import java.util.Arrays;

/**
 * What followed when the sequence's last tokens were there before: prompt lookup (Saxena, 2023). Of
 * the {@value #CANDIDATES} latest places that end alike, the one with the longest common suffix is
 * continued; of equals the latest.
 *
 * <p>The index is that of LZ77 compressors: heads of chains by a hash of the last two tokens, and
 * for each place the one before it in its chain. A token costs one insertion and a lookup at most
 * {@value #CANDIDATES} comparisons of at most {@value #LONGEST} tokens, whatever the length of the
 * text. It takes 8 to 12 bytes a token.
 */
final class NgramDraft implements Drafter {
  /** Tokens of the shortest match. */
  static final int SHORTEST = 2;

  /** Tokens beyond which one match is as good as another. */
  static final int LONGEST = 32;

  static final int CANDIDATES = 16;

  /** Places looked at, those that are there by their hash alone included. */
  private static final int HOPS = 4 * CANDIDATES;

  private int[] heads = new int[256]; // 1 + the place behind the pair, by its hash; 0: none
  private int[] before = new int[256]; // likewise, by place
  private int indexed;

  @Override
  public void draft(int[] tokens, int length, int most, double least, Draft into) {
    if (length < SHORTEST + 1) {
      return;
    }
    index(tokens, length - 1); // all that something follows
    int bestLength = SHORTEST - 1;
    int from = 0;
    int place = heads[hash(tokens, length)] - 1;
    int seen = 0;
    for (int i = 0; i < HOPS && seen < CANDIDATES && place > 0 && bestLength < LONGEST; i++) {
      int common = common(tokens, place, length);
      seen += common >= SHORTEST ? 1 : 0; // others have the same hash
      if (common > bestLength) {
        bestLength = common;
        from = place;
      }
      place = before[place] - 1;
    }
    for (int i = 0; i < most && from > 0; i++) {
      // a match that overlaps its continuation goes on periodically
      int at = from + i;
      int token = at < length ? tokens[at] : into.token(at - length);
      into.add(token, Kind.own(bestLength + i));
    }
  }

  private void index(int[] tokens, int end) {
    if (end >= before.length) {
      grow(tokens, end);
    }
    for (int place = Math.max(indexed + 1, SHORTEST); place <= end; place++) {
      insert(tokens, place);
    }
    indexed = Math.max(indexed, end);
  }

  private void insert(int[] tokens, int place) {
    int hash = hash(tokens, place);
    before[place] = heads[hash];
    heads[hash] = place + 1;
  }

  private void grow(int[] tokens, int end) {
    int size = Integer.highestOneBit(end) * 2;
    before = Arrays.copyOf(before, size);
    heads = new int[size];
    for (int place = SHORTEST; place <= indexed; place++) {
      insert(tokens, place);
    }
  }

  /** Of the tokens before two places, how many are alike. */
  private static int common(int[] tokens, int a, int b) {
    int n = 0;
    while (n < LONGEST && n < a && tokens[a - 1 - n] == tokens[b - 1 - n]) {
      n++;
    }
    return n;
  }

  private int hash(int[] tokens, int end) {
    int h = (tokens[end - 1] * 0x9E3779B9 ^ tokens[end - 2]) * 0x85EBCA6B;
    return (h ^ h >>> 15) & (heads.length - 1);
  }
}
