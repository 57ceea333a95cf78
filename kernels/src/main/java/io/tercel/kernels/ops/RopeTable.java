package io.tercel.kernels.ops;

/**
 * Cosines and sines of the rotary embedding for the rows of one step: [rows][headDim / 2]. Angles
 * are computed in double precision with StrictMath (an intrinsic sine differs from the
 * interpreter's), once a step for all layers.
 */
public final class RopeTable {
  private final int half;
  private final double[] inverseFrequency;
  private float[] cos = new float[0];
  private float[] sin = new float[0];

  public RopeTable(int headDim, double theta) {
    this.half = headDim / 2;
    this.inverseFrequency = new double[half];
    for (int i = 0; i < half; i++) {
      inverseFrequency[i] = StrictMath.pow(theta, -2.0 * i / headDim);
    }
  }

  /** Fills the rows of a batch. */
  public void fill(StepBatch batch) {
    int n = batch.numTokens();
    if (cos.length < n * half) {
      cos = new float[n * half];
      sin = new float[n * half];
    }
    for (int row = 0; row < n; row++) {
      fillRow(row, batch.position(row));
    }
  }

  private void fillRow(int row, int position) {
    for (int i = 0; i < half; i++) {
      double angle = position * inverseFrequency[i];
      cos[row * half + i] = (float) StrictMath.cos(angle);
      sin[row * half + i] = (float) StrictMath.sin(angle);
    }
  }

  /** [rows][headDim / 2]. */
  public float[] cos() {
    return cos;
  }

  /** [rows][headDim / 2]. */
  public float[] sin() {
    return sin;
  }

  /**
   * Rotates one head in place, half split: pairs are (x[i], x[i + headDim / 2]).
   *
   * @param at first element of the head
   * @param row row of the table
   */
  public void rotate(float[] x, int at, int row) {
    int t = row * half;
    for (int i = 0; i < half; i++) {
      float c = cos[t + i];
      float s = sin[t + i];
      float lo = x[at + i];
      float hi = x[at + half + i];
      x[at + i] = lo * c - hi * s;
      x[at + half + i] = hi * c + lo * s;
    }
  }
}
