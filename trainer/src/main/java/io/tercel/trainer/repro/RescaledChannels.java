package io.tercel.trainer.repro;

import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.trainer.qat.ModelDirectory;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * A copy of a model whose channels are scaled by k = exp(sigma N(0, 1)) where something before them
 * and something behind them can undo each other: norms and the columns that read them, rows of up
 * and columns of down, rows of v and columns of o. It computes the same, and stands for the wide
 * channels of large models, which make rounding hard.
 */
public final class RescaledChannels {
  private final Map<String, Parameter> parameters = new HashMap<>();
  private final ModelConfig config;
  private final Random random;
  private final double sigma;

  private RescaledChannels(QatModel model, double sigma, long seed) {
    model.parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
    this.config = model.config();
    this.random = new Random(seed);
    this.sigma = sigma;
  }

  /** Writes the copy, in fp32. */
  public static void write(Path from, Path to, double sigma, long seed) throws IOException {
    try (QatModel model = QatModel.load(from)) {
      new RescaledChannels(model, sigma, seed).rescale();
      ModelDirectory.copyTokenizer(from, to);
      ModelDirectory.write(model, to, DType.F32);
    }
  }

  private void rescale() {
    int width = config.headDim();
    int share = config.numHeads() / config.numKvHeads();
    for (int i = 0; i < config.numLayers(); i++) {
      String layer = "model.layers." + i + ".";
      String attention = layer + "self_attn.";
      float[] k = factors(config.hiddenSize());
      rows(layer + "input_layernorm", k);
      for (String name : new String[] {"q_proj", "k_proj", "v_proj"}) {
        columns(attention + name, k);
      }
      k = factors(config.hiddenSize());
      rows(layer + "post_attention_layernorm", k);
      columns(layer + "mlp.gate_proj", k);
      columns(layer + "mlp.up_proj", k);
      k = factors(config.intermediateSize());
      rows(layer + "mlp.up_proj", k);
      columns(layer + "mlp.down_proj", k);
      k = factors(config.numKvHeads() * width);
      rows(attention + "v_proj", k);
      float[] expanded = new float[config.numHeads() * width];
      for (int j = 0; j < expanded.length; j++) {
        expanded[j] = k[j / width / share * width + j % width];
      }
      columns(attention + "o_proj", expanded);
    }
  }

  private float[] factors(int count) {
    float[] k = new float[count];
    for (int i = 0; i < count; i++) {
      k[i] = (float) Math.exp(sigma * random.nextGaussian());
    }
    return k;
  }

  private void rows(String name, float[] k) {
    for (String part : new String[] {".weight", ".bias"}) {
      @Nullable Parameter w = parameters.get(name + part);
      for (int i = 0; w != null && i < w.size(); i++) {
        w.set(i, w.get(i) * k[i / (w.size() / k.length)]);
      }
    }
  }

  private void columns(String name, float[] k) {
    Parameter w = Objects.requireNonNull(parameters.get(name + ".weight"), name);
    for (int i = 0; i < w.size(); i++) {
      w.set(i, w.get(i) / k[i % k.length]);
    }
  }
}
