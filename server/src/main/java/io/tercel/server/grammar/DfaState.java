package io.tercel.server.grammar;

import java.util.Arrays;

/**
 * A state of a {@link CharDfa}.
 *
 * @param firsts the first characters of its ranges, rising from 0
 * @param targets the state that each range leads to
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record DfaState(int[] firsts, int[] targets, boolean accepts) {
  int next(int c) {
    int at = Arrays.binarySearch(firsts, c);
    return targets[at >= 0 ? at : -at - 2];
  }

  /** Joins ranges that lead to the same state. */
  static final class Builder {
    private int[] firsts = new int[4];
    private int[] targets = new int[4];
    private int size;

    /** From this character on, up to the next one that is named. */
    Builder range(int first, int target) {
      if (first > CharSet.LAST) {
        return this;
      }
      if (size > 0 && firsts[size - 1] == first) {
        size--; // the range before was empty
      }
      if (size > 0 && targets[size - 1] == target) {
        return this;
      }
      if (size == firsts.length) {
        firsts = Arrays.copyOf(firsts, 2 * size);
        targets = Arrays.copyOf(targets, 2 * size);
      }
      firsts[size] = first;
      targets[size++] = target;
      return this;
    }

    DfaState build(boolean accepts) {
      return new DfaState(Arrays.copyOf(firsts, size), Arrays.copyOf(targets, size), accepts);
    }
  }
}
