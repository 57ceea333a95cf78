package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.GptqDecoder;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.DoubleReference;
import io.tercel.kernels.testing.GptqReader;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.trainer.ptq.QuantizeOptions.CheckpointFormat;
import io.tercel.trainer.ptq.QuantizeOptions.Method;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A quantized model through its files and back, read by the engine and by independent readers. */
class ExportTest {
  private static final Quantizer.Progress SILENT = (name, weights) -> {};

  @TempDir private Path temp;

  private static Calibration calibration(int vocab) {
    Random random = new Random(3);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      sequences.add(random.ints(20 + random.nextInt(30), 0, vocab).toArray());
    }
    return new Calibration(sequences);
  }

  private static QuantizeOptions options(
      Method method, boolean symmetric, boolean actOrder, CheckpointFormat format) {
    return new QuantizeOptions(method, symmetric, true, actOrder, false, 0.01, format, true);
  }

  private static void quantize(Path from, Path to, QuantizeOptions options) throws IOException {
    try (Checkpoint source = Checkpoint.open(from);
        Ops ops = new VectorOps(1)) {
      Calibration observed = calibration(source.config().vocabSize());
      Quantizer.quantize(source, to, observed, options, ops, SILENT);
    }
  }

  @Test
  void packing_matchesTheGoldenWords() {
    int[] counting = new int[32];
    Arrays.setAll(counting, i -> i % 8);
    assertArrayEquals(new int[] {0x88FAC688, 0xC688FAC6, 0xFAC688FA}, packed(counting));
    int[] fours = new int[32];
    Arrays.fill(fours, 4);
    assertArrayEquals(new int[] {0x24924924, 0x49249249, 0x92492492}, packed(fours));
    int[] tenth = new int[32];
    tenth[10] = 7;
    assertArrayEquals(new int[] {0xC0000000, 0x00000001, 0}, packed(tenth));
    int[] twentyFirst = new int[32];
    twentyFirst[21] = 7;
    assertArrayEquals(new int[] {0, 0x80000000, 0x00000003}, packed(twentyFirst));
  }

  private static int[] packed(int[] codes) {
    QuantizedMatrix matrix = QuantizedMatrix.empty(1, 32);
    for (int i = 0; i < 32; i++) {
      matrix.codes()[i] = (byte) codes[i];
    }
    return GptqTensors.qweight(matrix);
  }

  /**
   * Codes, scales and zero points pass unchanged through the files, to the independent reader and
   * to the engine's decoder; groups are those of neighbours.
   */
  @ParameterizedTest
  @CsvSource({
    "RTN,true,false,AUTO,gptq",
    "RTN,false,false,AUTO,gptq_v2",
    "GPTQ,true,true,GPTQ_V2,gptq_v2",
    "GPTQ,false,true,GPTQ,gptq",
    "GPTQ,false,true,AUTO,gptq_v2",
    "GPTQ,false,false,AUTO,gptq_v2"
  })
  void roundTrip_isExact(
      Method method, boolean symmetric, boolean actOrder, CheckpointFormat format, String written)
      throws IOException {
    TinyCheckpoint tiny = symmetric ? TinyCheckpoint.qwen2() : TinyCheckpoint.qwen3();
    Path from = tiny.write(temp.resolve("plain"));
    Path to = temp.resolve("w3");
    quantize(from, to, options(method, symmetric, actOrder, format));

    JsonNode config = new ObjectMapper().readTree(to.resolve("config.json").toFile());
    JsonNode said = config.get("quantization_config");
    assertEquals(written, said.get("checkpoint_format").asText());
    assertEquals(symmetric, said.get("sym").asBoolean());
    assertFalse(said.get("desc_act").asBoolean());
    assertEquals(said, new ObjectMapper().readTree(to.resolve("quantize_config.json").toFile()));

    Map<String, RawTensor> tensors = RawSafetensors.readDirectory(to);
    try (PtqState state = PtqState.open(to);
        Checkpoint back = Checkpoint.open(to)) {
      assertEquals(List.of(), back.unexpectedTensors());
      assertEquals(14, state.layers().size());
      for (LinearSource linear : GptqExport.linears(back)) {
        QuantizedMatrix m = state.matrix(linear.name());
        float[] latents = state.latents(linear.name());
        LinearSource.Gptq gptq = (LinearSource.Gptq) linear;
        assertNull(gptq.inputOrder());
        assertReadBitForBit(m, new GptqReader(tensors, linear.name(), written.equals("gptq_v2")));
        assertDecoded(m, gptq);
        for (int i = 0; i < latents.length; i++) {
          int g = i / m.cols() * m.groups() + i % m.cols() / 128;
          assertEquals(
              m.codes()[i], Grid.code(latents[i], m.scales()[g], m.zeros()[g]), linear.name());
          assertTrue(!symmetric || m.zeros()[g] == 4);
          assertTrue(!written.equals("gptq") || m.zeros()[g] >= 1);
        }
      }
    }
    assertUnquantizedAreUnchanged(tiny.tensors(), tensors);
  }

  private static void assertReadBitForBit(QuantizedMatrix m, GptqReader reader) {
    assertEquals(m.rows(), reader.out());
    assertEquals(m.cols(), reader.in());
    for (int row = 0; row < m.rows(); row++) {
      for (int j = 0; j < m.cols(); j++) {
        assertEquals(j / 128, reader.group(j));
        assertEquals(m.codes()[row * m.cols() + j], reader.code(row, j));
      }
      for (int g = 0; g < m.groups(); g++) {
        assertEquals(m.scales()[row * m.groups() + g], reader.scale(row, g));
        assertEquals(m.zeros()[row * m.groups() + g], reader.zero(row, g));
      }
    }
    assertArrayEquals(m.dequantize(), reader.dequantize());
  }

  /** What the engine makes of the file is what the pipeline computed with. */
  private static void assertDecoded(QuantizedMatrix m, LinearSource.Gptq source) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment decoded = arena.allocate(W3Block.matrixBytes(m.rows(), m.cols()), 64);
      GptqDecoder decoder = new GptqDecoder(source);
      for (int tile = 0; tile < W3Block.tiles(m.rows()); tile++) {
        decoder.decode(tile, decoded);
      }
      MemorySegment packed = GptqTensors.blocks(source.name(), m, arena).segment();
      assertEquals(-1, packed.mismatch(decoded), source.name());
    }
  }

  private static void assertUnquantizedAreUnchanged(
      Map<String, RawTensor> before, Map<String, RawTensor> after) {
    int compared = 0;
    for (Map.Entry<String, RawTensor> e : before.entrySet()) {
      if (!e.getKey().endsWith("_proj.weight")) {
        RawTensor copy = Objects.requireNonNull(after.get(e.getKey()));
        assertEquals(e.getValue().dtype(), copy.dtype());
        assertArrayEquals(e.getValue().shape(), copy.shape());
        assertArrayEquals(e.getValue().data(), copy.data());
        compared++;
      }
    }
    assertTrue(compared >= 10);
  }

  /** The exported model is the model with its linears replaced by what the codes stand for. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void logProbs_areThoseOfTheDequantizedWeights(boolean qwen3) throws IOException {
    TinyCheckpoint tiny =
        (qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2()).dtype("F32").hidden(160);
    Path from = tiny.write(temp.resolve("plain"));
    Path to = temp.resolve("w3");
    quantize(from, to, QuantizeOptions.gptq());
    Map<String, RawTensor> dequantized = new LinkedHashMap<>(tiny.tensors());
    try (PtqState state = PtqState.open(to)) {
      for (String layer : state.layers()) {
        QuantizedMatrix m = state.matrix(layer);
        dequantized.put(
            layer + ".weight", RawTensor.floats("F32", m.dequantize(), m.rows(), m.cols()));
      }
    }
    RawSafetensors.write(from.resolve("model.safetensors"), dequantized);
    int[] tokens = new Random(1).ints(40, 0, 250).toArray();
    double[][] expected = DoubleReference.open(from).logProbs(tokens);
    double[][] actual = DoubleReference.open(to).logProbs(tokens);
    for (int t = 0; t < tokens.length; t++) {
      assertArrayEquals(expected[t], actual[t], 1e-3);
    }
  }

  /** Widths that are no multiples of a group, and tensors dealt out to files. */
  @Test
  void sharded_withBiases_andRaggedGroups() throws IOException {
    Path from = TinyCheckpoint.qwen2().hidden(96).ffn(224).shards(3).write(temp.resolve("plain"));
    Path to = temp.resolve("w3");
    quantize(from, to, QuantizeOptions.gptq());
    int[] tokens = {1, 2, 3, 4, 5};
    double[][] full = DoubleReference.open(from).logProbs(tokens);
    double[][] three = DoubleReference.open(to).logProbs(tokens);
    double difference = 0;
    for (int i = 0; i < full[4].length; i++) {
      difference = Math.max(difference, Math.abs(full[4][i] - three[4][i]));
    }
    assertTrue(difference > 0.01 && difference < 15, "difference " + difference);
  }

  @Test
  void sameSeed_sameBytes() throws IOException {
    Path from = TinyCheckpoint.qwen3().write(temp.resolve("plain"));
    quantize(from, temp.resolve("a"), QuantizeOptions.gptq());
    quantize(from, temp.resolve("b"), QuantizeOptions.gptq());
    for (String file : List.of("model.safetensors", PtqState.FILE, "config.json")) {
      assertEquals(
          -1, Files.mismatch(temp.resolve("a").resolve(file), temp.resolve("b").resolve(file)));
    }
  }

  @Test
  void notFiniteWeight_isRefused_andNothingStays() throws IOException {
    Path from =
        TinyCheckpoint.qwen3()
            .editTensors(
                tensors -> {
                  String name = "model.layers.1.mlp.up_proj.weight";
                  RawTensor up = Objects.requireNonNull(tensors.get(name));
                  float[] values = up.toFloats();
                  values[64 * 3 + 9] = Float.NaN;
                  tensors.put(name, RawTensor.floats("BF16", values, up.shape()));
                })
            .write(temp.resolve("plain"));
    Path to = temp.resolve("w3");
    for (QuantizeOptions options : List.of(QuantizeOptions.gptq(), QuantizeOptions.rtn(true))) {
      CheckpointException e =
          assertThrows(CheckpointException.class, () -> quantize(from, to, options));
      String said = String.valueOf(e.getMessage());
      assertTrue(said.contains("model.layers.1.mlp.up_proj.weight"), said);
      assertTrue(said.contains("NaN at output 3, input 9"), said);
      try (Stream<Path> left = Files.list(temp)) {
        assertEquals(List.of(from), left.toList());
      }
    }
  }

  @Test
  void refuses_whatCannotBeWritten() throws IOException {
    Path from = TinyCheckpoint.qwen3().write(temp.resolve("plain"));
    Path to = temp.resolve("w3");
    quantize(from, to, QuantizeOptions.rtn(false));
    assertThrowsSaying("exists", () -> quantize(from, to, QuantizeOptions.rtn(false)));
    assertThrowsSaying(
        "quantized already", () -> quantize(to, temp.resolve("w33"), QuantizeOptions.rtn(false)));
    Path odd = TinyCheckpoint.qwen3().ffn(100).write(temp.resolve("odd"));
    assertThrowsSaying(
        "multiples of 32", () -> quantize(odd, temp.resolve("w34"), QuantizeOptions.rtn(false)));
    QuantizedMatrix zero = QuantizedMatrix.empty(32, 32);
    assertThrows(IllegalArgumentException.class, () -> GptqTensors.qzeros(zero, false));
  }

  private static void assertThrowsSaying(String words, Executable action) {
    UserException e = assertThrows(UserException.class, action);
    assertTrue(String.valueOf(e.getMessage()).contains(words), e.getMessage());
    assertFalse(String.valueOf(e.getMessage()).contains("\n"));
  }

  @Test
  void scalarAndVector_giveTheSameModel() throws IOException {
    Path from = TinyCheckpoint.qwen3().layers(1).write(temp.resolve("plain"));
    quantize(from, temp.resolve("a"), QuantizeOptions.gptq());
    try (Checkpoint source = Checkpoint.open(from)) {
      Quantizer.quantize(
          source,
          temp.resolve("b"),
          calibration(source.config().vocabSize()),
          QuantizeOptions.gptq(),
          new ScalarOps(),
          SILENT);
    }
    assertEquals(
        -1,
        Files.mismatch(temp.resolve("a/model.safetensors"), temp.resolve("b/model.safetensors")));
  }
}
