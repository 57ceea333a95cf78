package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import java.util.Arrays;
import java.util.Random;

/**
 * What FlatQuant learns of one layer's coordinates: an invertible Kronecker product for the input
 * of each set of linears, with a scale per channel where something before it can take that, a
 * matrix for the values of a head, one over heads, and one for keys.
 *
 * @param qkv of the first norm's output
 * @param qkvScale [hidden], taken by the norm
 * @param gateUp of the second norm's output
 * @param gateUpScale [hidden], taken by the norm
 * @param down of the gated product
 * @param downScale [ffn], taken by the rows of up
 * @param values [D, D] for each head of v, undone within o
 * @param heads [heads, heads] over heads before o
 * @param keys [D, D]; queries are multiplied by its inverse transpose
 */
@SuppressWarnings("ArrayRecordComponent") // handed on, never compared
public record FlatTransforms(
    Kronecker qkv,
    double[] qkvScale,
    Kronecker gateUp,
    double[] gateUpScale,
    Kronecker down,
    double[] downScale,
    SquareMatrix values,
    SquareMatrix heads,
    SquareMatrix keys) {

  /** Random orthogonal matrices and scales of 1: where learning starts. */
  public static FlatTransforms random(ModelConfig config, long seed) {
    Random random = new Random(seed);
    double[] hidden = new double[config.hiddenSize()];
    double[] ffn = new double[config.intermediateSize()];
    Arrays.fill(hidden, 1);
    Arrays.fill(ffn, 1);
    return new FlatTransforms(
        orthogonal(config.hiddenSize(), random),
        hidden,
        orthogonal(config.hiddenSize(), random),
        hidden.clone(),
        orthogonal(config.intermediateSize(), random),
        ffn,
        SquareMatrix.orthogonal(config.headDim(), random).rounded(),
        SquareMatrix.orthogonal(config.numHeads(), random).rounded(),
        SquareMatrix.orthogonal(config.headDim(), random).rounded());
  }

  private static Kronecker orthogonal(int width, Random random) {
    KroneckerSizes sizes = KroneckerSizes.nearest(width);
    return Kronecker.of(
            SquareMatrix.orthogonal(sizes.left(), random),
            SquareMatrix.orthogonal(sizes.right(), random))
        .rounded();
  }

  /**
   * The layer in these coordinates.
   *
   * @param inputNorm the weights as they are
   * @param postAttentionNorm likewise
   */
  public LayerRewrite layer(
      ModelConfig config,
      double[] inputNorm,
      double[] postAttentionNorm,
      OnlineTransforms.Clips clips) {
    OnlineTransforms online =
        new OnlineTransforms(
            qkv,
            Kronecker.left(heads, config.headDim()),
            gateUp,
            down,
            keys,
            keys.inverseTranspose(),
            clips);
    return new LayerRewrite(online)
        .withNorm(Norm.INPUT, product(inputNorm, qkvScale))
        .withNorm(Norm.POST_ATTENTION, product(postAttentionNorm, gateUpScale))
        .withInputs(inverse(qkvScale), qkv, Matrix.Q, Matrix.K, Matrix.V)
        .withOutputs(null, Kronecker.right(config.numKvHeads(), values), Matrix.V)
        .withInputs(null, Kronecker.of(heads, values), Matrix.O)
        .withInputs(inverse(gateUpScale), gateUp, Matrix.GATE, Matrix.UP)
        .withOutputs(downScale, null, Matrix.UP)
        .withInputs(inverse(downScale), down, Matrix.DOWN);
  }

  private static double[] product(double[] a, double[] b) {
    double[] product = new double[a.length];
    Arrays.setAll(product, i -> a[i] * b[i]);
    return product;
  }

  private static double[] inverse(double[] a) {
    double[] inverse = new double[a.length];
    Arrays.setAll(inverse, i -> 1 / a[i]);
    return inverse;
  }
}
