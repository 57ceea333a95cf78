package io.tercel.trainer.ptq.flatquant;

import java.util.List;

/** Some sequences' states, one behind the other, each padded to the longest. */
final class SequenceBatch {
  private final List<Integer> members;
  private final float[][] states;
  private final int hidden;
  private final int length;

  /**
   * @param members which sequences
   * @param states of all sequences, [tokens, hidden] each
   */
  SequenceBatch(List<Integer> members, float[][] states, int hidden) {
    this.members = members;
    this.states = states;
    this.hidden = hidden;
    int longest = 0;
    for (int member : members) {
      longest = Math.max(longest, states[member].length / hidden);
    }
    this.length = longest;
  }

  int sequences() {
    return members.size();
  }

  /** Tokens of the longest. */
  int length() {
    return length;
  }

  int rows() {
    return Math.multiplyExact(members.size(), length);
  }

  /** These sequences' rows of some states, [rows, hidden], zero where padded. */
  float[] gather(float[][] from) {
    float[] values = new float[Math.multiplyExact(rows(), hidden)];
    for (int b = 0; b < members.size(); b++) {
      float[] sequence = from[members.get(b)];
      System.arraycopy(sequence, 0, values, b * length * hidden, sequence.length);
    }
    return values;
  }

  /** The rows put back to where they belong. */
  void scatter(float[] values, float[][] to) {
    for (int b = 0; b < members.size(); b++) {
      float[] sequence = new float[states[members.get(b)].length];
      System.arraycopy(values, b * length * hidden, sequence, 0, sequence.length);
      to[members.get(b)] = sequence;
    }
  }

  /** 1 for a row, 0 where padded, [rows]. */
  float[] mask() {
    float[] mask = new float[rows()];
    for (int b = 0; b < members.size(); b++) {
      java.util.Arrays.fill(
          mask, b * length, b * length + states[members.get(b)].length / hidden, 1);
    }
    return mask;
  }
}
