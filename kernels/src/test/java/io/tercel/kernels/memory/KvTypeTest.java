package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What {@code auto} chooses for whom. */
class KvTypeTest {
  private static final String KEYS = "model.layers.1.self_attn.k_proj.bias";

  @TempDir Path temp;

  private KvType automatic(TinyCheckpoint tiny) {
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      return KvType.automatic(checkpoint.config(), WeightPlan.of(checkpoint));
    }
  }

  private static TinyCheckpoint qwen2() {
    return TinyCheckpoint.qwen2().hidden(128).heads(2, 1, 64).layers(2).vocab(97);
  }

  /** One channel of one layer is enough, of either sign. */
  @ParameterizedTest
  @CsvSource({"3,INT4", "-4,INT4", "-5,FP16", "100,FP16"})
  void threeBits_areInt4_unlessABiasMakesAKeyAnOutlier(float bias, KvType expected) {
    TinyCheckpoint tiny =
        qwen2()
            .gptq(GptqVariant.SYM)
            .editTensors(
                t -> {
                  float[] values = new float[64];
                  Arrays.fill(values, 0.5f);
                  values[17] = bias;
                  t.put(KEYS, RawTensor.floats("BF16", values, 64));
                });
    assertEquals(expected, automatic(tiny));
  }

  @Test
  void narrowHeadsAndFullPrecision_are16Bit() {
    assertEquals(KvType.FP16, automatic(qwen2()));
    assertEquals(
        KvType.FP16,
        automatic(
            TinyCheckpoint.qwen3().hidden(128).heads(4, 2, 32).vocab(97).gptq(GptqVariant.SYM)));
  }

  /** Their keys are transformed, or the model's maker has seen what plain rounding does. */
  @Test
  void fourBits_areInt4_whateverTheBias() {
    TinyCheckpoint tiny =
        qwen2()
            .w4()
            .editTensors(
                t -> {
                  float[] values = new float[64];
                  values[17] = 50;
                  t.put(KEYS, RawTensor.floats("BF16", values, 64));
                });
    assertEquals(KvType.INT4, automatic(tiny));
  }
}
