package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.testing.CompressedWriter;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checkpoints of compressed-tensors, pack-quantized to three bits in either packing. */
class CompressedCheckpointTest {
  private static final String DOWN = "model.layers.0.mlp.down_proj";

  /** Codes i % 8. */
  private static final int[] RAMP = {0x88fac688, 0xc688fac6, 0xfac688fa};

  private static final int[] FOURS = {0x24924924, 0x49249249, 0x92492492};
  private static final int[] TENTH = {0xc0000000, 1, 0};
  private static final int[] TWENTY_FIRST = {0, 0x80000000, 3};

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

  /** All matrices, orders and vectors: the same bytes. */
  private static String checksum(Path directory) {
    try (WeightStore weights = load(directory)) {
      return WeightChecksum.of(weights).hex();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "SYM,true",
    "SYM,false",
    "ASYM,true",
    "ASYM,false",
    "ASYM_V2,true",
    "SYM_ACT_ORDER,true",
    "SYM_ACT_ORDER,false",
    "ASYM_ACT_ORDER_V2,true",
    "ASYM_ACT_ORDER_V2,false"
  })
  void loads_toTheBytesOfItsGptqTwin(String name, boolean dense)
      throws ReflectiveOperationException {
    GptqVariant variant = (GptqVariant) GptqVariant.class.getField(name).get(null);
    String expected = checksum(tiny().gptq(variant).write(temp.resolve("gptq")));
    Path twin = new CompressedWriter(variant, dense).twin(tiny()).write(temp.resolve("twin"));
    assertEquals(expected, checksum(twin));
  }

  /** A mirrored group, as negative scales make one, and zeros of both signs. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void negativeScales_areMirroredAsGptqsAre(boolean dense) {
    String expected =
        checksum(changeSigns(tiny().gptq(GptqVariant.ASYM_V2)).write(temp.resolve("gptq")));
    Path twin =
        new CompressedWriter(GptqVariant.ASYM_V2, dense)
            .twin(changeSigns(tiny()))
            .write(temp.resolve("twin"));
    assertEquals(expected, checksum(twin));
  }

  private static TinyCheckpoint changeSigns(TinyCheckpoint tiny) {
    return tiny.editTensors(
        t ->
            t.replaceAll(
                (name, tensor) -> {
                  if (!name.endsWith(".scales")) {
                    return tensor;
                  }
                  Random random = new Random(9);
                  float[] scales = tensor.toFloats();
                  for (int i = 0; i < scales.length; i++) {
                    scales[i] = random.nextBoolean() ? -scales[i] : scales[i];
                  }
                  scales[3] = -0f;
                  return RawTensor.floats("F16", scales, tensor.shape());
                }));
  }

  /** By hand: of the dense stream the words of GPTQ, of the other ten octal digits a word. */
  @Test
  void golden() {
    int[] ramp = new int[32];
    Arrays.setAll(ramp, i -> i % 8);
    int[] fours = new int[32];
    Arrays.fill(fours, 4);
    int[] tenth = new int[32];
    tenth[10] = 7;
    int[] twentyFirst = new int[32];
    twentyFirst[21] = 7;
    assertRows(List.of(RAMP, FOURS, TENTH, TWENTY_FIRST), List.of(ramp, fours, tenth, twentyFirst));
    assertRows(
        List.of(
            new int[] {0_1076543210, 0_3210765432, 0_5432107654, 0_76},
            new int[] {0_4444444444, 0_4444444444, 0_4444444444, 0_44},
            new int[] {0, 7, 0, 0},
            new int[] {0, 0, 7 << 3, 0}),
        List.of(ramp, fours, tenth, twentyFirst));
  }

  /** Rows of down_proj whose first 32 codes are in these words and that are zero after. */
  private void assertRows(List<int[]> rows, List<int[]> expected) {
    boolean dense = rows.getFirst().length == 3;
    int width = dense ? 27 : 29;
    Path directory =
        new CompressedWriter(GptqVariant.SYM, dense)
            .twin(tiny())
            .editTensors(
                t -> {
                  int[] words = new int[96 * width];
                  for (int r = 0; r < rows.size(); r++) {
                    System.arraycopy(rows.get(r), 0, words, r * width, rows.get(r).length);
                  }
                  t.put(DOWN + ".weight_packed", RawTensor.ints(words, 96, width));
                })
            .write(temp.resolve(dense ? "dense" : "ten"));
    try (WeightStore weights = load(directory)) {
      PackedMatrix down = weights.layers().getFirst().down().weight();
      byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
      byte[] zeros = new byte[W3Block.ROWS];
      W3Block.unpack(down.segment(), 0, codes, new short[W3Block.ROWS], zeros);
      for (int r = 0; r < rows.size(); r++) {
        int[] found = new int[32];
        for (int i = 0; i < found.length; i++) {
          found[i] = codes[r * W3Block.GROUP + i];
        }
        assertArrayEquals(expected.get(r), found, "row " + r);
        assertEquals(4, zeros[r]);
      }
    }
  }

  @Test
  void scales_mayBeOfOtherTypes_whereFp16HoldsThem() {
    String expected = checksum(symmetric().write(temp.resolve("f16")));
    Path wide =
        symmetric()
            .editTensors(
                t ->
                    t.replaceAll(
                        (name, s) ->
                            name.endsWith(".weight_scale")
                                ? RawTensor.floats("F32", s.toFloats(), s.shape())
                                : s))
            .write(temp.resolve("f32"));
    assertEquals(expected, checksum(wide));
  }

  @Test
  void shapes_mayBeI32_headsOfTheirOwn_andIgnored() {
    CompressedWriter writer = new CompressedWriter(GptqVariant.SYM, true);
    Path directory =
        writer
            .twin(TinyCheckpoint.qwen2().hidden(96))
            .editTensors(
                t ->
                    t.replaceAll(
                        (name, s) -> {
                          if (!name.endsWith(".weight_shape")) {
                            return s;
                          }
                          int[] longs = s.toInts();
                          return RawTensor.ints(new int[] {longs[0], longs[2]}, 2);
                        }))
            .editConfig(
                c ->
                    ((ObjectNode) c.get("quantization_config"))
                        .putArray("ignore")
                        .add("re:.*lm_head")
                        .add("re:.*embed_tokens$"))
            .write(temp);
    assertEquals(64, checksum(directory).length());
  }

  @Test
  void packed_isKept_andReadTheNextTime() {
    Path directory = asymmetric().write(temp.resolve("model"));
    String expected = checksum(directory);
    List<String> notes = new ArrayList<>();
    LoadProgress heard =
        new LoadProgress() {
          @Override
          public void loaded(String name, long doneBytes, long totalBytes) {}

          @Override
          public void note(String message) {
            notes.add(message);
          }
        };
    PackedCache cache = PackedCache.in(temp.resolve("cache"));
    for (int i = 0; i < 2; i++) {
      try (Checkpoint checkpoint = Checkpoint.open(directory);
          WeightStore store =
              WeightLoader.load(checkpoint, LmHeadType.STORED, cache, Long.MAX_VALUE, heard)) {
        assertEquals(expected, WeightChecksum.of(store).hex());
      }
    }
    assertEquals(2, notes.size(), notes.toString());
    assertTrue(notes.getFirst().startsWith("packed weights kept in"), notes.toString());
    assertTrue(notes.getLast().startsWith("packed weights read from"), notes.toString());
  }
}
