package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.trainer.torch.ActivationRounding;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of Qwen2 and Qwen3 over a padded batch, made of operations that PyTorch can
 * differentiate. B sequences of T tokens; N = B * T.
 *
 * <p>Two things differ in form from {@code kernels.model.Transformer}: norm weights are folded into
 * the columns of the linears that follow, unless those are quantized and their inputs rounded, and
 * the query heads of one KV head are stacked along T so that K is not repeated.
 *
 * <p>No operation takes a Java number: DJL makes an array of it and frees that at once, but
 * autograd keeps reading it in the backward pass, so a garbage collection in between gave wrong
 * gradients (twice in 1,300 steps they were NaN, and so were noticed).
 */
final class Decoder {
  private final ModelConfig config;
  private final Map<String, NDArray> weights;
  private final Predicate<String> quantized;
  private final NDManager manager;
  private final int sequences;
  private final int length;
  private final NDArray mask;
  private final NDArray cos;
  private final NDArray sin;
  private final NDArray epsilon;
  private final NDArray scale;

  /**
   * @param weights by their names in a checkpoint
   * @param quantized whether the linear of that weight reads integers where it is served
   */
  Decoder(
      ModelConfig config,
      Map<String, NDArray> weights,
      Predicate<String> quantized,
      NDManager manager,
      TokenBatch batch) {
    this.config = config;
    this.weights = weights;
    this.quantized = quantized;
    this.manager = manager;
    this.sequences = batch.sequences();
    this.length = batch.length();
    int stacked = config.numHeads() / config.numKvHeads();
    this.mask = manager.create(causal(stacked, length), new Shape(stacked * length, length));
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

  private static float[] causal(int stacked, int length) {
    float[] mask = new float[stacked * length * length];
    for (int row = 0; row < stacked * length; row++) {
      for (int t = row % length + 1; t < length; t++) {
        mask[row * length + t] = Float.NEGATIVE_INFINITY;
      }
    }
    return mask;
  }

  /** Logits of the batch's rows: [rows][vocab]. */
  NDArray logits(TokenBatch batch) {
    NDArray x = rowsOf(weight("model.embed_tokens.weight"), batch.ids());
    for (int i = 0; i < config.numLayers(); i++) {
      String layer = "model.layers." + i + ".";
      x = x.add(attention(layer, x));
      x = x.add(mlp(layer, x));
    }
    x = norm(rowsOf(x, batch.rows()), "model.norm.weight");
    String head = config.tieWordEmbeddings() ? "model.embed_tokens.weight" : "lm_head.weight";
    return x.matMul(weight(head).transpose());
  }

  /** Rows of a matrix, in order; its backward pass adds rows up. */
  private NDArray rowsOf(NDArray matrix, long[] indices) {
    NDArray at = manager.create(indices);
    return matrix.getNDArrayInternal().embedding(at, matrix, SparseFormat.DENSE).singletonOrThrow();
  }

  private NDArray attention(String layer, NDArray x) {
    int heads = config.numHeads();
    int kvHeads = config.numKvHeads();
    int width = config.headDim();
    String prefix = layer + "self_attn.";
    NDArray joined =
        new NDList(
                weight(prefix + "q_proj.weight"),
                weight(prefix + "k_proj.weight"),
                weight(prefix + "v_proj.weight"))
            .stream().reduce((a, b) -> a.concat(b, 0)).orElseThrow();
    String norm = layer + "input_layernorm.weight";
    NDArray y = linear(x, joined, norm, quantized.test(prefix + "q_proj.weight"));
    NDArray bias = optional(prefix + "q_proj.bias");
    if (bias != null) {
      y =
          y.add(
              bias.concat(weight(prefix + "k_proj.bias"), 0)
                  .concat(weight(prefix + "v_proj.bias"), 0));
    }
    y = y.reshape(sequences, length, heads + 2L * kvHeads, width).transpose(0, 2, 1, 3);
    NDList parts = y.split(new long[] {heads + kvHeads}, 1);
    NDList turned = rope(headNorm(prefix, parts.get(0))).split(new long[] {heads}, 1);
    long stacked = (long) heads / kvHeads * length;
    NDArray q = turned.get(0).reshape(sequences, kvHeads, stacked, width);
    NDArray scores = q.matMul(turned.get(1).transpose(0, 1, 3, 2)).add(mask);
    NDArray mixed = scores.softmax(-1).matMul(parts.get(1));
    NDArray flat =
        mixed
            .reshape(sequences, heads, length, width)
            .transpose(0, 2, 1, 3)
            .reshape((long) sequences * length, (long) heads * width);
    return linear(flat, prefix + "o_proj.weight");
  }

  /** Normalizes each head of q and k where the model does, and scales q by 1 / sqrt(width). */
  private NDArray headNorm(String prefix, NDArray qk) {
    NDArray qNorm = optional(prefix + "q_norm.weight");
    NDArray factors;
    if (qNorm != null) {
      NDArray kNorm = weight(prefix + "k_norm.weight");
      factors = repeated(qNorm.mul(scale), config.numHeads());
      factors = factors.concat(repeated(kNorm, config.numKvHeads()), 0);
      qk = normalized(qk);
    } else {
      factors = manager.ones(new Shape(config.numHeads(), 1, 1)).mul(scale);
      factors = factors.concat(manager.ones(new Shape(config.numKvHeads(), 1, 1)), 0);
    }
    return qk.mul(factors);
  }

  /** [width] as [count][1][width]. */
  private static NDArray repeated(NDArray vector, int count) {
    return vector.reshape(1, 1, vector.size()).broadcast(count, 1, vector.size());
  }

  private NDArray rope(NDArray x) {
    NDList halves = x.split(2, 3);
    return x.mul(cos).add(halves.get(1).concat(halves.get(0), 3).mul(sin));
  }

  private NDArray mlp(String layer, NDArray x) {
    NDArray joined =
        weight(layer + "mlp.gate_proj.weight").concat(weight(layer + "mlp.up_proj.weight"), 0);
    String norm = layer + "post_attention_layernorm.weight";
    boolean integers = quantized.test(layer + "mlp.gate_proj.weight");
    NDList parts = linear(x, joined, norm, integers).split(2, 1);
    NDArray gate = parts.get(0);
    NDArray gated = gate.mul(gate.getNDArrayInternal().sigmoid()).mul(parts.get(1));
    return linear(gated, layer + "mlp.down_proj.weight");
  }

  /** W (norm(x) * g), which without rounding is (W * g) normalized(x). */
  private NDArray linear(NDArray x, NDArray matrix, String normName, boolean integers) {
    if (integers) {
      return ActivationRounding.of(norm(x, normName), manager).matMul(matrix.transpose());
    }
    return normalized(x).matMul(matrix.mul(weight(normName)).transpose());
  }

  private NDArray linear(NDArray x, String name) {
    NDArray input = quantized.test(name) ? ActivationRounding.of(x, manager) : x;
    return input.matMul(weight(name).transpose());
  }

  private NDArray norm(NDArray x, String name) {
    return normalized(x).mul(weight(name));
  }

  private NDArray normalized(NDArray x) {
    NDArray meanSquare = x.square().mean(new int[] {-1}, true);
    return x.div(meanSquare.add(epsilon).sqrt());
  }

  private NDArray weight(String name) {
    NDArray array = weights.get(name);
    if (array == null) {
      throw new IllegalStateException("no " + name);
    }
    return array;
  }

  private @Nullable NDArray optional(String name) {
    return weights.get(name);
  }
}
