package io.tercel.kernels.format;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint of compressed-tensors says about its quantization: {@code pack-quantized} 3-bit
 * integers in groups of 128 in all linear layers, or it is refused by name.
 *
 * @param symmetric whether every zero point is 4, and none is stored
 * @param actOrder whether the inputs of a group are listed in weight_g_idx
 */
record CompressedSettings(boolean symmetric, boolean actOrder) {
  private static final String METHOD = "compressed-tensors";
  private static final String FORMAT = "pack-quantized";
  private static final String ALL_LINEAR = "[\"Linear\"]: all linear layers are quantized alike";

  /** Modules that stay 16-bit here, and may be said to. */
  private static final Set<String> PLAIN =
      Set.of("lm_head", "model.embed_tokens", "embed_tokens", "Embedding");

  /**
   * Reads config.json's {@code quantization_config}.
   *
   * @return null if it is not there, or of another method
   * @throws CheckpointException if it is of this method, but describes anything else than 3-bit
   *     weights in groups of 128, or a second description lies beside it
   */
  static @Nullable CompressedSettings read(Path directory, JsonSection config) {
    JsonSection json = config.object("quantization_config");
    if (json == null || !METHOD.equals(json.stringOrNull("quant_method"))) {
      return null;
    }
    expect(json, "format", FORMAT);
    Path other = directory.resolve(GptqSettings.FILE);
    if (Files.exists(other)) {
      throw new CheckpointException(other + ": is there, but config.json says " + METHOD);
    }
    refuseMore(json);
    for (String module : json.strings("ignore")) {
      if (!PLAIN.contains(module.replaceFirst("^re:\\^?(\\.\\*)?", "").replaceFirst("\\$$", ""))) {
        throw json.refuse("ignore", "at most lm_head and embed_tokens");
      }
    }
    JsonSection groups = json.object("config_groups");
    if (groups == null || groups.fieldNames().size() != 1) {
      throw json.refuse("config_groups", "one group, of all linear layers");
    }
    String name = groups.fieldNames().getFirst();
    JsonSection group = groups.object(name);
    if (group == null) {
      throw groups.refuse(name, "an object");
    }
    return group(group);
  }

  /** What would compute something else than the weights and their scales do. */
  private static void refuseMore(JsonSection json) {
    if (json.has("kv_cache_scheme")) {
      throw json.refuse("kv_cache_scheme", "null: how keys and values are kept is the server's");
    }
    JsonSection transforms = json.object("transform_config");
    if (transforms != null && !transforms.fieldNames().isEmpty()) {
      throw json.refuse("transform_config", "none: its transforms are not implemented");
    }
    JsonSection sparsity = json.object("sparsity_config");
    if (sparsity != null && !sparsity.fieldNames().isEmpty()) {
      expect(sparsity, "format", "dense");
    }
  }

  private static CompressedSettings group(JsonSection group) {
    if (!group.strings("targets").equals(List.of("Linear"))) {
      throw group.refuse("targets", ALL_LINEAR);
    }
    if (group.has("format")) {
      expect(group, "format", FORMAT);
    }
    for (String activations : List.of("input_activations", "output_activations")) {
      if (group.has(activations)) {
        throw group.refuse(activations, "null: only weights are quantized");
      }
    }
    JsonSection weights = group.object("weights");
    if (weights == null) {
      throw group.refuse("weights", "how they are quantized");
    }
    if (weights.requireInt("num_bits", 0, 64) != 3) {
      throw weights.refuse("num_bits", "3");
    }
    if (weights.has("type")) { // int, where it is left out
      expect(weights, "type", "int");
    }
    if (weights.has("strategy")) { // as group_size has it, where it is left out
      expect(weights, "strategy", "group");
    }
    if (weights.requireInt("group_size", Integer.MIN_VALUE, Integer.MAX_VALUE) != 128) {
      throw weights.refuse("group_size", "128");
    }
    return new CompressedSettings(weights.booleanOr("symmetric", true), actOrder(weights));
  }

  private static boolean actOrder(JsonSection weights) {
    String order = weights.stringOrNull("actorder");
    return switch (order == null ? "weight" : order) {
      case "group", "dynamic" -> true;
      // the order in which they were rounded, which nothing depends on any more
      case "weight", "static" -> false;
      default -> throw weights.refuse("actorder", "null, group or weight");
    };
  }

  private static void expect(JsonSection json, String field, String value) {
    if (!value.equals(json.stringOrNull(field))) {
      throw json.refuse(field, value);
    }
  }
}
