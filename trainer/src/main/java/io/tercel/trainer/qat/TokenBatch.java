package io.tercel.trainer.qat;

import java.util.List;

/**
 * Sequences packed one behind the other, N tokens in all without padding, and the rows of them that
 * predict something: row r is what follows token r.
 */
public final class TokenBatch {
  private final int[] lengths;
  private final int longest;
  private final int[] ids;
  private final int[] rows;
  private final int[] targets;
  private final float[] weights;

  private TokenBatch(int[] lengths, int longest, int tokens, int count) {
    this.lengths = lengths;
    this.longest = longest;
    this.ids = new int[tokens];
    this.rows = new int[count];
    this.targets = new int[count];
    this.weights = new float[count];
  }

  /**
   * A sequence and how much each of its tokens counts as a target; the first never does.
   *
   * @param tokens not to be changed
   * @param weights as many as tokens; 0 is not asked at all
   */
  @SuppressWarnings("ArrayRecordComponent") // a pair of views; never compared
  public record Example(int[] tokens, float[] weights) {
    public Example {
      if (tokens.length != weights.length || tokens.length < 2) {
        throw new IllegalArgumentException(
            tokens.length + " tokens with " + weights.length + " weights");
      }
    }

    /** What its targets count together. */
    public double totalWeight() {
      double sum = 0;
      for (int t = 1; t < weights.length; t++) {
        sum += weights[t];
      }
      return sum;
    }
  }

  public static TokenBatch of(List<Example> examples) {
    int[] lengths = new int[examples.size()];
    int longest = 0;
    int tokens = 0;
    int count = 0;
    for (int b = 0; b < lengths.length; b++) {
      Example example = examples.get(b);
      lengths[b] = example.tokens.length;
      longest = Math.max(longest, lengths[b]);
      tokens = Math.addExact(tokens, lengths[b]);
      for (int t = 1; t < lengths[b]; t++) {
        count += example.weights[t] != 0 ? 1 : 0;
      }
    }
    TokenBatch batch = new TokenBatch(lengths, longest, tokens, count);
    int at = 0;
    int row = 0;
    for (Example example : examples) {
      for (int t = 0; t < example.tokens.length; t++) {
        batch.ids[at] = example.tokens[t];
        if (t > 0 && example.weights[t] != 0) {
          batch.rows[row] = at - 1;
          batch.targets[row] = example.tokens[t];
          batch.weights[row++] = example.weights[t];
        }
        at++;
      }
    }
    return batch;
  }

  public int sequences() {
    return lengths.length;
  }

  /** Tokens of each sequence; a view. */
  public int[] lengths() {
    return lengths;
  }

  /** Tokens of the longest. */
  public int longest() {
    return longest;
  }

  /** N: tokens in all. */
  public int tokens() {
    return ids.length;
  }

  /** [N]; a view. */
  public int[] ids() {
    return ids;
  }

  /** Rows that predict something, ascending; a view. */
  public int[] rows() {
    return rows;
  }

  /** Of each of {@link #rows} the sequence it belongs to. */
  public int[] sequencesOfRows() {
    int[] of = new int[rows.length];
    int sequence = 0;
    int end = lengths[0];
    for (int i = 0; i < rows.length; i++) {
      while (rows[i] >= end) {
        end += lengths[++sequence];
      }
      of[i] = sequence;
    }
    return of;
  }

  /** What follows each of {@link #rows}; a view. */
  public int[] targets() {
    return targets;
  }

  /** How much each of {@link #rows} counts; a view. */
  public float[] weights() {
    return weights;
  }

  public double totalWeight() {
    double sum = 0;
    for (float weight : weights) {
      sum += weight;
    }
    return sum;
  }
}
