package io.tercel.kernels.format;

import io.tercel.kernels.format.ModelConfig.Architecture;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads {@code config.json} in its old and its new spelling. What would change the arithmetic and
 * is not implemented (scaled RoPE, sliding windows, another activation) is refused, never ignored.
 */
final class ModelConfigReader {
  private static final int MAX_WIDTH = 1 << 20;

  private final JsonSection json;

  private ModelConfigReader(JsonSection json) {
    this.json = json;
  }

  /**
   * @param moreEosIds of generation_config.json, merged behind config.json's own
   * @throws CheckpointException naming the field
   */
  static ModelConfig read(JsonSection json, List<Integer> moreEosIds) {
    return new ModelConfigReader(json).read(moreEosIds);
  }

  private ModelConfig read(List<Integer> moreEosIds) {
    Architecture architecture = architecture();
    refuseUnimplemented();
    int hidden = json.requireInt("hidden_size", 1, MAX_WIDTH);
    int ffn = json.requireInt("intermediate_size", 1, MAX_WIDTH);
    int layers = json.requireInt("num_hidden_layers", 1, 4096);
    int heads = json.requireInt("num_attention_heads", 1, 4096);
    int kvHeads = json.requireInt("num_key_value_heads", 1, heads);
    if (heads % kvHeads != 0) {
      throw json.refuse("num_key_value_heads", "a divisor of num_attention_heads, " + heads);
    }
    int headDim = headDim(hidden, heads);
    int vocab = json.requireInt("vocab_size", 1, 1 << 24);
    float eps = (float) json.requireDouble("rms_norm_eps", 1e-12, 0.1);
    int positions = json.requireInt("max_position_embeddings", 1, Integer.MAX_VALUE);
    // both families' own default is false, unlike the base class's
    boolean tied = json.booleanOr("tie_word_embeddings", false);
    return new ModelConfig(
        architecture,
        hidden,
        ffn,
        layers,
        heads,
        kvHeads,
        headDim,
        vocab,
        eps,
        ropeTheta(),
        positions,
        tied,
        eosIds(vocab, moreEosIds));
  }

  private Architecture architecture() {
    String supported = "Qwen2ForCausalLM or Qwen3ForCausalLM";
    List<String> names = json.strings("architectures");
    String type = json.stringOrNull("model_type");
    if (names.isEmpty()) {
      if (type == null) {
        throw new CheckpointException(
            json.file() + ": architectures is missing; supported are " + supported);
      }
      return switch (type) {
        case "qwen2" -> Architecture.QWEN2;
        case "qwen3" -> Architecture.QWEN3;
        default -> throw json.refuse("model_type", "qwen2 or qwen3");
      };
    }
    Architecture architecture =
        switch (names.getFirst()) {
          case "Qwen2ForCausalLM" -> Architecture.QWEN2;
          case "Qwen3ForCausalLM" -> Architecture.QWEN3;
          default -> throw json.refuse("architectures", supported);
        };
    String expected = architecture == Architecture.QWEN2 ? "qwen2" : "qwen3";
    if (names.size() != 1) {
      throw json.refuse("architectures", "one of " + supported);
    }
    if (type != null && !type.equals(expected)) {
      throw json.refuse("model_type", expected + ", as architectures says");
    }
    return architecture;
  }

  private void refuseUnimplemented() {
    String act = json.stringOrNull("hidden_act");
    if (act != null && !act.equals("silu")) {
      throw json.refuse("hidden_act", "silu");
    }
    if (json.booleanOr("use_sliding_window", false)) {
      throw json.refuse("use_sliding_window", "false: sliding windows are not implemented");
    }
    for (String type : json.strings("layer_types")) {
      if (!type.equals("full_attention")) {
        throw json.refuse("layer_types", "full_attention only");
      }
    }
    for (String field : List.of("rope_scaling", "rope_parameters")) {
      JsonSection rope = json.object(field);
      if (rope != null) {
        refuseScaling(rope, field.equals("rope_scaling"));
      }
    }
    refusePartialRotary(json);
  }

  private static void refuseScaling(JsonSection rope, boolean onlyScaling) {
    for (String field : List.of("rope_type", "type")) {
      String type = rope.stringOrNull(field);
      if (type != null && !type.equals("default")) {
        throw rope.refuse(field, "default: scaled RoPE is not implemented");
      }
    }
    // a factor without a type says that something is scaled, and not how
    if (onlyScaling && !rope.has("rope_type") && !rope.has("type") && rope.has("factor")) {
      throw rope.refuse("factor", "none without a type");
    }
    refusePartialRotary(rope);
  }

  private static void refusePartialRotary(JsonSection section) {
    if (section.doubleOr("partial_rotary_factor", 0, 1, 1) != 1) {
      throw section.refuse("partial_rotary_factor", "1: partial RoPE is not implemented");
    }
  }

  private int headDim(int hidden, int heads) {
    if (json.has("head_dim")) {
      int headDim = json.requireInt("head_dim", 2, 4096);
      if (headDim % 2 != 0) {
        throw json.refuse("head_dim", "an even number, for RoPE turns pairs");
      }
      return headDim;
    }
    if (hidden % heads != 0 || hidden / heads % 2 != 0 || hidden / heads > 4096) {
      throw new CheckpointException(
          "%s: head_dim is missing and hidden_size / num_attention_heads, %d / %d, is no even number"
              .formatted(json.file(), hidden, heads));
    }
    return hidden / heads;
  }

  private double ropeTheta() {
    JsonSection rope = json.object("rope_parameters");
    boolean isNew = rope != null && rope.has("rope_theta");
    if (rope == null || !isNew) {
      return json.requireDouble("rope_theta", 1, 1e12);
    }
    double theta = rope.requireDouble("rope_theta", 1, 1e12);
    if (json.doubleOr("rope_theta", 1, 1e12, theta) != theta) {
      throw json.refuse("rope_theta", theta + ", as rope_parameters.rope_theta says");
    }
    return theta;
  }

  private List<Integer> eosIds(int vocab, List<Integer> more) {
    List<Integer> ids = new ArrayList<>(json.intsOr("eos_token_id", 0, vocab - 1, 1024));
    for (int id : more) {
      if (id >= vocab) {
        throw new CheckpointException(
            "%s: eos_token_id has %d; expected ids below vocab_size, %d"
                .formatted(json.file().resolveSibling(GenerationDefaults.FILE), id, vocab));
      }
      ids.add(id);
    }
    return ids.stream().distinct().toList();
  }
}
