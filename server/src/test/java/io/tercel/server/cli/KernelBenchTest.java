package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.model.MachineLimits;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class KernelBenchTest {

  @Test
  void everyLayer_atEveryNumberOfTokens() {
    ModelConfig config =
        new ModelConfig(
            ModelConfig.Architecture.QWEN3,
            128,
            256,
            2,
            2,
            1,
            64,
            333,
            1e-6f,
            1e6,
            4096,
            true,
            List.of());
    StringWriter text = new StringWriter();
    try (Ops ops = new VectorOps(1)) {
      new KernelBench(config, 1, 1 << 16, Duration.ZERO, new PrintWriter(text))
          .run(ops, new MachineLimits(1, 1e10, 1e11, 0), 48);
    }
    List<String> lines = text.toString().lines().toList();
    assertEquals(8 * KernelBench.TOKENS.length, lines.size());
    for (String layer :
        List.of(
            "w3g128 q k v, 256 x 128",
            "w3g128 o, 128 x 128",
            "w3g128 gate up, 512 x 128",
            "w3g128 down, 128 x 256",
            "int8g128 head, 333 x 128",
            "bf16 head, 333 x 128",
            "attention int4 @48",
            "attention fp16 @48")) {
      assertEquals(
          KernelBench.TOKENS.length, lines.stream().filter(l -> l.contains(layer)).count(), layer);
    }
    assertFalse(text.toString().contains("NaN"), text.toString());
  }

  @Test
  void limits_arePlausible() {
    MachineLimits limits = MachineLimits.measure(1);
    assertTrue(limits.readBandwidth() > 1e8 && limits.readBandwidth() < 1e12, limits.describe());
    assertTrue(limits.fp32() > 1e8 && limits.fp32() < 2e12, limits.describe());
    // no instruction set has fewer byte products a second than products of floats
    assertTrue(limits.int8() == 0 || limits.int8() > limits.fp32(), limits.describe());
  }
}
