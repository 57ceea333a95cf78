package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What a diverged training step may write: NaN and infinities, anywhere. */
class NonFiniteUpdateTest {
  private static final short HALF_INFINITY = 0x7c00;
  private static final short HALF_NAN = (short) 0xfe00;

  @TempDir private Path temp;

  /** 3-bit linears, dense embedding in the given type, biases. */
  private WeightStore load(String dtype, long seed) {
    TinyCheckpoint tiny =
        TinyCheckpoint.qwen2()
            .seed(seed)
            .hidden(128)
            .ffn(256)
            .heads(4, 2, 32)
            .dtype(dtype)
            .gptq(GptqVariant.SYM);
    Path directory = tiny.write(temp.resolve(dtype + seed));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private static void scale(PackedMatrix matrix, int row, int group, short bits) {
    int groups = W3Block.groups(matrix.cols());
    long block = W3Block.blockOffset(row / W3Block.ROWS, group, groups);
    int lane = row % W3Block.ROWS;
    byte zero = W3Block.zero(matrix.segment(), block, lane);
    W3Block.setScale(matrix.segment(), block, lane, bits, zero);
  }

  private static void dense(PackedMatrix matrix, long index, float value) {
    ((QuantFormat.Dense) matrix.format()).store(matrix.segment(), index, value);
  }

  static Stream<Arguments> faults() {
    return Stream.of(
        fault(s -> scale(down(s), 100, 1, HALF_NAN), "layers.1.mlp.down_proj", "row 100, group 1"),
        fault(s -> scale(down(s), 127, 0, HALF_INFINITY), "layers.1.mlp.down_proj", "row 127"),
        fault(s -> scale(query(s), 0, 0, HALF_INFINITY), "layers.0.self_attn.q_proj", "row 0"),
        fault(s -> dense(s.embedding(), 0, Float.NaN), "embed_tokens", "row 0, column 0"),
        fault(
            s -> dense(s.embedding(), 128L * 9 + 3, Float.NEGATIVE_INFINITY),
            "embed_tokens",
            "-Infinity in row 9, column 3"),
        fault(
            s -> s.layers().get(1).postAttentionNorm()[127] = Float.NaN,
            "model.layers.1.post_attention_layernorm",
            "element 127"),
        fault(
            s -> Objects.requireNonNull(s.layers().get(0).k().bias())[2] = Float.POSITIVE_INFINITY,
            "the bias of model.layers.0.self_attn.k_proj",
            "element 2"),
        fault(s -> s.finalNorm()[5] = Float.NaN, "model.norm", "element 5"));
  }

  private static Arguments fault(Consumer<WeightStore> write, String tensor, String where) {
    return Arguments.of(write, tensor, where);
  }

  private static PackedMatrix down(WeightStore s) {
    return s.layers().get(1).down().weight();
  }

  private static PackedMatrix query(WeightStore s) {
    return s.layers().getFirst().q().weight();
  }

  @ParameterizedTest(name = "{1}, {2}")
  @MethodSource("faults")
  void update_namesTheTensor_andNothingIsComputedUntilItIsMended(
      Consumer<WeightStore> write, String tensor, String where) {
    for (String dtype : List.of("BF16", "F16", "F32")) {
      try (WeightStore store = load(dtype, 1);
          WeightStore sound = load(dtype, 1)) {
        assertDoesNotThrow(store::requireFinite);
        var e =
            assertThrows(
                NonFiniteWeightsException.class, () -> store.update(() -> write.accept(store)));
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains(tensor) && message.contains(where), message);
        assertTrue(message.contains("version 1"), message);
        assertEquals(1, store.version(), "the weights are others");
        assertEquals(
            message,
            assertThrows(NonFiniteWeightsException.class, store::requireFinite).getMessage());
        // another write elsewhere does not mend it, whatever it says it has written
        assertThrows(
            NonFiniteWeightsException.class, () -> store.update(List.of(query(store)), () -> {}));
        store.replaceWith(sound);
        store.requireFinite();
        assertEquals(WeightChecksum.of(sound).hex(), WeightChecksum.of(store).hex());
      }
    }
  }

  @ParameterizedTest(name = "{1}, {2}")
  @MethodSource("faults")
  void replaceWith_suchWeights_changesNothing(
      Consumer<WeightStore> write, String tensor, String where) {
    try (WeightStore store = load("BF16", 1);
        WeightStore other = load("BF16", 2)) {
      String before = WeightChecksum.of(store).hex();
      write.accept(other); // past update
      var e = assertThrows(NonFiniteWeightsException.class, () -> store.replaceWith(other));
      assertTrue(String.valueOf(e.getMessage()).contains(tensor), e.getMessage());
      assertEquals(0, store.version());
      assertEquals(before, WeightChecksum.of(store).hex());
      store.requireFinite();
    }
  }

  @Test
  void update_ofSomeMatrices_looksAtThoseAlone_andAtAllNorms() {
    try (WeightStore store = load("BF16", 1)) {
      store.update(List.of(query(store)), () -> scale(query(store), 3, 0, (short) 0x3c00));
      assertEquals(1, store.version());
      assertThrows(
          NonFiniteWeightsException.class,
          () -> store.update(List.of(query(store)), () -> scale(query(store), 3, 0, HALF_NAN)));
      store.update(List.of(query(store)), () -> scale(query(store), 3, 0, (short) 0x3c00));
      assertThrows(
          NonFiniteWeightsException.class,
          () -> store.update(List.of(), () -> store.finalNorm()[0] = Float.NaN));
    }
  }

  @Test
  void update_thatFailsHalfway_isLookedThroughToo() {
    try (WeightStore store = load("BF16", 1)) {
      assertThrows(
          IllegalStateException.class,
          () ->
              store.update(
                  () -> {
                    dense(store.embedding(), 7, Float.NaN);
                    throw new IllegalStateException("halfway");
                  }));
      assertThrows(NonFiniteWeightsException.class, store::requireFinite);
    }
  }
}
