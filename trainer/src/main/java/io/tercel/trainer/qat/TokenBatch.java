package io.tercel.trainer.qat;

import java.util.List;

/**
 * Sequences padded to the longest, and the rows of them that predict something. Row b * length + t
 * is what follows token t of sequence b. Padding stands behind, where a causal model cannot see it.
 */
public final class TokenBatch {
  private final int sequences;
  private final int length;
  private final long[] ids;
  private final long[] rows;
  private final long[] targets;
  private final float[] weights;

  private TokenBatch(int sequences, int length, long[] ids, int count) {
    this.sequences = sequences;
    this.length = length;
    this.ids = ids;
    this.rows = new long[count];
    this.targets = new long[count];
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
  }

  public static TokenBatch of(List<Example> examples) {
    int length = 0;
    int count = 0;
    for (Example example : examples) {
      length = Math.max(length, example.tokens.length);
      for (int t = 1; t < example.tokens.length; t++) {
        count += example.weights[t] != 0 ? 1 : 0;
      }
    }
    long[] ids = new long[examples.size() * length];
    TokenBatch batch = new TokenBatch(examples.size(), length, ids, count);
    int row = 0;
    for (int b = 0; b < examples.size(); b++) {
      Example example = examples.get(b);
      for (int t = 0; t < example.tokens.length; t++) {
        ids[b * length + t] = example.tokens[t];
        if (t > 0 && example.weights[t] != 0) {
          batch.rows[row] = (long) b * length + t - 1;
          batch.targets[row] = example.tokens[t];
          batch.weights[row++] = example.weights[t];
        }
      }
    }
    return batch;
  }

  public int sequences() {
    return sequences;
  }

  /** Tokens of the longest. */
  public int length() {
    return length;
  }

  /** [sequences][length]; a view. */
  public long[] ids() {
    return ids;
  }

  /** Flat rows that predict something, ascending; a view. */
  public long[] rows() {
    return rows;
  }

  /** What follows each of {@link #rows}; a view. */
  public long[] targets() {
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
