package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tercel's own 4-bit checkpoints: what is in them, and what is refused. */
class W4CheckpointTest {
  private static final String Q = "model.layers.0.self_attn.q_proj";
  private static final String ATTENTION = "model.layers.0.self_attn.";
  private static final float[] NO_CLIP = {1, 1};

  @TempDir Path temp;

  private static TinyCheckpoint tiny() {
    return TinyCheckpoint.qwen3().hidden(96).heads(3, 1, 64).ffn(160).vocab(97).w4();
  }

  private static WeightStore load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  @Test
  void weightsAndTransforms_areThoseOfTheFile() {
    TinyCheckpoint tiny = tiny();
    Path directory = tiny.write(temp);
    try (WeightStore weights = load(directory);
        Checkpoint checkpoint = Checkpoint.open(directory)) {
      LayerWeights layer = weights.layers().getFirst();
      PackedMatrix q = layer.q().weight();
      assertEquals(PerRow.W4A4, q.format());
      byte[] packed = tensor(tiny.tensors(), Q + ".weight_packed").data();
      float[] scales = tensor(tiny.tensors(), Q + ".weight_scale").toFloats();
      for (int row = 0; row < q.rows(); row++) {
        long tile = row / 16 * W4Tile.tileBytes(q.cols());
        int sum = 0;
        for (int k = 0; k < q.cols(); k++) {
          int nibble = packed[(row * q.cols() + k) / 2] >> 4 * (k % 2) & 15;
          int code = nibble < 8 ? nibble : nibble - 16;
          assertEquals(code, W4Tile.code(q.segment(), tile, row % 16, k), row + ", " + k);
          sum += code + 8;
        }
        assertEquals(sum, W4Tile.sum(q.segment(), tile, q.cols(), row % 16));
        short scale = W4Tile.scale(q.segment(), tile, q.cols(), row % 16);
        assertEquals(scales[row], Float.float16ToFloat(scale));
      }
      InputTransform transform = transform(layer.q());
      assertSame(transform, transform(layer.k()));
      assertSame(transform, transform(layer.v()));
      assertNotSame(transform, transform(layer.o()));
      assertEquals(8 * 8, size(transform.left()));
      assertEquals(12 * 12, size(transform.right()));
      assertEquals(0.9375f, transform.highClip());
      assertEquals(3 * 3, size(transform(layer.o()).left()));
      assertEquals(64 * 64, size(layer.kv().key()));
      assertEquals(0.96875f, layer.kv().keyClip()[1]);
      WeightPlan plan = WeightPlan.of(checkpoint);
      assertEquals(plan.offHeapBytes(), weights.bytes());
      long floats = weights.vectors().stream().mapToLong(v -> v.length).sum();
      assertEquals(plan.heapBytes(), Float.BYTES * floats);
    }
  }

  private static RawTensor tensor(Map<String, RawTensor> tensors, String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  private static int size(float @Nullable [] matrix) {
    return Objects.requireNonNull(matrix).length;
  }

  private static InputTransform transform(Linear linear) {
    return ((InputSpec.Int4PerToken) linear.input()).transform();
  }

  /** Nibbles as the format's page has them. */
  @Test
  void nibbles_areTwosComplement_theLowOneFirst() {
    byte[] row = {0x78, 0x1f};
    Path directory =
        tiny()
            .editTensors(
                t ->
                    System.arraycopy(row, 0, tensor(t, Q + ".weight_packed").data(), 0, row.length))
            .write(temp);
    try (WeightStore weights = load(directory)) {
      PackedMatrix q = weights.layers().getFirst().q().weight();
      int[] codes = {-8, 7, -1, 1};
      for (int k = 0; k < codes.length; k++) {
        assertEquals(codes[k], W4Tile.code(q.segment(), 0, 0, k));
      }
    }
  }

  /** Plain rounding: no transform, no clip. */
  @Test
  void transforms_mayAllBeMissing() {
    Path directory =
        tiny()
            .editTensors(
                t -> t.keySet().removeIf(n -> n.contains("_transform") || n.endsWith("_clip")))
            .write(temp);
    try (WeightStore weights = load(directory)) {
      LayerWeights layer = weights.layers().getFirst();
      assertSame(InputTransform.NONE, transform(layer.down()));
      assertSame(KvTransform.NONE, layer.kv());
    }
  }

  @Test
  void auto_isInt4_howeverNarrowTheHeads() {
    Path directory = tiny().heads(3, 1, 32).write(temp);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      assertEquals(KvType.INT4, KvType.automatic(checkpoint.config(), WeightPlan.of(checkpoint)));
    }
  }

