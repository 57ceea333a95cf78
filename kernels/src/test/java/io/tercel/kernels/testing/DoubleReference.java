package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The forward pass of Qwen2 and Qwen3 in double precision and plain loops, from the papers and not
 * from the engine. It reads a checkpoint directory with this package's own readers; GPTQ layers are
 * dequantized exactly. What the engine computes must come close to this.
 */
public final class DoubleReference {
  private final int hidden;
  private final int layers;
  private final int heads;
  private final int kvHeads;
  private final int headDim;
  private final int vocab;
  private final double eps;
  private final double theta;
  private final Map<String, float[]> weights = new HashMap<>();

  /** The group of each input of the quantized linears. */
  private final Map<String, int[]> groups = new HashMap<>();

  private final Inputs inputs;

  /** What quantized linears see of their inputs. */
  @FunctionalInterface
  public interface Inputs {
    /**
     * Asked once for each token, in order.
     *
     * @param name of the linear: {@code model.layers.0.mlp.up_proj}
     * @param x as computed; not to be changed
     * @param groups of each input
     */
    double[] seen(String name, double[] x, int[] groups);
  }

  private DoubleReference(JsonNode config, Map<String, RawTensor> tensors, Inputs inputs) {
    this.inputs = inputs;
    hidden = config.get("hidden_size").asInt();
    layers = config.get("num_hidden_layers").asInt();
    heads = config.get("num_attention_heads").asInt();
    kvHeads = config.get("num_key_value_heads").asInt();
    headDim = config.hasNonNull("head_dim") ? config.get("head_dim").asInt() : hidden / heads;
    vocab = config.get("vocab_size").asInt();
    eps = config.get("rms_norm_eps").asDouble();
    JsonNode rope = config.path("rope_parameters");
    theta =
        rope.has("rope_theta")
            ? rope.get("rope_theta").asDouble()
            : config.get("rope_theta").asDouble();
    boolean v2 =
        config.path("quantization_config").path("checkpoint_format").asText().equals("gptq_v2");
    tensors.forEach(
        (name, tensor) -> {
          if (name.endsWith(".qweight")) {
            String layer = name.substring(0, name.length() - ".qweight".length());
            GptqReader reader = new GptqReader(tensors, layer, v2);
            weights.put(layer + ".weight", reader.dequantize());
            groups.put(layer, IntStream.range(0, reader.in()).map(reader::group).toArray());
          } else if (name.endsWith(".weight") || name.endsWith(".bias")) {
            weights.put(name, tensor.toFloats());
          }
        });
    if (config.path("tie_word_embeddings").asBoolean(false)) {
      weights.put("lm_head.weight", weights.get("model.embed_tokens.weight"));
    }
  }

  /** With inputs as they are. */
  public static DoubleReference open(Path directory) {
    return open(directory, (_, x, _) -> x);
  }

  /**
   * With the inputs of quantized linears rounded to 16-bit integers per group of 128: s = max|x| /
   * 32639, x becomes s rint(x / s).
   */
  public static DoubleReference openRounding(Path directory) {
    return open(directory, (_, x, groups) -> rounded(x, groups));
  }

