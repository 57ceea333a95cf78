package io.tercel.kernels.format;

import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint says about its quantization: 3-bit GPTQ in groups of 128, or it is refused by
 * name. What it says of symmetry and act-order is held against its zero points and g_idx, which are
 * what is computed with.
 *
 * @param zeroOffset added to a stored zero point, modulo 8: 1 in checkpoint format {@code gptq},
 *     which stores z - 1 and wraps 0 to 7, and 0 in {@code gptq_v2}
 * @param symmetric whether every zero point is promised to be 4
 * @param actOrder whether the inputs of a group are promised to be listed in g_idx
 */
record GptqSettings(int zeroOffset, boolean symmetric, boolean actOrder) {
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
    if (inner == null || beside == null || fromInner == null || fromBeside == null) {
      return fromInner != null ? fromInner : fromBeside;
    }
    // what only one of them names is no contradiction
    String format = formatField(beside);
    if (formatField(inner) != null && format != null) {
      agree(beside, format, fromInner.zeroOffset == fromBeside.zeroOffset, config);
    }
    if (inner.has("sym") && beside.has("sym")) {
      agree(beside, "sym", fromInner.symmetric == fromBeside.symmetric, config);
    }
    if (inner.has("desc_act") && beside.has("desc_act")) {
      agree(beside, "desc_act", fromInner.actOrder == fromBeside.actOrder, config);
    }
    return new GptqSettings(
        formatField(inner) != null ? fromInner.zeroOffset : fromBeside.zeroOffset,
        fromInner.symmetric || fromBeside.symmetric,
        fromInner.actOrder || fromBeside.actOrder);
  }

  private static void agree(JsonSection json, String field, boolean same, JsonSection config) {
    if (!same) {
      throw json.refuse(field, "what " + config.file() + " says");
    }
  }

  /** The name under which a section says how zero points are stored, or null if it doesn't. */
  private static @Nullable String formatField(JsonSection json) {
    return json.has("checkpoint_format")
        ? "checkpoint_format"
        : json.has("format") ? "format" : null;
  }

  private static GptqSettings read(JsonSection json, boolean methodRequired) {
    String method = json.stringOrNull("quant_method");
    if (method == null && methodRequired) {
      throw new CheckpointException(
          json.file() + ": " + FIELD + ".quant_method is missing; expected gptq");
    }
    if (method != null && !method.equals("gptq")) {
      throw json.refuse("quant_method", "gptq, compressed-tensors, or tercel for its own w4a4kv4");
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
    return new GptqSettings(
        zeroOffset(json), json.booleanOr("sym", false), json.booleanOr("desc_act", false));
  }

  private static int zeroOffset(JsonSection json) {
    int format = offsetOf(json, "format", 1);
    int offset = offsetOf(json, "checkpoint_format", format);
    if (json.has("format") && offset != format) {
      throw json.refuse("checkpoint_format", json.stringOrNull("format") + ", as format says");
    }
    return offset;
  }

  private static int offsetOf(JsonSection json, String field, int absent) {
    String format = json.stringOrNull(field);
    return switch (format == null ? "" : format.toLowerCase(Locale.ROOT)) {
      case "gptq" -> 1;
      case "gptq_v2" -> 0;
      default -> {
        if (format != null) {
          throw json.refuse(field, "gptq or gptq_v2");
        }
        yield absent;
      }
    };
  }
}