  @Test
  void aReload_bringsTransforms_andSaysWhetherKeysStay() {
    Path one = tiny().write(temp.resolve("one"));
    Path other = tiny().seed(7).write(temp.resolve("other"));
    float[] changed = {0.5f, 0.5f};
    Path clipped =
        tiny()
            .editTensors(t -> t.put(ATTENTION + "k_clip", RawTensor.floats("F32", changed, 2)))
            .write(temp.resolve("clipped"));
    try (WeightStore weights = load(one);
        WeightStore same = load(clipped);
        WeightStore fresh = load(other)) {
      assertTrue(weights.sameKeysAs(same));
      weights.replaceWith(same);
      assertEquals(0.5f, weights.layers().getFirst().kv().keyClip()[0]);
      assertFalse(weights.sameKeysAs(fresh));
      weights.replaceWith(fresh);
      assertTrue(weights.sameKeysAs(fresh));
      InputTransform transform = transform(weights.layers().getFirst().down());
      assertTrue(
          Arrays.equals(transform(fresh.layers().getFirst().down()).right(), transform.right()));
    }
    try (WeightStore weights = load(one);
        WeightStore plain =
            load(
                tiny()
                    .editTensors(t -> t.keySet().removeIf(n -> n.contains("_transform")))
                    .write(temp.resolve("plain")))) {
      assertThrows(IllegalArgumentException.class, () -> weights.replaceWith(plain));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "packed missing",
        "scale missing",
        "plain beside",
        "packed short",
        "packed of ints",
        "scale of floats",
        "scale infinite",
        "left not square",
        "left no divisor",
        "factors of another width",
        "right infinite",
        "clip of three",
        "clip of zero",
        "clip above one",
        "clip NaN",
        "query missing",
        "key missing",
        "key of another head",
        "query not the inverse",
        "unknown transform"
      })
  void damaged_isRefused_byTheTensorsName(String damage) {
    String o = ATTENTION + "o_transform";
    String down = "model.layers.0.mlp.down_transform";
    Consumer<Map<String, RawTensor>> edit =
        switch (damage) {
          case "packed missing" -> t -> t.remove(Q + ".weight_packed");
          case "scale missing" -> t -> t.remove(Q + ".weight_scale");
          case "plain beside" -> t -> put(t, Q + ".weight", 192, 96);
          case "packed short" ->
              t ->
                  t.put(
                      Q + ".weight_packed", new RawTensor("U8", new long[] {1, 48}, new byte[48]));
          case "packed of ints" ->
              t -> t.put(Q + ".weight_packed", RawTensor.ints(new int[192 * 12], 192, 12));
          case "scale of floats" -> t -> put(t, Q + ".weight_scale", 192);
          case "scale infinite" ->
              t -> {
                float[] scales = tensor(t, Q + ".weight_scale").toFloats();
                scales[7] = Float.POSITIVE_INFINITY;
                t.put(Q + ".weight_scale", RawTensor.floats("F16", scales, 192));
              };
          case "left not square" -> t -> put(t, o + ".left", 3, 2);
          case "left no divisor" -> t -> put(t, o + ".left", 5, 5);
          case "factors of another width" -> t -> put(t, down + ".right", 20, 20);
          case "right infinite" ->
              t -> {
                float[] right = tensor(t, down + ".right").toFloats();
                right[3] = Float.NaN;
                t.put(down + ".right", RawTensor.floats("F32", right, 16, 16));
              };
          case "clip of three" -> t -> put(t, down + ".clip", 3);
          case "clip of zero" -> t -> clip(t, down + ".clip", 0);
          case "clip above one" -> t -> clip(t, ATTENTION + "v_clip", 1.5f);
          case "clip NaN" -> t -> clip(t, down + ".clip", Float.NaN);
          case "query missing" -> t -> t.remove(ATTENTION + "q_transform");
          case "key missing" -> t -> t.remove(ATTENTION + "k_transform");
          case "key of another head" -> t -> put(t, ATTENTION + "k_transform", 32, 32);
          case "query not the inverse" -> t -> put(t, ATTENTION + "q_transform", 64, 64);
          case "unknown transform" -> t -> put(t, ATTENTION + "v_transform", 64, 64);
          default -> throw new IllegalArgumentException(damage);
        };
    Path directory = tiny().editTensors(edit).write(temp);
    CheckpointException e = assertThrows(CheckpointException.class, () -> load(directory).close());
    assertTrue(e.getMessage().contains("model.layers.0."), e.getMessage());
    assertFalse(e.getMessage().contains("\n"), e.getMessage());
  }

  private static void put(Map<String, RawTensor> tensors, String name, long... shape) {
    int size = (int) Arrays.stream(shape).reduce(1, Math::multiplyExact);
    tensors.put(name, RawTensor.floats("F32", new float[size], shape));
  }

  private static void clip(Map<String, RawTensor> tensors, String name, float high) {
    float[] clip = NO_CLIP.clone();
    clip[1] = high;
    tensors.put(name, RawTensor.floats("F32", clip, 2));
  }

  @ParameterizedTest
  @ValueSource(strings = {"w3a3", "w4a4kv4 of version 2", "w4a4kv4 without a version"})
  void otherFormats_areRefused_byTheField(String which) {
    Consumer<ObjectNode> edit =
        config -> {
          ObjectNode q = (ObjectNode) config.get("quantization_config");
          switch (which) {
            case "w3a3" -> q.put("format", "w3a3");
            case "w4a4kv4 of version 2" -> q.put("version", 2);
            default -> q.remove("version");
          }
        };
    Path directory = tiny().editConfig(edit).write(temp);
    CheckpointException e = assertThrows(CheckpointException.class, () -> load(directory).close());
    String field = which.equals("w3a3") ? "format" : "version";
    assertTrue(e.getMessage().contains(field), e.getMessage());
  }

  @Test
  void aSecondDescription_isRefused() throws IOException {
    Path directory = tiny().write(temp);
    Files.writeString(directory.resolve("quantize_config.json"), "{\"bits\": 3}");
    CheckpointException e = assertThrows(CheckpointException.class, () -> load(directory).close());
    assertTrue(e.getMessage().contains("quantize_config.json"), e.getMessage());
  }
}
