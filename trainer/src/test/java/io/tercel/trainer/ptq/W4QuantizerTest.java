package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.UserException;
import io.tercel.trainer.ptq.W4Options.Method;
import io.tercel.trainer.ptq.flatquant.FlatOptions;
import io.tercel.trainer.quant.W4Grid;
import io.tercel.trainer.quant.W4State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole tiny models to W4A4KV4: what is written, and how near each layer stays. */
class W4QuantizerTest {
  private static final FlatOptions FLAT = new FlatOptions(12, 4, 5e-3, 1);

  @TempDir private Path temp;

  private Path tiny(boolean qwen3) {
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    return tiny.write(temp.resolve("tiny"));
  }

  private static Calibration calibration() {
    Random random = new Random(4);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      sequences.add(random.ints(20 + random.nextInt(20), 0, 256).toArray());
    }
    return new Calibration(sequences);
  }

  private W4Report quantize(Path model, String to, Method method) throws IOException {
    return quantize(model, to, W4Options.of(method, FLAT));
  }

  private W4Report quantize(Path model, String to, W4Options options) throws IOException {
    try (Checkpoint source = Checkpoint.open(model);
        Ops ops = new ScalarOps()) {
      return W4Quantizer.quantize(
          source, temp.resolve(to), calibration(), options, ops, (_, _) -> {});
    }
  }

  @ParameterizedTest
  @CsvSource({"true,RTN", "true,QUAROT", "true,FLATQUANT", "false,QUAROT", "false,FLATQUANT"})
  void quantize_writesTheLayout(boolean qwen3, Method method) throws IOException {
    W4Report report = quantize(tiny(qwen3), "w4", method);
    assertEquals(2, report.lines().size());
    for (W4Report.Line line : report.lines()) {
      assertTrue(line.error() > 0.02 && line.error() < 1, line.toString());
      if (method != Method.RTN) {
        assertTrue(line.error() < line.rtnError(), line.toString());
      }
    }
    JsonNode config = new ObjectMapper().readTree(temp.resolve("w4/config.json").toFile());
    JsonNode quantization = config.get("quantization_config");
    assertEquals("tercel", quantization.get("quant_method").asText());
    assertEquals("w4a4kv4", quantization.get("format").asText());
    assertEquals(1, quantization.get("version").asInt());
    assertEquals(qwen3 && method != Method.QUAROT, config.get("tie_word_embeddings").asBoolean());
    assertTrue(Files.exists(temp.resolve("w4/tokenizer.json")));
    Map<String, RawTensor> tensors = RawSafetensors.readDirectory(temp.resolve("w4"));
    String layer = "model.layers.1.";
    assertShape(tensors, layer + "self_attn.q_proj.weight_packed", "U8", 128, 32);
    assertShape(tensors, layer + "mlp.down_proj.weight_packed", "U8", 64, 80);
    assertShape(tensors, layer + "mlp.down_proj.weight_scale", "F16", 64);
    assertEquals(!qwen3, tensors.containsKey(layer + "self_attn.v_proj.bias"));
    assertEquals(!qwen3 || method == Method.QUAROT, tensors.containsKey("lm_head.weight"));
    List<String> online = online(method);
    for (String name : online) {
      assertTrue(tensors.containsKey(layer + name), name);
      if (name.endsWith("clip")) {
        for (float share : tensor(tensors, layer + name).toFloats()) {
          assertTrue(share > 0 && share <= 1, name);
        }
      }
    }
    long present = tensors.keySet().stream().filter(n -> n.matches(".*(transform|clip).*")).count();
    assertEquals(2L * online.size(), present);
    assertState(tensors, method);
  }

  private static List<String> online(Method method) {
    return switch (method) {
      case RTN -> List.of();
      case QUAROT ->
          List.of(
              "self_attn.qkv_transform.clip",
              "self_attn.o_transform.left",
              "self_attn.o_transform.clip",
              "mlp.gate_up_transform.clip",
              "mlp.down_transform.left",
              "mlp.down_transform.right",
              "mlp.down_transform.clip",
              "self_attn.k_transform",
              "self_attn.q_transform",
              "self_attn.k_clip",
              "self_attn.v_clip");
      case FLATQUANT -> {
        List<String> all = new ArrayList<>(online(Method.QUAROT));
        all.add("self_attn.qkv_transform.left");
        all.add("self_attn.qkv_transform.right");
        all.add("mlp.gate_up_transform.left");
        all.add("mlp.gate_up_transform.right");
        yield all;
      }
    };
  }

  private static void assertShape(
      Map<String, RawTensor> tensors, String name, String dtype, long... shape) {
    RawTensor tensor = tensor(tensors, name);
    assertEquals(dtype, tensor.dtype());
    assertArrayEquals(shape, tensor.shape());
  }

  private static RawTensor tensor(Map<String, RawTensor> tensors, String name) {
    RawTensor tensor = tensors.get(name);
    assertNotNull(tensor, name);
    return tensor;
  }

  /** The latents round to what is served. */
  private void assertState(Map<String, RawTensor> tensors, Method method) {
    try (W4State state = W4State.open(temp.resolve("w4"))) {
      String name = "model.layers.0.mlp.gate_proj";
      float[] latents = state.floats(name + ".latent");
      float[] scales = state.floats(name + ".scales");
      byte[] packed = tensor(tensors, name + ".weight_packed").data();
      for (int i = 0; i < latents.length; i++) {
        int nibble = i % 2 == 0 ? packed[i / 2] << 28 >> 28 : packed[i / 2] >> 4;
        assertEquals(nibble, W4Grid.code(latents[i], scales[i / 64]));
      }
      if (method == Method.FLATQUANT) {
        assertEquals(64, state.floats("model.layers.0.flat.qkv.left").length);
        assertEquals(160, state.floats("model.layers.1.flat.down.scale").length);
        assertEquals(128, state.floats("model.layers.1.flat.q_proj.clip_low").length);
      }
    }
  }

  @Test
  void flatQuant_twice_isTheSame() throws IOException {
    Path tiny = TinyCheckpoint.qwen3().layers(1).write(temp.resolve("tiny"));
    quantize(tiny, "a", Method.FLATQUANT);
    quantize(tiny, "b", Method.FLATQUANT);
    for (String file : List.of("model.safetensors", W4State.FILE)) {
      assertEquals(-1, Files.mismatch(temp.resolve("a/" + file), temp.resolve("b/" + file)));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void flatQuant_learns(boolean qwen3) throws IOException {
    Path tiny = tiny(qwen3);
    FlatOptions none = new FlatOptions(0, 4, 5e-3, 1);
    FlatOptions longer = new FlatOptions(40, 4, 5e-3, 1);
    W4Report start = quantize(tiny, "a", W4Options.of(Method.FLATQUANT, none));
    W4Report end = quantize(tiny, "b", W4Options.of(Method.FLATQUANT, longer));
    for (int i = 0; i < 2; i++) {
      double before = start.lines().get(i).error();
      double after = end.lines().get(i).error();
      assertTrue(after < 0.85 * before, before + " became " + after);
    }
  }

  @Test
  void failure_leavesNothing() throws IOException {
    Path tiny =
        TinyCheckpoint.qwen3()
            .editTensors(
                t -> {
                  String name = "model.layers.1.mlp.up_proj.weight";
                  float[] w = tensor(t, name).toFloats();
                  w[70] = Float.NaN;
                  t.put(name, RawTensor.floats("BF16", w, 160, 64));
                })
            .write(temp.resolve("tiny"));
    RuntimeException e =
        assertThrows(RuntimeException.class, () -> quantize(tiny, "w4", Method.RTN));
    assertTrue(String.valueOf(e.getMessage()).contains("layers.1.mlp.up_proj"), e.getMessage());
    try (var files = Files.list(temp)) {
      assertEquals(1, files.count());
    }
    try (Checkpoint source = Checkpoint.open(TinyCheckpoint.qwen3().write(temp.resolve("fine")));
        Ops ops = new ScalarOps()) {
      W4Options options = W4Options.of(Method.QUAROT, FLAT);
      assertThrows(
          UserException.class,
          () -> W4Quantizer.quantize(source, temp.resolve("w4"), null, options, ops, (_, _) -> {}));
    }
    assertFalse(Files.exists(temp.resolve("w4")));
  }
}
