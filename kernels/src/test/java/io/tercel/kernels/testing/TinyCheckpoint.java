package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * Writes a small random model as a real Hugging Face directory: config, generation config,
 * safetensors, tokenizer. Logits of its tied or untied head have a deviation of about three, so a
 * greedy choice rarely hangs on the last bits. The same calls give the same bytes.
 */
public final class TinyCheckpoint {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String LINEARS =
      ".*\\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)\\.weight";

  private final boolean qwen3;
  private int hidden = 64;
  private int ffn = 160;
  private int layers = 2;
  private int heads = 4;
  private int kvHeads = 2;
  private int headDim = 32;
  private int vocab = TinyTokenizer.SIZE + 8;
  private boolean tied;
  private String dtype = "BF16";
  private long seed = 42;
  private int shards = 1;
  private boolean newSpelling;
  private GptqVariant gptq;
  private boolean w4;
  private Consumer<ObjectNode> configEdit = _ -> {};
  private Consumer<Map<String, RawTensor>> tensorEdit = _ -> {};
  private Map<String, RawTensor> written = Map.of();

  private TinyCheckpoint(boolean qwen3) {
    this.qwen3 = qwen3;
    this.tied = qwen3;
  }

  /** Head norms, no biases, tied. */
  public static TinyCheckpoint qwen3() {
    return new TinyCheckpoint(true);
  }

  /** Biases on q, k and v, no head norms, its own head. */
  public static TinyCheckpoint qwen2() {
    return new TinyCheckpoint(false);
  }

  public TinyCheckpoint hidden(int value) {
    hidden = value;
    return this;
  }

  public TinyCheckpoint ffn(int value) {
    ffn = value;
    return this;
  }

  public TinyCheckpoint layers(int value) {
    layers = value;
    return this;
  }

  public TinyCheckpoint heads(int queryHeads, int keyHeads, int dim) {
    heads = queryHeads;
    kvHeads = keyHeads;
    headDim = dim;
    return this;
  }

  /** Below {@link TinyTokenizer#SIZE} no tokenizer is written. */
  public TinyCheckpoint vocab(int value) {
    vocab = value;
    return this;
  }

  public TinyCheckpoint tied(boolean value) {
    tied = value;
    return this;
  }

  /** F32, F16 or BF16. */
  public TinyCheckpoint dtype(String value) {
    dtype = value;
    return this;
  }

  public TinyCheckpoint seed(long value) {
    seed = value;
    return this;
  }

  /** More than one: shards and an index. */
  public TinyCheckpoint shards(int value) {
    shards = value;
    return this;
  }

  /** dtype and rope_parameters instead of torch_dtype and rope_theta. */
  public TinyCheckpoint newSpelling(boolean value) {
    newSpelling = value;
    return this;
  }

  /** Quantizes the linears; all their sizes must be multiples of 32 then. */
  public TinyCheckpoint gptq(GptqVariant variant) {
    gptq = variant;
    return this;
  }

  /** Quantizes the linears to w4a4kv4, with transforms. */
  public TinyCheckpoint w4() {
    w4 = true;
    return this;
  }

  /** Changes config.json just before it is written. */
  public TinyCheckpoint editConfig(Consumer<ObjectNode> edit) {
    configEdit = configEdit.andThen(edit);
    return this;
  }

  /** Changes the tensors just before they are written. */
  public TinyCheckpoint editTensors(Consumer<Map<String, RawTensor>> edit) {
    tensorEdit = tensorEdit.andThen(edit);
    return this;
  }

