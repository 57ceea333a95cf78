package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.testing.CompressedWriter;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Checkpoints of compressed-tensors that are something else, or damaged. */
class CompressedRefusalTest {
  private static final String DOWN = "model.layers.0.mlp.down_proj";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temp;

  /** 96 inputs are less than a group; 288 are two groups and a quarter. */
  private static TinyCheckpoint tiny() {
    return TinyCheckpoint.qwen3().hidden(96).ffn(288);
  }

  private static TinyCheckpoint symmetric() {
    return new CompressedWriter(GptqVariant.SYM, true).twin(tiny());
  }

  private static TinyCheckpoint asymmetric() {
    return new CompressedWriter(GptqVariant.ASYM_ACT_ORDER_V2, true).twin(tiny());
  }

  private static WeightStore load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  /** Each line is merged into a good quantization_config. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "|{\"format\":\"int-quantized\"}|format is \"int-quantized\"; expected pack-quantized",
        "|{\"format\":null}|format is null; expected pack-quantized",
        "|{\"ignore\":[\"lm_head\",\"model.layers.0.mlp.down_proj\"]}|ignore is",
        "|{\"kv_cache_scheme\":{\"num_bits\":8}}|kv_cache_scheme is",
        "|{\"transform_config\":{\"config_groups\":{}}}|transform_config is",
        "|{\"sparsity_config\":{\"format\":\"sparse-24-bitmask\"}}|sparsity_config.format is",
        "|{\"config_groups\":null}|config_groups is null; expected one group",
        "|{\"config_groups\":{\"a\":{},\"b\":{}}}|expected one group, of all linear layers",
        "|{\"config_groups\":{\"a\":null}}|config_groups.a is null",
        "|{\"config_groups\":{\"a\":3}}|config_groups.a is 3",
        "|{\"config_groups\":[]}|config_groups is []; expected an object",
        "/config_groups/group_0|{\"targets\":[\"re:.*mlp.*\"]}|group_0.targets is",
        "/config_groups/group_0|{\"format\":\"int-quantized\"}|group_0.format is",
        "/config_groups/group_0|{\"input_activations\":{\"num_bits\":8}}|input_activations is",
        "/config_groups/group_0|{\"output_activations\":{\"num_bits\":8}}|output_activations is",
        "/config_groups/group_0|{\"weights\":null}|group_0.weights is null",
        "/config_groups/group_0/weights|{\"num_bits\":4}|weights.num_bits is 4; expected 3",
        "/config_groups/group_0/weights|{\"num_bits\":8}|weights.num_bits is 8; expected 3",
        "/config_groups/group_0/weights|{\"num_bits\":null}|weights.num_bits is missing",
        "/config_groups/group_0/weights|{\"type\":\"float\"}|weights.type is \"float\"; expected int",
        "/config_groups/group_0/weights|{\"strategy\":\"channel\"}|strategy is \"channel\"; expected group",
        "/config_groups/group_0/weights|{\"group_size\":32}|group_size is 32; expected 128",
        "/config_groups/group_0/weights|{\"group_size\":null}|group_size is missing",
        "/config_groups/group_0/weights|{\"symmetric\":1}|symmetric is 1",
        "/config_groups/group_0/weights|{\"actorder\":\"magic\"}|actorder is \"magic\"",
      })
  void otherSettings_areRefused_byTheField(@Nullable String at, String merge, String expected)
      throws IOException {
    JsonNode edit = JSON.readTree(merge);
    Path directory =
        symmetric()
            .editConfig(
                c -> {
                  String pointer = at == null ? "" : at;
                  ObjectNode section = (ObjectNode) c.get("quantization_config").at(pointer);
                  edit.properties().forEach(e -> section.set(e.getKey(), e.getValue()));
                })
            .write(temp);
    assertRefused(directory, "config.json: quantization_config.", expected);
  }

  @Test
  void aSecondDescription_isRefused() throws IOException {
    Path directory = symmetric().write(temp);
    Files.writeString(directory.resolve("quantize_config.json"), "{\"bits\": 3}");
    assertRefused(directory, "quantize_config.json: is there, but");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "packed missing,.weight_packed is missing",
        "scale missing,.weight_scale is missing",
        "shape missing,.weight_shape is missing",
        "plain beside,.weight is there beside a .weight_packed",
        "packed short,.weight_packed has shape",
        "packed of another width,.weight_packed has shape",
        "packed of bytes,.weight_packed holds U32; expected I32",
        "scale transposed,.weight_scale has shape",
        "scale of ints,.weight_scale holds I32",
        "scale infinite,.weight_scale has the scale Infinity for group 1 of output 2; expected a finite",
        "scale too fine,.weight_scale has the scale 0.1 for group 1 of output 2; expected one that fp16",
        "shape of another,`.weight_shape is [96, 256]; expected [96, 288]`",
        "shape beyond 32 bits,.weight_shape is [4294967392",
        "shape of three,.weight_shape has shape",
        "shape of floats,.weight_shape holds F32",
        "zero missing,.weight_zero_point is missing",
        "zero of the other packing,.weight_zero_point has shape",
        "zero of floats,.weight_zero_point holds F32",
        "order missing,.weight_g_idx is missing",
        "order short,.weight_g_idx has shape",
        "order none,.weight_g_idx has group -1 for input 0",
        "order uneven,.weight_g_idx gives group 0"
      })
  void damaged_isRefused_byTheTensorsName(String damage, String expected) {
    Consumer<Map<String, RawTensor>> edit =
        t -> {
          String part = damage.substring(0, damage.indexOf(' '));
          String name =
              DOWN
                  + switch (part) {
                    case "order" -> ".weight_g_idx";
                    case "zero" -> ".weight_zero_point";
                    case "plain" -> ".weight";
                    default -> ".weight_" + part;
                  };
          if (damage.endsWith(" missing")) {
            t.remove(name);
          } else {
            t.put(name, damaged(damage, t));
          }
        };
    String message =
        assertThrows(
                CheckpointException.class,
                () -> load(asymmetric().editTensors(edit).write(temp)).close())
            .getMessage();
    assertTrue(message.contains(DOWN), message);
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }

  private static RawTensor damaged(String damage, Map<String, RawTensor> tensors) {
    float[] scales = Objects.requireNonNull(tensors.get(DOWN + ".weight_scale"), damage).toFloats();
    return switch (damage) {
      case "plain beside" -> RawTensor.floats("F16", new float[96 * 288], 96, 288);
      case "packed short" -> RawTensor.ints(new int[95 * 27], 95, 27);
      case "packed of another width" -> RawTensor.ints(new int[96 * 36], 96, 36); // 4 bits
      case "packed of bytes" -> new RawTensor("U32", new long[] {96, 27}, new byte[96 * 27 * 4]);
      case "scale transposed" -> RawTensor.floats("F16", scales, 3, 96);
      case "scale of ints" -> RawTensor.ints(new int[96 * 3], 96, 3);
      case "scale infinite", "scale too fine" -> {
        scales[2 * 3 + 1] = damage.endsWith("infinite") ? Float.POSITIVE_INFINITY : 0.1f;
        yield RawTensor.floats("F32", scales, 96, 3);
      }
      case "shape of another" -> CompressedWriter.longs(96, 256);
      case "shape beyond 32 bits" -> CompressedWriter.longs((1L << 32) + 96, 288);
      case "shape of three" -> CompressedWriter.longs(96, 288, 1);
      case "shape of floats" -> RawTensor.floats("F32", new float[2], 2);
      case "zero of the other packing" -> RawTensor.ints(new int[10 * 3], 10, 3);
      case "zero of floats" -> RawTensor.floats("F32", new float[9 * 3], 9, 3);
      case "order short" -> RawTensor.ints(new int[287], 287);
      case "order none" -> {
        int[] none = new int[288];
        Arrays.fill(none, -1);
        yield RawTensor.ints(none, 288);
      }
      case "order uneven" -> RawTensor.ints(new int[288], 288);
      default -> throw new IllegalArgumentException(damage);
    };
  }

  @Test
  void whatSettingsDoNotAnnounce_isRefused() {
    Path zeros =
        asymmetric()
            .editConfig(c -> weights(c).put("symmetric", true))
            .write(temp.resolve("zeros"));
    assertRefused(zeros, ".weight_zero_point is there, but symmetric is true");
    Path order =
        asymmetric().editConfig(c -> weights(c).putNull("actorder")).write(temp.resolve("order"));
    assertRefused(order, DOWN + ".weight_g_idx reorders its inputs, but actorder is not group");
  }

  private static ObjectNode weights(ObjectNode config) {
    return (ObjectNode) config.at("/quantization_config/config_groups/group_0/weights");
  }

  @Test
  void sizesThatAreNoMultiplesOf32_areRefused() {
    ObjectNode described = JSON.createObjectNode();
    symmetric().editConfig(described::setAll).write(temp.resolve("even"));
    Path directory =
        TinyCheckpoint.qwen3()
            .hidden(96)
            .heads(1, 1, 8)
            .editTensors(
                t -> {
                  for (String weight : List.copyOf(t.keySet())) {
                    if (weight.endsWith("_proj.weight")) {
                      t.remove(weight);
                      t.put(weight + "_packed", RawTensor.ints(new int[4], 4));
                      t.put(weight + "_scale", RawTensor.ints(new int[4], 4));
                      t.put(weight + "_shape", RawTensor.ints(new int[4], 4));
                    }
                  }
                })
            .editConfig(c -> c.set("quantization_config", described.get("quantization_config")))
            .write(temp.resolve("odd"));
    assertRefused(directory, "q_proj.weight_packed is quantized, but 8 x 96 are no multiples");
  }

  @Test
  void quantizedHead_isRefused() {
    Path directory =
        new CompressedWriter(GptqVariant.SYM, true)
            .twin(TinyCheckpoint.qwen2().hidden(96))
            .editTensors(
                t -> {
                  t.remove("lm_head.weight");
                  t.put("lm_head.weight_packed", RawTensor.ints(new int[1], 1));
                })
            .write(temp);
    assertRefused(directory, "lm_head.weight is missing; a quantized head is not implemented");
  }

  private static void assertRefused(Path directory, String... expected) {
    String message =
        assertThrows(CheckpointException.class, () -> load(directory).close()).getMessage();
    for (String part : expected) {
      assertTrue(message.contains(part), message);
    }
    assertFalse(message.contains("\n"), message);
  }
}
