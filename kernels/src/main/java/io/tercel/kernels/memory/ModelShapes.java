package io.tercel.kernels.memory;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The published models' shapes, for runs on random weights. */
public final class ModelShapes {
  public static final ModelConfig QWEN3_0_6B =
      new ModelConfig(
          Architecture.QWEN3,
          1024,
          3072,
          28,
          16,
          8,
          128,
          151_936,
          1e-6f,
          1e6,
          40_960,
          true,
          List.of(151_645, 151_643));

  public static final ModelConfig QWEN3_4B =
      new ModelConfig(
          Architecture.QWEN3,
          2560,
          9728,
          36,
          32,
          8,
          128,
          151_936,
          1e-6f,
          1e6,
          40_960,
          true,
          List.of(151_645, 151_643));

  /** DeepSeek-R1-Distill-Qwen-1.5B. */
  public static final ModelConfig R1_1_5B =
      new ModelConfig(
          Architecture.QWEN2,
          1536,
          8960,
          28,
          12,
          2,
          128,
          151_936,
          1e-6f,
          1e4,
          131_072,
          false,
          List.of(151_643));

  private static final Map<String, ModelConfig> BY_NAME =
      new TreeMap<>(Map.of("qwen3-0.6b", QWEN3_0_6B, "qwen3-4b", QWEN3_4B, "r1-1.5b", R1_1_5B));

  private ModelShapes() {}

  /** The names that {@link #byName} knows, in order. */
  public static List<String> names() {
    return List.copyOf(BY_NAME.keySet());
  }

  /**
   * @throws IllegalArgumentException naming the known ones
   */
  public static ModelConfig byName(String name) {
    ModelConfig config = BY_NAME.get(name.toLowerCase(Locale.ROOT));
    if (config == null) {
      throw new IllegalArgumentException("no shape %s; there are %s".formatted(name, names()));
    }
    return config;
  }
}
