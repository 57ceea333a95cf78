package io.tercel.trainer.qat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a model as a Hugging Face directory; the tokenizer's files are copied or written apart.
 */
public final class ModelDirectory {
  /** What a tokenizer consists of, as far as a model has it. */
  public static final List<String> TOKENIZER_FILES =
      List.of(
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "chat_template.jinja",
          "vocab.json",
          "merges.txt");

  private ModelDirectory() {}

  /**
   * Writes config.json and model.safetensors; each is replaced whole. Fake quantization is not
   * applied: these are the latents.
   *
   * @param dtype F32, F16 or BF16
   */
  public static void write(QatModel model, Path directory, DType dtype) throws IOException {
    Files.createDirectories(directory);
    List<SafetensorsWriter.Entry> entries = new ArrayList<>();
    for (Parameter parameter : model.parameters()) {
      entries.add(new SafetensorsWriter.Entry(parameter.name(), dtype, parameter.shape()));
    }
    Path file = directory.resolve("model.safetensors");
    try (SafetensorsWriter tensors = SafetensorsWriter.create(file, entries)) {
      for (Parameter parameter : model.parameters()) {
        tensors.write(parameter.name(), parameter::get);
      }
      tensors.finish();
    }
    AtomicFile.write(directory.resolve("config.json"), config(model.config(), dtype));
  }

  /** Copies the tokenizer's files and generation_config.json. */
  public static void copyTokenizer(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    for (String name : TOKENIZER_FILES) {
      if (Files.isRegularFile(from.resolve(name))) {
        AtomicFile.write(to.resolve(name), Files.readString(from.resolve(name)));
      }
    }
    Path generation = from.resolve("generation_config.json");
    if (Files.isRegularFile(generation)) {
      AtomicFile.write(to.resolve("generation_config.json"), Files.readString(generation));
    }
  }

  private static String config(ModelConfig c, DType dtype) {
    boolean qwen3 = c.architecture() == Architecture.QWEN3;
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.putArray("architectures").add(qwen3 ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM");
    json.put("model_type", qwen3 ? "qwen3" : "qwen2");
    json.put("hidden_size", c.hiddenSize()).put("intermediate_size", c.intermediateSize());
    json.put("num_hidden_layers", c.numLayers()).put("num_attention_heads", c.numHeads());
    json.put("num_key_value_heads", c.numKvHeads()).put("head_dim", c.headDim());
    json.put("vocab_size", c.vocabSize());
    // by its decimal text: a float widened to double is not what anyone writes
    json.put("rms_norm_eps", Double.parseDouble(Float.toString(c.rmsNormEps())));
    json.put("rope_theta", c.ropeTheta());
    json.put("max_position_embeddings", c.maxPositionEmbeddings());
    json.put("tie_word_embeddings", c.tieWordEmbeddings());
    json.put("hidden_act", "silu").put("attention_bias", !qwen3).put("attention_dropout", 0.0);
    json.put("use_sliding_window", false);
    json.put(
        "torch_dtype",
        switch (dtype) {
          case F32 -> "float32";
          case F16 -> "float16";
          default -> "bfloat16";
        });
    if (c.eosTokenIds().size() == 1) {
      json.put("eos_token_id", c.eosTokenIds().getFirst());
    } else if (!c.eosTokenIds().isEmpty()) {
      ArrayNode ids = json.putArray("eos_token_id");
      c.eosTokenIds().forEach(ids::add);
    }
    return json.toPrettyString() + "\n";
  }
}
