package io.tercel.server.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A vocabulary's tokens by their bytes: what an automaton is walked along to see which tokens it
 * takes. Immutable; one a vocabulary.
 *
 * <p>Most tokens are plain: short runs of whole characters that stand for themselves in a JSON
 * string. Wherever any such characters are fine they all are, so that walk skips them.
 */
public final class TokenTrie {
  /** Plain tokens of more characters are walked like all others. */
  static final int PLAIN_CHARS = 16;

  private final int numTokens;
  private final BitSet singleBytes = new BitSet(256);
  private final int[][] tokensOfByte = new int[256][];
  private final long[] plain;
  private final Walk all;
  private final Walk withoutPlain;
  private final List<Longer> longer = new ArrayList<>();

  /** Lengths of which the longer tokens have walks of their own. */
  private static final int[] LENGTHS = {32, 16, 8};

  /**
   * The tokens of more than so many characters, those that they begin within counted.
   *
   * @param bits of the tokens
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Longer(int chars, Walk walk, long[] bits) {}

  /** A trie in preorder: behind each node come its descendants. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Walk(byte[] bytes, short[] depths, int[] ends, int[] firstTokens, int[] tokens) {
    int numNodes() {
      return bytes.length;
    }

    /** The first node that is no descendant. */
    int end(int node) {
      return ends[node];
    }

    int b(int node) {
      return bytes[node] & 0xff;
    }

    int depth(int node) {
      return depths[node];
    }
  }

  /**
   * @param numTokens one more than the highest id
   * @param bytes of an id; empty for ids that may never stand in a form, such as special tokens
   */
  public TokenTrie(int numTokens, IntFunction<byte[]> bytes) {
    this.numTokens = numTokens;
    byte[][] texts = new byte[numTokens][];
    List<Integer> every = new ArrayList<>();
    for (int id = 0; id < numTokens; id++) {
      texts[id] = bytes.apply(id);
      // a token of so many bytes would be a mistake of the vocabulary
      if (texts[id].length > 0 && texts[id].length < Short.MAX_VALUE) {
        every.add(id);
      }
    }
    every.sort((a, b) -> Arrays.compareUnsigned(texts[a], texts[b]));
    this.plain = new long[(numTokens + 63) / 64];
    List<Integer> others = new ArrayList<>();
    Arrays.fill(tokensOfByte, new int[0]);
    for (int id : every) {
      if (texts[id].length == 1) {
        int b = texts[id][0] & 0xff;
        singleBytes.set(b);
        tokensOfByte[b] = Arrays.copyOf(tokensOfByte[b], tokensOfByte[b].length + 1);
        tokensOfByte[b][tokensOfByte[b].length - 1] = id;
      }
      int chars = Utf8.plainChars(texts[id]);
      if (chars > 0 && chars <= PLAIN_CHARS) {
        plain[id >> 6] |= 1L << id;
      } else {
        others.add(id);
      }
    }
    this.all = walk(every, texts);
    this.withoutPlain = walk(others, texts);
    for (int chars : LENGTHS) {
      List<Integer> some = every.stream().filter(id -> begun(texts[id]) > chars).toList();
      long[] bits = new long[plain.length];
      some.forEach(id -> bits[id >> 6] |= 1L << id);
      longer.add(new Longer(chars, walk(some, texts), bits));
    }
  }

  /** How many characters begin in these bytes. */
  private static int begun(byte[] text) {
    int count = 0;
    for (byte b : text) {
      count += (b & 0xC0) == 0x80 ? 0 : 1;
    }
    return count;
  }

  private static Walk walk(List<Integer> sorted, byte[][] texts) {
    int most = 0;
    int longest = 0;
    for (int id : sorted) {
      most += texts[id].length;
      longest = Math.max(longest, texts[id].length);
    }
    byte[] bytes = new byte[most];
    short[] depths = new short[most];
    int[] ends = new int[most];
    int[] firstTokens = new int[most + 1];
    int[] tokens = new int[sorted.size()];
    int[] path = new int[longest];
    int nodes = 0;
    int count = 0;
    byte[] before = {};
    for (int id : sorted) {
      byte[] text = texts[id];
      int shared = Arrays.mismatch(before, text);
      shared = shared < 0 ? text.length : shared;
      for (int d = shared; d < before.length; d++) {
        ends[path[d]] = nodes;
      }
      for (int d = shared; d < text.length; d++) {
        bytes[nodes] = text[d];
        depths[nodes] = (short) d;
        firstTokens[nodes] = count;
        path[d] = nodes++;
      }
      tokens[count++] = id;
      before = text;
    }
    for (int d = 0; d < before.length; d++) {
      ends[path[d]] = nodes;
    }
    firstTokens[nodes] = count;
    // a node's tokens lie between its own first one and the next node's
    return new Walk(
        Arrays.copyOf(bytes, nodes),
        Arrays.copyOf(depths, nodes),
        Arrays.copyOf(ends, nodes),
        Arrays.copyOf(firstTokens, nodes + 1),
        tokens);
  }

  /** One more than the highest id. */
  public int numTokens() {
    return numTokens;
  }

  /** Bytes that are tokens by themselves. */
  BitSet singleBytes() {
    return singleBytes;
  }

  /** The tokens that are just this byte. */
  int[] tokens(int b) {
    return tokensOfByte[b];
  }

  /** The plain tokens' bits; not a copy. */
  long[] plain() {
    return plain;
  }

  Walk all() {
    return all;
  }

  /** The tokens that may be too long where so many characters have room; null if most are. */
  @Nullable Longer longer(int room) {
    for (Longer tokens : longer) {
      if (tokens.chars() <= room) {
        return tokens;
      }
    }
    return null;
  }

  Walk withoutPlain() {
    return withoutPlain;
  }
}
