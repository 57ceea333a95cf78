package io.tercel.kernels.format;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint says about its quantization: 3-bit GPTQ in groups of 128, or it is refused by
 * name. Symmetry and act-order need no word here: the zero points and g_idx themselves tell.
 *
 * @param zeroOffset added to a stored zero point, modulo 8: 1 in checkpoint format {@code gptq},
 *     which stores z - 1 and wraps 0 to 7, and 0 in {@code gptq_v2}
 */
record GptqSettings(int zeroOffset) {
  static final String FILE = "quantize_config.json";
  private static final String FIELD = "quantization_config";

  /**
   * Reads config.json's {@code quantization_config} and {@code quantize_config.json}.
   *
   * @return null if neither is there: nothing is quantized
   * @throws CheckpointException if anything else than 3-bit GPTQ is described, or the two differ
   */
  static @Nullable GptqSettings read(Path directory, JsonSection config) {
    JsonSection inner = config.object(FIELD);
    JsonSection beside = JsonSection.readIfPresent(directory.resolve(FILE), 16 << 20);
    GptqSettings fromInner = inner == null ? null : read(inner, true);
    GptqSettings fromBeside = beside == null ? null : read(beside, false);
    if (inner == null || beside == null) {
      return fromInner != null ? fromInner : fromBeside;
    }
    // a format that only one of them names is no contradiction
    if (inner.has("checkpoint_format")
        && beside.has("checkpoint_format")
        && !Objects.equals(fromInner, fromBeside)) {
      throw beside.refuse("checkpoint_format", "what " + config.file() + " says");
    }
    return inner.has("checkpoint_format") ? fromInner : fromBeside;
  }

  private static GptqSettings read(JsonSection json, boolean methodRequired) {
    String method = json.stringOrNull("quant_method");
    if (method == null && methodRequired) {
      throw new CheckpointException(
          json.file() + ": " + FIELD + ".quant_method is missing; expected gptq");
    }
    if (method != null && !method.equals("gptq")) {
      throw json.refuse("quant_method", "gptq, the one method implemented");
    }
    if (json.requireInt("bits", 0, 64) != 3) {
      throw json.refuse("bits", "3");
    }
    if (json.requireInt("group_size", Integer.MIN_VALUE, Integer.MAX_VALUE) != 128) {
      throw json.refuse("group_size", "128");
    }
    if (json.booleanOr("lm_head", false)) {
      throw json.refuse("lm_head", "false: the head stays 16-bit");
    }
    JsonSection dynamic = json.object("dynamic");
    if (dynamic != null && !dynamic.fieldNames().isEmpty()) {
      throw json.refuse("dynamic", "none: layers quantized each its own way are not implemented");
    }
    if (json.booleanOr("is_marlin_format", false)) {
      throw json.refuse("is_marlin_format", "false");
    }
    String packed = json.stringOrNull("pack_dtype");
    if (packed != null && !packed.equals("int32")) {
      throw json.refuse("pack_dtype", "int32");
    }
    json.booleanOr("sym", true);
    json.booleanOr("desc_act", false);
    return new GptqSettings(zeroOffset(json));
  }

  private static int zeroOffset(JsonSection json) {
    int offset = 1;
    for (String field : List.of("format", "checkpoint_format")) {
      String format = json.stringOrNull(field);
      if (format != null) {
        offset =
            switch (format.toLowerCase(Locale.ROOT)) {
              case "gptq" -> 1;
              case "gptq_v2" -> 0;
              default -> throw json.refuse(field, "gptq or gptq_v2");
            };
      }
    }
    return offset;
  }
}
