package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.trainer.ptq.flatquant.FourBits.Shares;
import io.tercel.trainer.ptq.flatquant.LayerPieces.Input;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of one decoder layer of Qwen2 and Qwen3 over B sequences of T tokens, N = B * T
 * rows, with what W4A4KV4 does to activations: transformed and rounded inputs of linears,
 * transformed and rounded keys, rounded values. Padding stands behind a sequence, where a causal
 * model cannot see it.
 */
final class LayerPass {
  /** Is shown the inputs of linears before they are transformed. */
  @FunctionalInterface
  interface Watch {
    void seen(Tap tap, NDArray x);
  }

  private final ModelConfig config;
  private final FourBits bits;
  private final int sequences;
  private final int length;
  private final NDArray mask;
  private final NDArray cos;
  private final NDArray sin;
  private final NDArray epsilon;
  private final NDArray scale;
  private @Nullable Watch watch;

  /** For batches of one shape; its constants live as long as the manager. */
  LayerPass(ModelConfig config, NDManager manager, int sequences, int length) {
    this.config = config;
    this.bits = new FourBits(manager);
    this.sequences = sequences;
    this.length = length;
    int stacked = config.numHeads() / config.numKvHeads();
    float[] causal = new float[Math.multiplyExact(stacked * length, length)];
    for (int row = 0; row < stacked * length; row++) {
      for (int t = row % length + 1; t < length; t++) {
        causal[row * length + t] = Float.NEGATIVE_INFINITY;
      }
    }
    this.mask = manager.create(causal, new Shape((long) stacked * length, length));
    int width = config.headDim();
    float[] cosines = new float[length * width];
    float[] sines = new float[length * width];
    for (int t = 0; t < length; t++) {
      for (int d = 0; d < width / 2; d++) {
        double angle = t * Math.pow(config.ropeTheta(), -2.0 * d / width);
        int i = t * width + d;
        cosines[i] = cosines[i + width / 2] = (float) Math.cos(angle);
        sines[i] = (float) -Math.sin(angle);
        sines[i + width / 2] = (float) Math.sin(angle);
      }
    }
    this.cos = manager.create(cosines, new Shape(length, width));
    this.sin = manager.create(sines, new Shape(length, width));
    this.epsilon = manager.create(new float[] {config.rmsNormEps()});
    this.scale = manager.create(new float[] {(float) (1 / Math.sqrt(width))});
  }

  /** Shows inputs of linears from now on. */
  LayerPass watch(Watch by) {
    watch = by;
    return this;
  }

  FourBits bits() {
    return bits;
  }

  /**
   * The layer's output.
   *
   * @param x [N, hidden]
   */
  NDArray forward(NDArray x, LayerPieces p) {
    NDArray middle = x.add(attention(x, p));
    return middle.add(feedForward(middle, p));
  }

  private NDArray attention(NDArray x, LayerPieces p) {
    int heads = config.numHeads();
    int kvHeads = config.numKvHeads();
    int width = config.headDim();
    NDArray in = input(normalized(x).mul(p.requireNorm(Norm.INPUT)), Tap.ATTENTION, p);
    NDArray q = heads(linear(in, Matrix.Q, p), heads, p.norm(Norm.Q_HEAD), p.queries());
    NDArray k = heads(linear(in, Matrix.K, p), kvHeads, p.norm(Norm.K_HEAD), p.keys());
    NDArray v = split(linear(in, Matrix.V, p), kvHeads);
    if (p.rounded()) {
      k = bits.heads(k, p.keyClip());
      v = bits.heads(v, p.valueClip());
    }
    long stacked = (long) heads / kvHeads * length;
    NDArray scores =
        q.mul(scale)
            .reshape(sequences, kvHeads, stacked, width)
            .matMul(k.transpose(0, 1, 3, 2))
            .add(mask);
    NDArray mixed =
        scores
            .softmax(-1)
            .matMul(v)
            .reshape(sequences, heads, length, width)
            .transpose(0, 2, 1, 3)
            .reshape((long) sequences * length, (long) heads * width);
    return linear(input(mixed, Tap.OUTPUT, p), Matrix.O, p);
  }

  private NDArray feedForward(NDArray x, LayerPieces p) {
    NDArray in = input(normalized(x).mul(p.requireNorm(Norm.POST_ATTENTION)), Tap.MLP, p);
    NDArray gate = linear(in, Matrix.GATE, p);
    NDArray gated = gate.mul(gate.getNDArrayInternal().sigmoid()).mul(linear(in, Matrix.UP, p));
    return linear(input(gated, Tap.DOWN, p), Matrix.DOWN, p);
  }

  /** [N, heads * width] as [B, heads, T, width]. */
  private NDArray split(NDArray x, int heads) {
    return x.reshape(sequences, length, heads, config.headDim()).transpose(0, 2, 1, 3);
  }

  private NDArray heads(NDArray x, int count, @Nullable NDArray norm, @Nullable NDArray by) {
    NDArray h = split(x, count);
    if (norm != null) {
      h = normalized(h).mul(norm);
    }
    NDList halves = h.split(2, 3);
    h = h.mul(cos).add(halves.get(1).concat(halves.get(0), 3).mul(sin));
    return by == null ? h : h.matMul(by);
  }

  private NDArray linear(NDArray x, Matrix which, LayerPieces p) {
    NDArray y = x.matMul(p.weight(which).transpose());
    NDArray bias = p.bias(which);
    return bias == null ? y : y.add(bias);
  }

  private NDArray input(NDArray x, Tap tap, LayerPieces p) {
    if (watch != null) {
      watch.seen(tap, x);
    }
    Input input = p.input(tap);
    NDArray y = kronecker(x, input.left(), input.right());
    Shares clip = input.clip();
    return p.rounded() ? bits.tokens(y, clip) : y;
  }

  /** Each row x becomes L^T mat(x) R. */
  static NDArray kronecker(NDArray x, @Nullable NDArray left, @Nullable NDArray right) {
    long rows = x.getShape().get(0);
    long width = x.getShape().get(1);
    NDArray y = x;
    if (left != null) {
      long m = left.getShape().get(0);
      long n = width / m;
      y =
          y.reshape(rows, m, n)
              .transpose(0, 2, 1)
              .reshape(rows * n, m)
              .matMul(left)
              .reshape(rows, n, m)
              .transpose(0, 2, 1)
              .reshape(rows, width);
    }
    if (right != null) {
      long n = right.getShape().get(0);
      y = y.reshape(rows * (width / n), n).matMul(right).reshape(rows, width);
    }
    return y;
  }

  private NDArray normalized(NDArray x) {
    NDArray meanSquare = x.square().mean(new int[] {-1}, true);
    return x.div(meanSquare.add(epsilon).sqrt());
  }
}
