package io.tercel.kernels.model;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.CompressedWriter;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model of compressed-tensors computes what its GPTQ twin does. */
class CompressedModelTest {
  private static final GptqVariant VARIANT = GptqVariant.ASYM_ACT_ORDER_V2;

  @TempDir Path temp;

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void logits_areThoseOfTheGptqTwin(boolean dense) {
    float[][] expected = logits(tiny().gptq(VARIANT).write(temp.resolve("gptq")));
    Path twin = new CompressedWriter(VARIANT, dense).twin(tiny()).write(temp.resolve("twin"));
    Lab.assertSame(expected, logits(twin), "dense " + dense);
  }

  private static TinyCheckpoint tiny() {
    return TinyCheckpoint.qwen2().hidden(160).ffn(288);
  }

  private static float[][] logits(Path directory) {
    try (WeightStore weights = Lab.load(directory);
        Lab lab = new Lab(weights, new VectorOps(2), KvType.FP32)) {
      return lab.alone(lab.sequence(3, 24, 0, 1), 9);
    }
  }
}
