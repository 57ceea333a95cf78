package io.tercel.trainer.ptq;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.lang.foreign.Arena;

/** Some of the inputs that linears were shown, evenly spread, on which their error is measured. */
final class InputSample {
  private static final int ROWS = 512;

  private final int cols;
  private final Ops ops;
  private final float[] x;
  private final long every;
  private long seen;
  private int rows;

  /**
   * @param cols inputs of the linears
   * @param tokens that will be shown
   */
  InputSample(int cols, long tokens, Ops ops) {
    this.cols = cols;
    this.ops = ops;
    this.every = Math.max(1, Math.ceilDiv(tokens, ROWS));
    this.x = new float[(int) Math.min(tokens, ROWS) * cols];
  }

  /**
   * Takes what it needs of a batch.
   *
   * @param batch [tokens, cols]
   */
  void add(float[] batch, int tokens) {
    for (int t = 0; t < tokens; t++) {
      if (seen++ % every == 0 && rows < x.length / cols) {
        System.arraycopy(batch, t * cols, x, rows++ * cols, cols);
      }
    }
  }

  /** The same inputs, each times its factor. */
  InputSample times(float[] factors) {
    InputSample scaled = new InputSample(cols, x.length / cols, ops);
    scaled.rows = rows;
    for (int i = 0; i < rows * cols; i++) {
      scaled.x[i] = x[i] * factors[i % cols];
    }
    return scaled;
  }

  /** |(W^ - W) X| / |W X|. */
  double error(PackedMatrix before, QuantizedMatrix after) {
    float[] expected = multiply(before);
    try (Arena arena = Arena.ofShared()) {
      return relativeError(multiply(GptqTensors.blocks(before.name(), after, arena)), expected);
    }
  }

  /** [rows of the sample, outputs]. */
  float[] multiply(PackedMatrix weight) {
    float[] y = new float[rows * weight.rows()];
    Projection projection = Projection.of(new Linear(weight, null));
    PreparedInput input = new PreparedInput();
    ops.prepare(projection, x, rows, input);
    ops.linear(projection, input, new float[][] {y});
    return y;
  }

  /** |actual - expected| / |expected|; 0 if both are zero. */
  static double relativeError(float[] actual, float[] expected) {
    double size = 0;
    for (float y : expected) {
      size += (double) y * y;
    }
    double error = squaredError(actual, expected);
    return error == 0 ? 0 : Math.sqrt(error / size);
  }

  /** |actual - expected|^2. */
  static double squaredError(float[] actual, float[] expected) {
    double error = 0;
    for (int i = 0; i < expected.length; i++) {
      double difference = (double) actual[i] - expected[i];
      error += difference * difference;
    }
    return error;
  }
}
