package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.testing.GptqReader;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.GptqWriter;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Negative scales, as AutoRound writes them: the weights stay what the file says, to the bit. */
class GptqMirrorTest {
  private static final String DOWN = "model.layers.0.mlp.down_proj";

  @TempDir Path temp;

  /** Both signs, zeros of both signs, and three groups of which the last is short. */
  @ParameterizedTest
  @CsvSource({
    "true,false,false,true",
    "true,false,true,true",
    "true,false,false,false",
    "false,false,false,true",
    "false,false,true,true",
    "true,true,false,true",
    "true,true,true,true",
    "false,true,false,true",
    "false,true,true,true"
  })
  void weights_areTheIndependentReaders(
      boolean symmetric, boolean actOrder, boolean v2, boolean gIdx) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .hidden(96)
            .ffn(288)
            .gptq(new GptqVariant(symmetric, actOrder, v2, gIdx))
            .editTensors(GptqMirrorTest::changeSigns);
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      LayerSource layer = checkpoint.layers().getFirst();
      assertSameWeights(layer.down(), new GptqReader(tiny.tensors(), DOWN, v2));
      assertSameWeights(
          layer.q(), new GptqReader(tiny.tensors(), "model.layers.0.self_attn.q_proj", v2));
    }
  }

  private static void changeSigns(Map<String, RawTensor> tensors) {
    Random random = new Random(9);
    tensors.replaceAll(
        (name, tensor) -> {
          if (!name.endsWith(".scales")) {
            return tensor;
          }
          float[] scales = tensor.toFloats();
          for (int i = 0; i < scales.length; i++) {
            scales[i] = random.nextBoolean() ? -scales[i] : scales[i];
          }
          scales[3] = -0f;
          scales[4] = 0f;
          return RawTensor.floats("F16", scales, tensor.shape());
        });
  }

  private static void assertSameWeights(LinearSource linear, GptqReader reader) {
    LinearSource.Gptq source = assertInstanceOf(LinearSource.Gptq.class, linear);
    double[] loaded = decode(source);
    int negative = 0;
    for (int row = 0; row < source.rows(); row++) {
      for (int input = 0; input < source.cols(); input++) {
        int g = reader.group(input);
        double scale = reader.scale(row, g);
        double expected = scale * (reader.code(row, input) - reader.zero(row, g));
        assertEquals(expected + 0.0, loaded[row * source.cols() + input], "output " + row);
        negative += scale < 0 ? 1 : 0;
      }
    }
    assertTrue(negative > source.rows() * source.cols() / 4, negative + " negative ones");
  }

  /** s (c - z) of every weight as it lies in memory, where no scale is negative. */
  private static double[] decode(LinearSource.Gptq source) {
    int groups = W3Block.groups(source.cols());
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    short[] scales = new short[W3Block.ROWS];
    byte[] zeros = new byte[W3Block.ROWS];
    int[] order = source.inputOrder();
    double[] weights = new double[source.rows() * source.cols()];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment matrix = arena.allocate(W3Block.matrixBytes(source.rows(), source.cols()));
      GptqDecoder decoder = new GptqDecoder(source);
      for (int row = 0; row < source.rows(); row++) {
        int r = row % W3Block.ROWS;
        if (r == 0) {
          decoder.decode(row / W3Block.ROWS, matrix);
        }
        for (int j = 0; j < source.cols(); j++) {
          int g = j / W3Block.GROUP;
          if (j % W3Block.GROUP == 0) {
            long offset = W3Block.blockOffset(row / W3Block.ROWS, g, groups);
            W3Block.unpack(matrix, offset, codes, scales, zeros);
          }
          assertTrue(scales[r] >= 0, "a negative scale in memory");
          int code = codes[r * W3Block.GROUP + j % W3Block.GROUP];
          double scale = Float.float16ToFloat(scales[r]);
          int input = order == null ? j : order[j];
          weights[row * source.cols() + input] = scale * (code - zeros[r]) + 0.0;
        }
      }
    }
    return weights;
  }

  /** By hand: s = -0.5, z = 4, codes 0 to 7 over and over. */
  @Test
  void golden() {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .hidden(96)
            .ffn(288)
            .gptq(GptqVariant.SYM)
            .editTensors(
                t -> {
                  int[] ramp = new int[288];
                  Arrays.setAll(ramp, i -> i % 8);
                  int[] column = GptqWriter.pack(ramp);
                  int[] words = new int[27 * 96];
                  Arrays.setAll(words, i -> column[i / 96]);
                  float[] scales = new float[3 * 96];
                  Arrays.fill(scales, -0.5f);
                  t.put(DOWN + ".qweight", RawTensor.ints(words, 27, 96));
                  t.put(DOWN + ".scales", RawTensor.floats("F16", scales, 3, 96));
                });
    double[] golden = {2, 1.5, 1, 0.5, 0, -0.5, -1, -1.5};
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      LinearSource down = checkpoint.layers().getFirst().down();
      double[] weights = decode(assertInstanceOf(LinearSource.Gptq.class, down));
      for (int i = 0; i < weights.length; i++) {
        assertEquals(golden[i % 288 % 8], weights[i], "weight " + i);
      }
    }
  }
}