  /** With other inputs for quantized linears. */
  public static DoubleReference open(Path directory, Inputs inputs) {
    try {
      JsonNode config = new ObjectMapper().readTree(directory.resolve("config.json").toFile());
      return new DoubleReference(config, RawSafetensors.readDirectory(directory), inputs);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Log-probabilities of every next token after every position.
   *
   * @return [tokens, vocab]
   */
  public double[][] logProbs(int... tokens) {
    Sequence sequence = new Sequence();
    double[][] rows = new double[tokens.length][];
    for (int i = 0; i < tokens.length; i++) {
      rows[i] = logSoftmax(sequence.next(tokens[i]));
    }
    return rows;
  }

  /**
   * Raw logits after every position.
   *
   * @return [tokens, vocab]
   */
  public double[][] logits(int... tokens) {
    Sequence sequence = new Sequence();
    double[][] rows = new double[tokens.length][];
    for (int i = 0; i < tokens.length; i++) {
      rows[i] = sequence.next(tokens[i]);
    }
    return rows;
  }

  /**
   * The likeliest continuation, the lowest id among equals.
   *
   * @return at most count tokens; it ends after one of stopIds
   */
  public List<Integer> greedy(int[] prompt, int count, List<Integer> stopIds) {
    Sequence sequence = new Sequence();
    double[] logits = {};
    for (int token : prompt) {
      logits = sequence.next(token);
    }
    List<Integer> generated = new ArrayList<>();
    while (generated.size() < count) {
      int best = 0;
      for (int id = 1; id < vocab; id++) {
        best = logits[id] > logits[best] ? id : best;
      }
      generated.add(best);
      if (stopIds.contains(best)) {
        break;
      }
      logits = sequence.next(best);
    }
    return generated;
  }

  /** One sequence as it grows; keeps every key and value in full. */
  private final class Sequence {
    private final List<List<double[]>> keys = new ArrayList<>();
    private final List<List<double[]>> values = new ArrayList<>();

    Sequence() {
      for (int l = 0; l < layers; l++) {
        keys.add(new ArrayList<>());
        values.add(new ArrayList<>());
      }
    }

    double[] next(int token) {
      float[] embedding = weights.get("model.embed_tokens.weight");
      double[] x = new double[hidden];
      for (int i = 0; i < hidden; i++) {
        x[i] = embedding[token * hidden + i];
      }
      for (int l = 0; l < layers; l++) {
        String layer = "model.layers." + l + ".";
        double[] h = norm(x, hidden, layer + "input_layernorm.weight");
        add(x, attention(l, layer + "self_attn.", h));
        h = norm(x, hidden, layer + "post_attention_layernorm.weight");
        add(x, mlp(layer + "mlp.", h));
      }
      return linear("lm_head", norm(x, hidden, "model.norm.weight"));
    }

    private double[] attention(int l, String prefix, double[] h) {
      int position = keys.get(l).size();
      double[] q = rotated(linear(prefix + "q_proj", h), heads, prefix + "q_norm.weight", position);
      keys.get(l)
          .add(rotated(linear(prefix + "k_proj", h), kvHeads, prefix + "k_norm.weight", position));
      values.get(l).add(linear(prefix + "v_proj", h));
      double[] mixed = new double[heads * headDim];
      for (int head = 0; head < heads; head++) {
        int kv = head / (heads / kvHeads);
        double[] scores = new double[position + 1];
        double max = Double.NEGATIVE_INFINITY;
        for (int t = 0; t <= position; t++) {
          for (int d = 0; d < headDim; d++) {
            scores[t] += q[head * headDim + d] * keys.get(l).get(t)[kv * headDim + d];
          }
          scores[t] /= Math.sqrt(headDim);
          max = Math.max(max, scores[t]);
        }
        double sum = 0;
        for (int t = 0; t <= position; t++) {
          scores[t] = Math.exp(scores[t] - max);
          sum += scores[t];
        }
        for (int t = 0; t <= position; t++) {
          for (int d = 0; d < headDim; d++) {
            mixed[head * headDim + d] += scores[t] / sum * values.get(l).get(t)[kv * headDim + d];
          }
        }
      }
      return linear(prefix + "o_proj", mixed);
    }
  }

  private double[] rotated(double[] x, int count, String normName, int position) {
    double[] turned = new double[x.length];
    for (int head = 0; head < count; head++) {
      double[] v = new double[headDim];
      System.arraycopy(x, head * headDim, v, 0, headDim);
      if (weights.containsKey(normName)) {
        v = norm(v, headDim, normName);
      }
      System.arraycopy(rope(v, position, theta), 0, turned, head * headDim, headDim);
    }
    return turned;
  }

  /** Turns the pairs (d, d + n/2) of one head by position / theta^(2d/n). */
  static double[] rope(double[] v, int position, double theta) {
    int half = v.length / 2;
    double[] turned = new double[v.length];
    for (int d = 0; d < half; d++) {
      double angle = position * Math.pow(theta, -2.0 * d / v.length);
      turned[d] = v[d] * Math.cos(angle) - v[d + half] * Math.sin(angle);
      turned[d + half] = v[d + half] * Math.cos(angle) + v[d] * Math.sin(angle);
    }
    return turned;
  }

  private double[] mlp(String prefix, double[] h) {
    double[] gate = linear(prefix + "gate_proj", h);
    double[] up = linear(prefix + "up_proj", h);
    for (int i = 0; i < gate.length; i++) {
      gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
    }
    return linear(prefix + "down_proj", gate);
  }

  private double[] norm(double[] x, int size, String name) {
    float[] weight = weights.get(name);
    double squares = 0;
    for (int i = 0; i < size; i++) {
      squares += x[i] * x[i];
    }
    double scale = 1 / Math.sqrt(squares / size + eps);
    double[] y = new double[size];
    for (int i = 0; i < size; i++) {
      y[i] = x[i] * scale * weight[i];
    }
    return y;
  }

  private static double[] rounded(double[] x, int[] groups) {
    float[] largest = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      largest[groups[i]] = Math.max(largest[groups[i]], Math.abs((float) x[i]));
    }
    double[] rounded = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double step = largest[groups[i]] / 32639.0;
      rounded[i] = step == 0 ? 0 : step * Math.rint(x[i] / step);
    }
    return rounded;
  }

  private double[] linear(String name, double[] input) {
    int[] groupOf = groups.get(name);
    double[] x = groupOf == null ? input : inputs.seen(name, input, groupOf);
    float[] weight = weights.get(name + ".weight");
    float[] bias = weights.get(name + ".bias");
    double[] y = new double[weight.length / x.length];
    for (int o = 0; o < y.length; o++) {
      double sum = bias == null ? 0 : bias[o];
      for (int i = 0; i < x.length; i++) {
        sum += (double) weight[o * x.length + i] * x[i];
      }
      y[o] = sum;
    }
    return y;
  }

  private static void add(double[] x, double[] y) {
    for (int i = 0; i < x.length; i++) {
      x[i] += y[i];
    }
  }

  private static double[] logSoftmax(double[] logits) {
    double max = Double.NEGATIVE_INFINITY;
    for (double logit : logits) {
      max = Math.max(max, logit);
    }
    double sum = 0;
    for (double logit : logits) {
      sum += Math.exp(logit - max);
    }
    double[] result = new double[logits.length];
    for (int i = 0; i < logits.length; i++) {
      result[i] = logits[i] - max - Math.log(sum);
    }
    return result;
  }
}
