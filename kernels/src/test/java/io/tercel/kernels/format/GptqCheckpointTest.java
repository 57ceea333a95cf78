package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.testing.GptqReader;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.GptqWriter;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class GptqCheckpointTest {
  private static final String DOWN = "model.layers.0.mlp.down_proj";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temp;

  static List<GptqVariant> variants() {
    return List.of(
        GptqVariant.SYM,
        GptqVariant.ASYM,
        GptqVariant.ASYM_V2,
        GptqVariant.SYM_ACT_ORDER,
        GptqVariant.ASYM_ACT_ORDER_V2,
        GptqVariant.SYM_NO_G_IDX);
  }

  /** 96 inputs are less than a group; 288 are two groups and a quarter. */
  private static TinyCheckpoint tiny(GptqVariant variant) {
    return TinyCheckpoint.qwen3().hidden(96).ffn(288).gptq(variant);
  }

  @ParameterizedTest
  @MethodSource("variants")
  void decode_equalsTheIndependentReader(GptqVariant variant) {
    TinyCheckpoint tiny = tiny(variant);
    Path dir = tiny.write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      for (LayerSource layer : checkpoint.layers()) {
        for (LinearSource linear :
            List.of(
                layer.q(),
                layer.k(),
                layer.v(),
                layer.o(),
                layer.gate(),
                layer.up(),
                layer.down())) {
          LinearSource.Gptq source = assertInstanceOf(LinearSource.Gptq.class, linear);
          assertEquals(QuantFormat.Grouped.W3G128, source.format());
          assertDecodes(source, new GptqReader(tiny.tensors(), source.name(), variant.v2()));
        }
      }
    }
  }

  private static void assertDecodes(LinearSource.Gptq source, GptqReader reader) {
    int rows = source.rows();
    int cols = source.cols();
    int groups = W3Block.groups(cols);
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    short[] scales = new short[W3Block.ROWS];
    byte[] zeros = new byte[W3Block.ROWS];
    int[] order = source.inputOrder();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment matrix = arena.allocate(W3Block.matrixBytes(rows, cols));
      GptqDecoder decoder = new GptqDecoder(source);
      for (int tile = 0; tile < W3Block.tiles(rows); tile++) {
        decoder.decode(tile, matrix);
      }
      for (int row = 0; row < rows; row++) {
        for (int g = 0; g < groups; g++) {
          int r = row % W3Block.ROWS;
          long offset = W3Block.blockOffset(row / W3Block.ROWS, g, groups);
          W3Block.unpack(matrix, offset, codes, scales, zeros);
          assertEquals(reader.scale(row, g), Float.float16ToFloat(scales[r]));
          assertEquals(reader.zero(row, g), zeros[r]);
          for (int j = 0; j < Math.min(W3Block.GROUP, cols - g * W3Block.GROUP); j++) {
            int packed = g * W3Block.GROUP + j;
            int input = order == null ? packed : order[packed];
            assertEquals(g, reader.group(input));
            assertEquals(reader.code(row, input), codes[r * W3Block.GROUP + j]);
          }
        }
      }
    }
  }

  @Test
  void packStreams_equalsPack() {
    Random random = new Random(5);
    for (int round = 0; round < 50; round++) {
      byte[] codes = new byte[2048];
      short[] scales = new short[16];
      byte[] zeros = new byte[16];
      int[] streams = new int[12 * 16];
      for (int r = 0; r < 16; r++) {
        int[] row = new int[128];
        for (int k = 0; k < 128; k++) {
          row[k] = round == 0 ? 7 : random.nextInt(8);
          codes[r * 128 + k] = (byte) row[k];
        }
        int[] stream = GptqWriter.pack(row);
        for (int w = 0; w < 12; w++) {
          streams[w * 16 + r] = stream[w];
        }
        scales[r] = (short) random.nextInt(0x7c00);
        zeros[r] = (byte) random.nextInt(8);
      }
      MemorySegment expected = MemorySegment.ofArray(new byte[W3Block.BLOCK_BYTES]);
      MemorySegment found = MemorySegment.ofArray(new byte[W3Block.BLOCK_BYTES]);
      W3Block.pack(codes, scales, zeros, expected, 0);
      W3Block.packStreams(streams, scales, zeros, found, 0);
      assertEquals(-1, expected.mismatch(found));
    }
  }

  @Test
  void inputOrder_isTheStableSortOfGroups() {
    TinyCheckpoint tiny = tiny(GptqVariant.SYM_ACT_ORDER);
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      LayerSource layer = checkpoint.layers().getFirst();
      // one group is in order however its inputs are shuffled
      assertNull(assertInstanceOf(LinearSource.Gptq.class, layer.q()).inputOrder());
      int[] order = assertInstanceOf(LinearSource.Gptq.class, layer.down()).inputOrder();
      assertNotNull(order);
      int[] groups = raw(tiny, DOWN + ".g_idx").toInts();
      int[] expected = new int[288];
      int next = 0;
      for (int g = 0; g < 3; g++) {
        for (int i = 0; i < 288; i++) {
          if (groups[i] == g) {
            expected[next++] = i;
          }
        }
      }
      assertArrayEquals(expected, order);
    }
    try (Checkpoint checkpoint = Checkpoint.open(tiny(GptqVariant.SYM).write(temp))) {
      LinearSource down = checkpoint.layers().getFirst().down();
      assertNull(assertInstanceOf(LinearSource.Gptq.class, down).inputOrder());
    }
  }

  @Test
  void zeroPoint_wrapsInV1() throws IOException {
    // an asymmetric group without negative weights has zero point 0, stored as 7
    TinyCheckpoint tiny =
        tiny(GptqVariant.ASYM)
            .editTensors(
                t ->
                    t.computeIfPresent(
                        DOWN + ".qzeros",
                        (_, q) -> {
                          int[] sevens = new int[96];
                          Arrays.fill(sevens, 7);
                          int[] line = GptqWriter.pack(sevens);
                          int[] words = new int[3 * line.length];
                          for (int w = 0; w < words.length; w++) {
                            words[w] = line[w % line.length];
                          }
                          return RawTensor.ints(words, q.shape());
                        }));
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp));
        Arena arena = Arena.ofConfined()) {
      LinearSource.Gptq down =
          assertInstanceOf(LinearSource.Gptq.class, checkpoint.layers().getFirst().down());
      MemorySegment matrix = arena.allocate(W3Block.matrixBytes(96, 288));
      new GptqDecoder(down).decode(0, matrix);
      byte[] zeros = new byte[16];
      W3Block.unpack(matrix, 0, new byte[2048], new short[16], zeros);
      assertArrayEquals(new byte[16], zeros);
      assertDecodes(down, new GptqReader(tiny.tensors(), DOWN, false));
    }
  }

  @Test
  void plainLinears_insideAGptqCheckpoint_stayPlain() {
    TinyCheckpoint tiny =
        tiny(GptqVariant.SYM)
            .editTensors(
                t -> {
                  t.keySet().removeIf(name -> name.startsWith(DOWN));
                  t.put(DOWN + ".weight", RawTensor.floats("F16", new float[96 * 288], 96, 288));
                });
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      assertInstanceOf(LinearSource.Plain.class, checkpoint.layers().getFirst().down());
      assertInstanceOf(LinearSource.Gptq.class, checkpoint.layers().getFirst().up());
    }
  }

  @Test
  void quantizeConfigJson_servesToo_andMustNotContradict() throws IOException {
    Path dir = tiny(GptqVariant.ASYM_V2).write(temp);
    ObjectNode config = (ObjectNode) JSON.readTree(dir.resolve("config.json").toFile());
    ObjectNode quantization = (ObjectNode) config.remove("quantization_config");
    Files.writeString(dir.resolve("config.json"), config.toString());
    assertRefused(dir, "tensor model.layers.0.self_attn.q_proj.weight is missing");
    assertRefused(dir, "no quantization_config");
    // as AutoGPTQ wrote it: no method, and the format only here
    quantization.remove("quant_method");
    Files.writeString(dir.resolve("quantize_config.json"), quantization.toString());
    assertEquals(0, zeroOffset(dir));
    config.set("quantization_config", quantization.deepCopy().put("quant_method", "gptq"));
    ((ObjectNode) config.get("quantization_config")).remove("checkpoint_format");
    Files.writeString(dir.resolve("config.json"), config.toString());
    assertEquals(0, zeroOffset(dir));
    ((ObjectNode) config.get("quantization_config")).put("checkpoint_format", "gptq");
    Files.writeString(dir.resolve("config.json"), config.toString());
    assertRefused(dir, "checkpoint_format is \"gptq_v2\"; expected what");
  }

  private static int zeroOffset(Path dir) {
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      return assertInstanceOf(LinearSource.Gptq.class, checkpoint.layers().getFirst().q())
          .zeroOffset();
    }
  }

  /** Each line is merged into a good quantization_config. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"quant_method\":\"awq\"}|quant_method is \"awq\"; expected gptq",
        "{\"quant_method\":\"compressed-tensors\"}|format is null; expected pack-quantized",
        "{\"quant_method\":\"bitsandbytes\"}|\"bitsandbytes\"",
        "{\"quant_method\":\"fp8\"}|\"fp8\"",
        "{\"quant_method\":null}|quantization_config.quant_method is missing",
        "{\"bits\":4}|quantization_config.bits is 4; expected 3",
        "{\"bits\":null}|bits is missing",
        "{\"group_size\":64}|group_size is 64; expected 128",
        "{\"group_size\":-1}|group_size is -1; expected 128",
        "{\"group_size\":null}|group_size is missing",
        "{\"checkpoint_format\":\"gptq_p\"}|checkpoint_format is \"gptq_p\"; expected gptq or gptq_v2",
        "{\"checkpoint_format\":\"marlin\"}|checkpoint_format is \"marlin\"",
        "{\"format\":\"gptq_p\"}|format is \"gptq_p\"",
        "{\"lm_head\":true}|lm_head is true",
        "{\"dynamic\":{\"-:.*down.*\":{}}}|dynamic is",
        "{\"is_marlin_format\":true}|is_marlin_format is true",
        "{\"pack_dtype\":\"int16\"}|pack_dtype is \"int16\"",
        "{\"sym\":\"yes\"}|sym is \"yes\"",
      })
  void otherQuantizations_areRefusedByName(String merge, String expected) throws IOException {
    JsonNode edit = JSON.readTree(merge);
    Path dir =
        tiny(GptqVariant.SYM)
            .editConfig(
                c ->
                    edit.properties()
                        .forEach(
                            e ->
                                ((ObjectNode) c.get("quantization_config"))
                                    .set(e.getKey(), e.getValue())))
            .write(temp);
    assertRefused(dir, expected);
  }

  @Test
  void brokenGIdx_isRefused() {
    assertRefused(withGIdx(g -> set(g, 7, 3)), "has group 3 for input 7; expected 0 to 2");
    assertRefused(withGIdx(g -> set(g, 7, -1)), "has group -1 for input 7");
    assertRefused(withGIdx(g -> set(g, 7, 1)), "gives group 0 127 inputs; expected 128");
    assertRefused(withGIdx(g -> set(g, 287, 0)), "gives group 0 129 inputs; expected 128");
    assertRefused(withGIdx(_ -> new int[288]), "gives group 0 288 inputs");
  }

  private static int[] set(int[] groups, int at, int value) {
    groups[at] = value;
    return groups;
  }

  private Path withGIdx(UnaryOperator<int[]> edit) {
    return tiny(GptqVariant.SYM)
        .editTensors(
            t ->
                t.computeIfPresent(
                    DOWN + ".g_idx", (_, g) -> RawTensor.ints(edit.apply(g.toInts()), g.shape())))
        .write(temp);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "qweight|I32|[26, 96]|has shape [26, 96]; expected [27, 96]",
        "qweight|U32|[27, 96]|holds U32; expected I32",
        "qzeros|I32|[3, 8]|has shape [3, 8]; expected [3, 9]",
        "qzeros|F32|[3, 9]|holds F32; expected I32",
        "scales|F16|[2, 96]|has shape [2, 96]; expected [3, 96]",
        "scales|I32|[3, 96]|holds I32; expected F16 or BF16 or F32",
        "g_idx|I32|[287]|has shape [287]; expected [288]",
        "g_idx|I64|[288]|holds I64; expected I32",
      })
  void wrongShapeOrType_isNamed(String part, String dtype, String shape, String expected)
      throws IOException {
    long[] dims = JSON.readValue(shape, long[].class);
    int bytes = (int) Arrays.stream(dims).reduce(1, (a, b) -> a * b);
    bytes *= Objects.requireNonNull(DType.byName(dtype)).bytes();
    RawTensor wrong = new RawTensor(dtype, dims, new byte[bytes]);
    Path dir = tiny(GptqVariant.SYM).editTensors(t -> t.put(DOWN + "." + part, wrong)).write(temp);
    assertRefused(dir, DOWN + "." + part);
    assertRefused(dir, expected);
  }

  @ParameterizedTest
  @ValueSource(strings = {"qzeros", "scales"})
  void missingPart_isNamed(String part) {
    Path dir = tiny(GptqVariant.SYM).editTensors(t -> t.remove(DOWN + "." + part)).write(temp);
    assertRefused(dir, "tensor " + DOWN + "." + part + " is missing");
  }

  @Test
  void weightBesideQweight_isRefused() {
    Path dir =
        tiny(GptqVariant.SYM)
            .editTensors(
                t -> t.put(DOWN + ".weight", RawTensor.floats("F16", new float[96 * 288], 96, 288)))
            .write(temp);
    assertRefused(dir, "tensor " + DOWN + ".weight is there beside a .qweight");
  }

  @Test
  void inputsThatAreNoMultipleOf32_areRefused() {
    Path dir =
        TinyCheckpoint.qwen3()
            .ffn(200)
            .editTensors(
                t -> {
                  t.remove(DOWN + ".weight");
                  t.put(DOWN + ".qweight", RawTensor.ints(new int[4], 4));
                  t.put(DOWN + ".qzeros", RawTensor.ints(new int[4], 4));
                  t.put(DOWN + ".scales", RawTensor.ints(new int[4], 4));
                })
            .editConfig(
                c ->
                    c.putObject("quantization_config")
                        .put("quant_method", "gptq")
                        .put("bits", 3)
                        .put("group_size", 128))
            .write(temp);
    assertRefused(dir, "64 x 200 are no multiples of 32");
  }

  @Test
  void quantizedHead_isRefused() {
    Path dir =
        TinyCheckpoint.qwen2()
            .gptq(GptqVariant.SYM)
            .editTensors(
                t -> {
                  t.remove("lm_head.weight");
                  t.put("lm_head.qweight", RawTensor.ints(new int[1], 1));
                })
            .write(temp);
    assertRefused(dir, "lm_head.weight is missing; a quantized head is not implemented");
  }

  /** One group of 96 inputs has no order; three groups of 288 have. */
  @Test
  void actOrderWithoutGIdx_isRefused_whereThereIsAnOrder() {
    TinyCheckpoint all =
        tiny(GptqVariant.SYM_ACT_ORDER)
            .editTensors(t -> t.keySet().removeIf(name -> name.endsWith(".g_idx")));
    assertRefused(all.write(temp.resolve("all")), "tensor " + DOWN + ".g_idx is missing; desc_act");
    TinyCheckpoint one =
        tiny(GptqVariant.SYM_ACT_ORDER)
            .editTensors(t -> t.remove("model.layers.1.mlp.down_proj.g_idx"));
    assertRefused(one.write(temp.resolve("one")), "layers.1.mlp.down_proj.g_idx is missing");
    TinyCheckpoint none =
        tiny(GptqVariant.SYM_ACT_ORDER)
            .editTensors(
                t -> t.keySet().removeIf(n -> n.endsWith(".g_idx") && !n.contains("down_proj")));
    Checkpoint.open(none.write(temp.resolve("none"))).close();
  }

  /** Nothing says act-order, but one layer has it. */
  @Test
  void actOrderInSomeLayersOnly_isRefused() {
    TinyCheckpoint tiny =
        tiny(GptqVariant.SYM_ACT_ORDER)
            .editConfig(c -> ((ObjectNode) c.get("quantization_config")).remove("desc_act"))
            .editTensors(t -> t.remove(DOWN + ".g_idx"));
    assertRefused(tiny.write(temp), "layers.1.mlp.down_proj.g_idx reorders its inputs, but");
    assertRefused(temp, DOWN + ".g_idx is missing");
  }

  /** The order is what is computed with, whatever desc_act says of it. */
  @Test
  void actOrderThatNobodyAnnounced_isTaken() {
    TinyCheckpoint tiny =
        tiny(GptqVariant.SYM_ACT_ORDER)
            .editConfig(c -> ((ObjectNode) c.get("quantization_config")).put("desc_act", false));
    try (Checkpoint checkpoint = Checkpoint.open(tiny.write(temp))) {
      LinearSource down = checkpoint.layers().getFirst().down();
      assertNotNull(assertInstanceOf(LinearSource.Gptq.class, down).inputOrder());
    }
  }

  /** config.json against quantize_config.json, and a section against itself. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"desc_act\":true}|quantize_config.json: desc_act is true; expected what",
        "{\"sym\":false}|quantize_config.json: sym is false; expected what",
        "{\"checkpoint_format\":\"gptq_v2\"}|checkpoint_format is \"gptq_v2\"; expected what",
        "{\"checkpoint_format\":null,\"format\":\"gptq_v2\"}|format is \"gptq_v2\"; expected what",
        "{\"format\":\"gptq_v2\"}|checkpoint_format is \"gptq\"; expected gptq_v2, as format says",
        "{\"bits\":4}|quantize_config.json: bits is 4; expected 3",
        "{\"group_size\":32}|quantize_config.json: group_size is 32",
      })
  void contradictions_areRefused(String merge, String expected) throws IOException {
    Path dir = tiny(GptqVariant.SYM).write(temp);
    ObjectNode beside =
        (ObjectNode)
            JSON.readTree(dir.resolve("config.json").toFile())
                .get("quantization_config")
                .deepCopy();
    JSON.readTree(merge).properties().forEach(e -> beside.set(e.getKey(), e.getValue()));
    Files.writeString(dir.resolve("quantize_config.json"), beside.toString());
    assertRefused(dir, expected);
  }

  /** Parts of a quantized layer beside a plain weight: one of the two is not meant. */
  @Test
  void partsOfAQuantizedLayer_besideAPlainWeight_areRefused() {
    TinyCheckpoint tiny =
        tiny(GptqVariant.SYM)
            .editTensors(
                t -> {
                  t.remove(DOWN + ".qweight");
                  t.put(DOWN + ".weight", RawTensor.floats("F16", new float[96 * 288], 96, 288));
                });
    assertRefused(tiny.write(temp), "tensor " + DOWN + ".qzeros is no part of the QWEN3");
  }

  private static RawTensor raw(TinyCheckpoint tiny, String name) {
    return Objects.requireNonNull(tiny.tensors().get(name));
  }

  private static void assertRefused(Path dir, String expected) {
    String message =
        assertThrows(CheckpointException.class, () -> Checkpoint.open(dir).close()).getMessage();
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }
}
