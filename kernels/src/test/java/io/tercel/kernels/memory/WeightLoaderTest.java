package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class WeightLoaderTest {
  private static final long PLENTY = Long.MAX_VALUE;

  @TempDir Path temp;

  @ParameterizedTest
  @CsvSource({"BF16,BF16", "F16,FP16", "F32,FP32"})
  void denseMatrices_areTheFilesBytes(String dtype, QuantFormat.Dense format) {
    TinyCheckpoint tiny = TinyCheckpoint.qwen2().hidden(96).ffn(200).vocab(151).dtype(dtype);
    try (WeightStore store = load(tiny.write(temp))) {
      int matrices = 0;
      for (PackedMatrix matrix : matrices(store)) {
        RawTensor raw = raw(tiny, matrix.name() + ".weight");
        assertEquals(format, matrix.format());
        assertArrayEquals(raw.shape(), new long[] {matrix.rows(), matrix.cols()});
        assertEquals(-1, matrix.segment().mismatch(MemorySegment.ofArray(raw.data())));
        assertEquals(0, matrix.segment().address() % 64, matrix.name());
        matrices++;
      }
      assertEquals(2 + 2 * 7, matrices);
      assertArrayEquals(raw(tiny, "model.norm.weight").toFloats(), store.finalNorm());
      LayerWeights layer = store.layers().get(1);
      assertArrayEquals(
          raw(tiny, "model.layers.1.self_attn.k_proj.bias").toFloats(), layer.k().bias());
      assertArrayEquals(
          raw(tiny, "model.layers.1.post_attention_layernorm.weight").toFloats(),
          layer.postAttentionNorm());
      assertNull(layer.qNorm());
      assertNull(layer.o().bias());
    }
  }

  @Test
  void tiedHead_isTheEmbedding_andNormsAreThere() {
    TinyCheckpoint tiny = TinyCheckpoint.qwen3();
    try (WeightStore store = load(tiny.write(temp))) {
      assertSame(store.embedding(), store.head().weight());
      assertArrayEquals(
          raw(tiny, "model.layers.0.self_attn.q_norm.weight").toFloats(),
          assertNotNullArray(store.layers().getFirst().qNorm()));
    }
  }

  private static float[] assertNotNullArray(float @Nullable [] array) {
    assertNotNull(array);
    return Objects.requireNonNull(array);
  }

  static List<GptqVariant> variants() {
    return List.of(
        GptqVariant.SYM, GptqVariant.ASYM_V2, GptqVariant.SYM_ACT_ORDER, GptqVariant.ASYM);
  }

  /** All the way from the file to values: what a kernel would multiply by. */
  @ParameterizedTest
  @MethodSource("variants")
  void gptqMatrices_dequantizeExactly(GptqVariant variant) {
    TinyCheckpoint tiny = TinyCheckpoint.qwen3().hidden(96).ffn(288).gptq(variant);
    try (WeightStore store = load(tiny.write(temp))) {
      Map<String, float[]> expected = tiny.weights();
      int quantized = 0;
      for (PackedMatrix matrix : matrices(store)) {
        if (matrix.format() == QuantFormat.Grouped.W3G128) {
          assertArrayEquals(expected.get(matrix.name() + ".weight"), dequantize(matrix));
          quantized++;
        }
      }
      assertEquals(14, quantized);
    }
  }

  private static float[] dequantize(PackedMatrix matrix) {
    float[] weight = new float[matrix.rows() * matrix.cols()];
    int groups = W3Block.groups(matrix.cols());
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    short[] scales = new short[W3Block.ROWS];
    byte[] zeros = new byte[W3Block.ROWS];
    int[] order = matrix.inputOrder();
    for (int tile = 0; tile < W3Block.tiles(matrix.rows()); tile++) {
      for (int j = 0; j < matrix.cols(); j++) {
        long offset = W3Block.blockOffset(tile, j / W3Block.GROUP, groups);
        if (j % W3Block.GROUP == 0) {
          W3Block.unpack(matrix.segment(), offset, codes, scales, zeros);
        }
        int input = order == null ? j : order[j];
        for (int r = 0; r < W3Block.ROWS && tile * W3Block.ROWS + r < matrix.rows(); r++) {
          int code = codes[r * W3Block.GROUP + j % W3Block.GROUP];
          weight[(tile * W3Block.ROWS + r) * matrix.cols() + input] =
              Float.float16ToFloat(scales[r]) * (code - zeros[r]);
        }
      }
    }
    return weight;
  }

  @Test
  void plannedBytes_areTheAllocatedBytes_andProgressEndsThere() {
    List<Path> dirs =
        List.of(
            TinyCheckpoint.qwen3().write(temp.resolve("a")),
            TinyCheckpoint.qwen2().dtype("F32").shards(2).write(temp.resolve("b")),
            TinyCheckpoint.qwen2()
                .hidden(96)
                .ffn(288)
                .gptq(GptqVariant.SYM_ACT_ORDER)
                .write(temp.resolve("c")));
    for (Path dir : dirs) {
      try (Checkpoint checkpoint = Checkpoint.open(dir)) {
        WeightPlan plan = WeightPlan.of(checkpoint);
        List<Long> done = new ArrayList<>();
        try (WeightStore store =
            WeightLoader.load(
                checkpoint,
                plan.offHeapBytes(),
                (_, bytes, total) -> {
                  assertEquals(plan.offHeapBytes(), total);
                  done.add(bytes);
                })) {
          assertEquals(plan.offHeapBytes(), store.bytes());
          assertEquals(plan.matrices().size(), done.size());
          assertEquals(plan.offHeapBytes(), done.getLast());
          List<String> names = matrices(store).stream().map(PackedMatrix::name).toList();
          assertEquals(names, plan.matrices().stream().map(WeightPlan.Matrix::name).toList());
          assertEquals(heapBytes(store), plan.heapBytes());
        }
      }
    }
  }

  @Test
  void tooLarge_isRefusedBeforeAllocating() {
    try (Checkpoint checkpoint = Checkpoint.open(TinyCheckpoint.qwen3().write(temp))) {
      long bytes = WeightPlan.of(checkpoint).offHeapBytes();
      CheckpointException refusal =
          assertThrows(
              CheckpointException.class,
              () ->
                  WeightLoader.load(
                      checkpoint,
                      bytes - 1,
                      (_, _, _) -> {
                        throw new AssertionError("nothing may be loaded");
                      }));
      assertTrue(refusal.getMessage().contains("its weights take"), refusal.getMessage());
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, -1e30f, 1e30f, 0.1f, -0.1f})
  void badScales_areRefused_andTheCheckpointStaysUsable(float bad) {
    String name = "model.layers.1.mlp.up_proj.scales";
    Path dir =
        TinyCheckpoint.qwen3()
            .gptq(GptqVariant.SYM)
            .editTensors(
                t ->
                    t.computeIfPresent(
                        name,
                        (_, s) -> {
                          float[] scales = s.toFloats();
                          scales[70] = bad;
                          return RawTensor.floats("F32", scales, s.shape());
                        }))
            .write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      String message =
          assertThrows(
                  CheckpointException.class,
                  () -> WeightLoader.load(checkpoint, PLENTY, LoadProgress.SILENT))
              .getMessage();
      assertTrue(
          message.contains(name + " has the scale " + bad + " for group 0 of output 70; expected"),
          message);
      assertEquals(1f, 0f + checkpoint.finalNorm().elements() / 64f);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "BF16"})
  void exactScales_ofOtherTypes_areTaken(String dtype) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .gptq(GptqVariant.ASYM)
            .editTensors(
                t ->
                    t.replaceAll(
                        (name, s) -> {
                          if (!name.endsWith(".scales")) {
                            return s;
                          }
                          float[] scales = s.toFloats();
                          for (int i = 0; i < scales.length; i++) {
                            // eight bits of mantissa fit both
                            int bits = Float.floatToIntBits(scales[i]) & 0xffff0000;
                            scales[i] = Float.intBitsToFloat(bits);
                          }
                          return RawTensor.floats(dtype, scales, s.shape());
                        }));
    try (WeightStore store = load(tiny.write(temp))) {
      PackedMatrix up = store.layers().getFirst().up().weight();
      assertArrayEquals(tiny.weights().get(up.name() + ".weight"), dequantize(up));
    }
  }

  /** Each kind of weight, at either end and in the middle, in every type. */
  @ParameterizedTest
  @CsvSource({
    "F32,model.embed_tokens.weight,0,NaN",
    "F32,model.layers.1.mlp.down_proj.weight,4097,Infinity",
    "F16,model.embed_tokens.weight,4097,NaN",
    "F16,model.layers.0.self_attn.q_proj.weight,8191,-Infinity",
    "BF16,lm_head.weight,4097,Infinity",
    "BF16,model.layers.1.mlp.up_proj.weight,1,NaN",
    "BF16,model.layers.0.self_attn.k_proj.bias,63,NaN",
    "F16,model.layers.1.input_layernorm.weight,0,Infinity",
    "F32,model.layers.1.post_attention_layernorm.weight,63,NaN",
    "BF16,model.norm.weight,5,NaN"
  })
  void weightsThatAreNotFinite_areRefused(String dtype, String name, int at, float bad) {
    Path dir =
        TinyCheckpoint.qwen2()
            .dtype(dtype)
            .editTensors(t -> t.computeIfPresent(name, (_, w) -> with(w, at, bad)))
            .write(temp);
    String where = "tensor %s has %s in row ".formatted(name, bad);
    assertTrue(refusal(dir).contains(where), refusal(dir));
    assertTrue(refusal(dir).contains("expected finite numbers"), refusal(dir));
  }

  private static RawTensor with(RawTensor tensor, int at, float value) {
    float[] values = tensor.toFloats();
    values[at] = value;
    return RawTensor.floats(tensor.dtype(), values, tensor.shape());
  }

  private static String refusal(Path dir) {
    return assertThrows(CheckpointException.class, () -> load(dir).close()).getMessage();
  }

  /** The largest finite numbers of each type are weights as any. */
  @ParameterizedTest
  @CsvSource({"F32,3.4028235e38", "F16,65504", "BF16,3.3895314e38"})
  void largestWeights_areTaken(String dtype, float largest) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .dtype(dtype)
            .editTensors(
                t ->
                    t.computeIfPresent(
                        "model.embed_tokens.weight",
                        (_, w) -> with(with(w, 3, largest), 4, -largest)));
    load(tiny.write(temp)).close();
  }

  @Test
  void tiedModelsOwnHead_mustBeTheEmbedding() {
    String head = "lm_head.weight";
    String embedding = "model.embed_tokens.weight";
    TinyCheckpoint equal = TinyCheckpoint.qwen3().editTensors(t -> t.put(head, t.get(embedding)));
    load(equal.write(temp.resolve("equal"))).close();
    TinyCheckpoint wider =
        TinyCheckpoint.qwen3()
            .editTensors(
                t -> {
                  RawTensor w = Objects.requireNonNull(t.get(embedding));
                  t.put(head, RawTensor.floats("F32", w.toFloats(), w.shape()));
                });
    load(wider.write(temp.resolve("wider"))).close();
    TinyCheckpoint other =
        TinyCheckpoint.qwen3()
            .editTensors(t -> t.put(head, with(Objects.requireNonNull(t.get(embedding)), 77, 9)));
    String message = refusal(other.write(temp.resolve("other")));
    assertTrue(message.contains("lm_head.weight differs from model.embed_tokens.weight"), message);
    assertTrue(message.contains("set it to false"), message);
  }

  /** Zero points as the other checkpoint format stores them: every weight would be a step off. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void symmetric_withZeroPointsOfTheOtherFormat_isRefused(boolean v2) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .gptq(new GptqVariant(true, false, v2, true))
            .editConfig(
                c ->
                    ((ObjectNode) c.get("quantization_config"))
                        .put("checkpoint_format", v2 ? "gptq" : "gptq_v2"));
    String message = refusal(tiny.write(temp));
    assertTrue(message.contains("qzeros has the zero point " + (v2 ? 5 : 3)), message);
    assertTrue(message.contains("sym is true, which means 4"), message);
    assertTrue(message.contains("in checkpoint_format " + (v2 ? "gptq_v2" : "gptq")), message);
  }

  @Test
  void symmetric_withZeroPointsOfItsOwn_isRefused() {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen3()
            .gptq(GptqVariant.ASYM)
            .editConfig(c -> ((ObjectNode) c.get("quantization_config")).put("sym", true));
    String message = refusal(tiny.write(temp));
    assertTrue(message.contains("sym is true, which means 4"), message);
  }

  private static WeightStore load(Path dir) {
    try (Checkpoint checkpoint = Checkpoint.open(dir)) {
      return WeightLoader.load(checkpoint, PLENTY, LoadProgress.SILENT);
    }
  }

  private static RawTensor raw(TinyCheckpoint tiny, String name) {
    return Objects.requireNonNull(tiny.tensors().get(name), name);
  }

  private static List<PackedMatrix> matrices(WeightStore store) {
    List<PackedMatrix> matrices = new ArrayList<>();
    matrices.add(store.embedding());
    for (LayerWeights l : store.layers()) {
      for (Linear m : List.of(l.q(), l.k(), l.v(), l.o(), l.gate(), l.up(), l.down())) {
        matrices.add(m.weight());
      }
    }
    if (store.head().weight() != store.embedding()) {
      matrices.add(store.head().weight());
    }
    return matrices;
  }

  private static long heapBytes(WeightStore store) {
    long floats = store.finalNorm().length;
    for (LayerWeights l : store.layers()) {
      floats += l.inputNorm().length + l.postAttentionNorm().length;
      floats += l.qNorm() == null ? 0 : 2L * l.qNorm().length;
      for (Linear m : List.of(l.q(), l.k(), l.v(), l.o(), l.gate(), l.up(), l.down())) {
        float[] bias = m.bias();
        floats += bias == null ? 0 : bias.length;
      }
    }
    return 4 * floats;
  }
}
