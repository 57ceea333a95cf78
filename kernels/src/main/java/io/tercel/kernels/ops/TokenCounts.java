package io.tercel.kernels.ops;

import java.util.Arrays;

/** How often each token id occurred: an open-addressed int map that only ever grows. */
public final class TokenCounts {
  private int[] keys = new int[64];
  private int[] counts = new int[64];
  private int size;

  /** Called with each distinct id and its count, in no particular order. */
  @FunctionalInterface
  public interface Visitor {
    void accept(int id, int count);
  }

  /** The same counts, which go their own way from now on. */
  public TokenCounts copy() {
    TokenCounts copy = new TokenCounts();
    copy.keys = keys.clone();
    copy.counts = counts.clone();
    copy.size = size;
    return copy;
  }

  public void add(int id) {
    int slot = slot(keys, counts, id);
    if (counts[slot] == 0) {
      keys[slot] = id;
      size++;
    }
    counts[slot]++;
    if (2 * size > keys.length) {
      grow();
    }
  }

  public int count(int id) {
    return counts[slot(keys, counts, id)];
  }

  public void forEach(Visitor visitor) {
    for (int i = 0; i < keys.length; i++) {
      if (counts[i] > 0) {
        visitor.accept(keys[i], counts[i]);
      }
    }
  }

  public void clear() {
    Arrays.fill(counts, 0);
    size = 0;
  }

  private void grow() {
    int[] newKeys = new int[2 * keys.length];
    int[] newCounts = new int[2 * keys.length];
    for (int i = 0; i < keys.length; i++) {
      if (counts[i] > 0) {
        int slot = slot(newKeys, newCounts, keys[i]);
        newKeys[slot] = keys[i];
        newCounts[slot] = counts[i];
      }
    }
    keys = newKeys;
    counts = newCounts;
  }

  /** The slot of the id, or the empty one where it would go; an empty slot has count 0. */
  private static int slot(int[] keys, int[] counts, int id) {
    int mask = keys.length - 1;
    int slot = (id * 0x9E3779B9 >>> 7) & mask;
    while (counts[slot] != 0 && keys[slot] != id) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