  /** Writes the directory, making it if need be. */
  public Path write(Path directory) {
    Random random = new Random(seed);
    Map<String, RawTensor> tensors = tensors(random);
    if (gptq != null) {
      tensors = quantize(tensors, gptq, random);
    }
    if (w4) {
      tensors = W4Writer.quantize(tensors, layers, heads, headDim, random);
    }
    tensorEdit.accept(tensors);
    written = tensors;
    ObjectNode config = config();
    if (gptq != null) {
      config.set("quantization_config", quantizationConfig(gptq));
    }
    if (w4) {
      config
          .putObject("quantization_config")
          .put("quant_method", "tercel")
          .put("format", "w4a4kv4")
          .put("version", 1);
    }
    configEdit.accept(config);
    try {
      Files.createDirectories(directory);
      Files.writeString(directory.resolve("config.json"), config.toPrettyString());
      Files.writeString(directory.resolve("generation_config.json"), generation().toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (shards == 1) {
      RawSafetensors.write(directory.resolve("model.safetensors"), tensors);
    } else {
      RawSafetensors.writeSharded(directory, tensors, shards);
    }
    if (vocab >= TinyTokenizer.SIZE) {
      TinyTokenizer.write(directory);
    }
    return directory;
  }

  /** The tensors of the last {@link #write}, as they are on disk. */
  public Map<String, RawTensor> tensors() {
    return written;
  }

  /**
   * The values that the last {@link #write} stands for, [out, in] under {@code .weight} names,
   * quantized ones dequantized exactly.
   */
  public Map<String, float[]> weights() {
    Map<String, float[]> weights = new LinkedHashMap<>();
    for (String name : written.keySet()) {
      if (name.endsWith(".qweight")) {
        String layer = name.substring(0, name.length() - ".qweight".length());
        weights.put(layer + ".weight", new GptqReader(written, layer, gptq.v2()).dequantize());
      } else if (name.endsWith(".weight") || name.endsWith(".bias")) {
        weights.put(name, written.get(name).toFloats());
      }
    }
    return weights;
  }

  /**
   * Copies any plain checkpoint with its linears rounded to 3-bit GPTQ.
   *
   * @param from not changed
   * @param to made if need be
   */
  public static Path quantizedCopy(Path from, Path to, GptqVariant variant, long seed) {
    try {
      Files.createDirectories(to);
      for (String file :
          new String[] {
            "generation_config.json", "tokenizer.json", "tokenizer_config.json",
          }) {
        if (Files.exists(from.resolve(file))) {
          Files.write(to.resolve(file), Files.readAllBytes(from.resolve(file)));
        }
      }
      ObjectNode config = (ObjectNode) JSON.readTree(from.resolve("config.json").toFile());
      config.set("quantization_config", quantizationConfig(variant));
      Files.writeString(to.resolve("config.json"), config.toPrettyString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Map<String, RawTensor> tensors = RawSafetensors.readDirectory(from);
    RawSafetensors.write(
        to.resolve("model.safetensors"), quantize(tensors, variant, new Random(seed)));
    return to;
  }

  private static Map<String, RawTensor> quantize(
      Map<String, RawTensor> tensors, GptqVariant variant, Random random) {
    Map<String, RawTensor> quantized = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) -> {
          if (!name.matches(LINEARS)) {
            quantized.put(name, tensor);
            return;
          }
          int out = (int) tensor.shape()[0];
          int in = (int) tensor.shape()[1];
          String layer = name.substring(0, name.length() - ".weight".length());
          quantized.putAll(GptqWriter.quantize(layer, tensor.toFloats(), out, in, variant, random));
        });
    return quantized;
  }

  private Map<String, RawTensor> tensors(Random random) {
    Map<String, RawTensor> t = new LinkedHashMap<>();
    put(t, "model.embed_tokens.weight", random, 0, 3 / Math.sqrt(hidden), vocab, hidden);
    for (int i = 0; i < layers; i++) {
      String layer = "model.layers." + i + ".";
      String attention = layer + "self_attn.";
      put(t, layer + "input_layernorm.weight", random, 1, 0.1, hidden);
      linear(t, attention + "q_proj", random, heads * headDim, hidden, !qwen3);
      linear(t, attention + "k_proj", random, kvHeads * headDim, hidden, !qwen3);
      linear(t, attention + "v_proj", random, kvHeads * headDim, hidden, !qwen3);
      if (qwen3) {
        put(t, attention + "q_norm.weight", random, 1.2, 0.2, headDim);
        put(t, attention + "k_norm.weight", random, 1.2, 0.2, headDim);
      }
      linear(t, attention + "o_proj", random, hidden, heads * headDim, false);
      put(t, layer + "post_attention_layernorm.weight", random, 1, 0.1, hidden);
      linear(t, layer + "mlp.gate_proj", random, ffn, hidden, false);
      linear(t, layer + "mlp.up_proj", random, ffn, hidden, false);
      linear(t, layer + "mlp.down_proj", random, hidden, ffn, false);
    }
    put(t, "model.norm.weight", random, 1, 0.1, hidden);
    if (!tied) {
      put(t, "lm_head.weight", random, 0, 3 / Math.sqrt(hidden), vocab, hidden);
    }
    return t;
  }

  private void linear(
      Map<String, RawTensor> t, String name, Random random, int out, int in, boolean biased) {
    put(t, name + ".weight", random, 0, 1.2 / Math.sqrt(in), out, in);
    if (biased) {
      put(t, name + ".bias", random, 0, 0.3, out);
    }
  }

  private void put(
      Map<String, RawTensor> t, String name, Random random, double mean, double sd, long... shape) {
    int size = 1;
    for (long dim : shape) {
      size = Math.multiplyExact(size, (int) dim);
    }
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      values[i] = (float) (mean + sd * random.nextGaussian());
    }
    t.put(name, RawTensor.floats(dtype, values, shape));
  }

  private ObjectNode config() {
    ObjectNode config = JSON.createObjectNode();
    config.putArray("architectures").add(qwen3 ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM");
    config.put("model_type", qwen3 ? "qwen3" : "qwen2");
    config.put("hidden_act", "silu").put("hidden_size", hidden).put("intermediate_size", ffn);
    config.put("num_hidden_layers", layers).put("num_attention_heads", heads);
    config.put("num_key_value_heads", kvHeads).put("vocab_size", vocab);
    if (qwen3 || headDim * heads != hidden) {
      config.put("head_dim", headDim);
    }
    config.put("rms_norm_eps", 1e-6).put("max_position_embeddings", 4096);
    config.put("tie_word_embeddings", tied).put("use_sliding_window", false);
    config.put("attention_bias", false);
    config.put("eos_token_id", Math.min(TinyTokenizer.IM_END, vocab - 1));
    String name = Map.of("F32", "float32", "F16", "float16", "BF16", "bfloat16").get(dtype);
    if (newSpelling) {
      config.put("dtype", name);
      config.putObject("rope_parameters").put("rope_theta", 10_000.0).put("rope_type", "default");
    } else {
      config.put("torch_dtype", name).put("rope_theta", 10_000.0).putNull("rope_scaling");
    }
    return config;
  }

  private ObjectNode generation() {
    ObjectNode generation = JSON.createObjectNode();
    generation.put("do_sample", true).put("temperature", 0.6).put("top_p", 0.95).put("top_k", 20);
    generation
        .putArray("eos_token_id")
        .add(Math.min(TinyTokenizer.IM_END, vocab - 1))
        .add(Math.min(TinyTokenizer.END_OF_TEXT, vocab - 2));
    return generation;
  }

  private static ObjectNode quantizationConfig(GptqVariant variant) {
    return JSON.createObjectNode()
        .put("quant_method", "gptq")
        .put("bits", 3)
        .put("group_size", 128)
        .put("sym", variant.symmetric())
        .put("desc_act", variant.actOrder())
        .put("lm_head", false)
        .put("checkpoint_format", variant.v2() ? "gptq_v2" : "gptq");
  }
}
