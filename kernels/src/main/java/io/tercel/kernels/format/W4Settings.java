package io.tercel.kernels.format;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a checkpoint of Tercel's own says about its quantization: {@code w4a4kv4} in version 1, or
 * it is refused by name. {@code docs/formats.md} has the layout.
 */
final class W4Settings {
  /** The {@code quant_method} of its own formats. */
  static final String METHOD = "tercel";

  private static final String FORMAT = "w4a4kv4";
  private static final int VERSION = 1;

  private W4Settings() {}

  /**
   * Whether config.json's {@code quantization_config} is of this kind.
   *
   * @throws CheckpointException if it is, but of another format or version, or a second description
   *     lies beside it
   */
  static boolean declared(Path directory, JsonSection config) {
    JsonSection json = config.object("quantization_config");
    if (json == null || !METHOD.equals(json.stringOrNull("quant_method"))) {
      return false;
    }
    if (!FORMAT.equals(json.stringOrNull("format"))) {
      throw json.refuse("format", FORMAT);
    }
    if (json.requireInt("version", 0, Integer.MAX_VALUE) != VERSION) {
      throw json.refuse("version", VERSION + "; a newer Tercel may read it");
    }
    Path other = directory.resolve(GptqSettings.FILE);
    if (Files.exists(other)) {
      throw new CheckpointException(
          other + ": is there, but config.json says " + METHOD + " " + FORMAT);
    }
    return true;
  }
}
