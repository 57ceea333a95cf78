package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.ops.Ops;
import java.util.Arrays;
import java.util.Random;

/**
 * QuaRot: the whole model in coordinates turned by Hadamard matrices, which spread outliers over
 * all channels. Norm weights go into the linears that follow (the last into the head, which
 * therefore is a matrix of its own afterwards); the residual stream is turned by Q = diag(s) H with
 * random signs s; each head of v is turned by a Hadamard, undone within o; and while a layer runs,
 * the inputs of down, the heads before o, and each head of q and k are turned.
 */
public final class QuaRot {
  /** Shares of the ranges of linears' inputs, and of keys and values, that are kept. */
  private static final OnlineTransforms.Clips CLIPS = OnlineTransforms.Clips.same(0.9f, 0.95f);

  private final ModelConfig config;
  private final double[] signs;
  private final Kronecker residual;
  private final OnlineTransforms online;
  private final SquareMatrix values;

  public QuaRot(ModelConfig config, long seed) {
    this.config = config;
    Random random = new Random(seed);
    signs = new double[config.hiddenSize()];
    Arrays.setAll(signs, i -> random.nextBoolean() ? 1 : -1);
    residual = Hadamard.spread(config.hiddenSize(), random);
    values = Hadamard.whole(config.headDim(), random);
    SquareMatrix heads = Hadamard.whole(config.numHeads(), random).rounded();
    SquareMatrix keys = Hadamard.whole(config.headDim(), random).rounded();
    online =
        new OnlineTransforms(
            null,
            Kronecker.left(heads, config.headDim()),
            null,
            Hadamard.spread(config.intermediateSize(), random).rounded(),
            keys,
            keys.inverseTranspose(),
            CLIPS);
  }

  /**
   * One layer's.
   *
   * @param inputNorm the weights as they are
   * @param postAttentionNorm likewise
   */
  public LayerRewrite layer(double[] inputNorm, double[] postAttentionNorm) {
    Kronecker heads = online.o();
    if (heads == null || heads.left() == null) {
      throw new IllegalStateException("heads are turned");
    }
    double[] ones = ones();
    return new LayerRewrite(online)
        .withNorm(Norm.INPUT, ones)
        .withNorm(Norm.POST_ATTENTION, ones)
        .withInputs(signed(inputNorm), residual, Matrix.Q, Matrix.K, Matrix.V)
        .withInputs(null, Kronecker.of(heads.left(), values), Matrix.O)
        .withInputs(signed(postAttentionNorm), residual, Matrix.GATE, Matrix.UP)
        .withInputs(null, online.down(), Matrix.DOWN)
        .withOutputs(null, Kronecker.right(config.numKvHeads(), values), Matrix.V)
        .withOutputs(signs, residual, Matrix.O, Matrix.DOWN);
  }

  private double[] ones() {
    double[] ones = new double[config.hiddenSize()];
    Arrays.fill(ones, 1);
    return ones;
  }

  private double[] signed(double[] norm) {
    double[] scale = new double[norm.length];
    Arrays.setAll(scale, j -> norm[j] * signs[j]);
    return scale;
  }

  /** The final norm's weights, which the head has taken. */
  public double[] finalNorm() {
    return ones();
  }

  /**
   * Turns rows of the embedding, in place.
   *
   * @param table [tokens, hidden]
   */
  public void embedding(double[] table, Ops ops) {
    states(table, ops);
  }

  /**
   * Turns rows of the head, in place; it reads the final norm's outputs without its weights.
   *
   * @param head [tokens, hidden]
   * @param finalNorm the weights as they are
   */
  public void head(double[] head, double[] finalNorm, Ops ops) {
    turn(head, signed(finalNorm), residual.inverseTranspose(), ops);
  }

  /**
   * Turns hidden states, in place.
   *
   * @param states [tokens, hidden]
   */
  public void states(double[] states, Ops ops) {
    turn(states, signs, residual, ops);
  }

  private static void turn(double[] rows, double[] scale, Kronecker by, Ops ops) {
    int width = scale.length;
    ops.forEach(
        rows.length / width,
        (row, _) -> {
          for (int j = 0; j < width; j++) {
            rows[row * width + j] *= scale[j];
          }
          by.apply(rows, row * width, new double[width]);
        });
  }
}
