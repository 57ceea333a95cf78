package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;

/**
 * A copy of a model whose channels are scaled by k = exp(sigma N(0, 1)) where something before them
 * and something behind them can undo each other: norms and the columns that read them, rows of up
 * and columns of down, rows of v and columns of o. It computes the same, and stands for the wide
 * channels of large models, which make rounding hard.
 */
final class RescaledChannels {
  private final Map<String, RawTensor> tensors;
  private final Map<String, float[]> values = new LinkedHashMap<>();
  private final ObjectNode config;
  private final Random random;
  private final double sigma;

  private RescaledChannels(Path from, double sigma, long seed) throws IOException {
    this.tensors = RawSafetensors.readDirectory(from);
    this.config = (ObjectNode) new ObjectMapper().readTree(from.resolve("config.json").toFile());
    this.sigma = sigma;
    this.random = new Random(seed);
    tensors.forEach((name, tensor) -> values.put(name, tensor.toFloats()));
  }

  /** Writes the copy, in fp32. */
  static Path write(Path from, Path to, double sigma, long seed) throws IOException {
    RescaledChannels channels = new RescaledChannels(from, sigma, seed);
    channels.rescale();
    Files.createDirectories(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.filter(f -> f.toString().matches(".*\\.jsonl?")).toList()) {
        Files.write(
            to.resolve(Objects.requireNonNull(file.getFileName())), Files.readAllBytes(file));
      }
    }
    channels.config.put("torch_dtype", "float32").remove("dtype");
    Files.writeString(to.resolve("config.json"), channels.config.toPrettyString());
    Map<String, RawTensor> written = new LinkedHashMap<>();
    channels.tensors.forEach(
        (name, tensor) ->
            written.put(name, RawTensor.floats("F32", channels.of(name), tensor.shape())));
    RawSafetensors.write(to.resolve("model.safetensors"), written);
    return to;
  }

  private void rescale() {
    int heads = config.get("num_attention_heads").asInt();
    int kvHeads = config.get("num_key_value_heads").asInt();
    for (int i = 0; i < config.get("num_hidden_layers").asInt(); i++) {
      String layer = "model.layers." + i + ".";
      String attention = layer + "self_attn.";
      float[] k = factors(of(layer + "input_layernorm.weight").length);
      rows(layer + "input_layernorm", k);
      for (String name : new String[] {"q_proj", "k_proj", "v_proj"}) {
        columns(attention + name, k);
      }
      k = factors(of(layer + "post_attention_layernorm.weight").length);
      rows(layer + "post_attention_layernorm", k);
      columns(layer + "mlp.gate_proj", k);
      columns(layer + "mlp.up_proj", k);
      k = factors((int) tensor(layer + "mlp.up_proj.weight").shape()[0]);
      rows(layer + "mlp.up_proj", k);
      columns(layer + "mlp.down_proj", k);
      k = factors((int) tensor(attention + "v_proj.weight").shape()[0]);
      rows(attention + "v_proj", k);
      int width = k.length / kvHeads;
      float[] expanded = new float[heads * width];
      for (int j = 0; j < expanded.length; j++) {
        expanded[j] = k[j / width / (heads / kvHeads) * width + j % width];
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

  private RawTensor tensor(String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  private float[] of(String name) {
    return Objects.requireNonNull(values.get(name), name);
  }

  private void rows(String name, float[] k) {
    for (String part : new String[] {".weight", ".bias"}) {
      float[] w = values.get(name + part);
      for (int i = 0; w != null && i < w.length; i++) {
        w[i] *= k[i / (w.length / k.length)];
      }
    }
  }

  private void columns(String name, float[] k) {
    float[] w = of(name + ".weight");
    for (int i = 0; i < w.length; i++) {
      w[i] /= k[i % k.length];
    }
  }
}
