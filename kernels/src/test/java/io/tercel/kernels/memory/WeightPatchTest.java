package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Patches between two stores of one shape, whose codes are read one by one. */
class WeightPatchTest {
  private static final short ONE = 0x3c00;
  private static final short HALF_INFINITY = 0x7c00;

  @TempDir private Path temp;

  private int loaded;

  private WeightStore load(TinyCheckpoint tiny) {
    Path directory = tiny.write(temp.resolve("m" + loaded++));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  /** Several groups, tails of columns, and of 4 bits tails of rows too. */
  private static TinyCheckpoint tiny(String format, long seed) {
    return switch (format) {
      case "w3" ->
          TinyCheckpoint.qwen2()
              .seed(seed)
              .hidden(160)
              .ffn(288)
              .heads(4, 2, 32)
              .gptq(GptqVariant.ASYM_V2);
      case "w4" -> TinyCheckpoint.qwen3().seed(seed).hidden(136).ffn(168).heads(3, 1, 40).w4();
      case "fp16" -> TinyCheckpoint.qwen3().seed(seed).dtype("F16");
      case "fp32" -> TinyCheckpoint.qwen3().seed(seed).dtype("F32");
      default -> TinyCheckpoint.qwen3().seed(seed).dtype("BF16");
    };
  }

  /** Hands all of one store to a writer, packed anew of single codes. */
  private static void copy(WeightStore from, WeightStore to, PatchWriter writer) {
    StoredTensors sources = from.tensors();
    StoredTensors targets = to.tensors();
    for (String name : targets.matrices()) {
      copy(
          Objects.requireNonNull(sources.matrix(name)),
          Objects.requireNonNull(targets.matrix(name)),
          writer);
    }
    for (String name : targets.vectors()) {
      writer.vector(
          name,
          Objects.requireNonNull(targets.vector(name)),
          Objects.requireNonNull(sources.vector(name)));
    }
  }

  private static void copy(PackedMatrix from, PackedMatrix to, PatchWriter writer) {
    for (int tile = 0; tile < W3Block.tiles(from.rows()); tile++) {
      switch (from.format()) {
        case QuantFormat.Grouped _ -> copyBlocks(from, to, tile, writer);
        case QuantFormat.PerRow _ -> copyTile(from, to, tile, writer);
        case QuantFormat.Dense dense -> {
          int rows = Math.min(16, from.rows() - 16 * tile);
          float[] values = new float[rows * from.cols()];
          long first = 16L * tile * from.cols();
          for (int i = 0; i < values.length; i++) {
            values[i] = dense.element(from.segment(), first + i);
          }
          writer.dense(to, first, values, values.length);
        }
      }
    }
  }

  private static void copyBlocks(PackedMatrix from, PackedMatrix to, int tile, PatchWriter writer) {
    int groups = W3Block.groups(from.cols());
    for (int group = 0; group < groups; group++) {
      byte[] codes = new byte[16 * 128];
      short[] scales = new short[16];
      byte[] zeros = new byte[16];
      long at = W3Block.blockOffset(tile, group, groups);
      W3Block.unpack(from.segment(), at, codes, scales, zeros);
      writer.block(to, tile, group, codes, scales, zeros);
    }
  }

  private static void copyTile(PackedMatrix from, PackedMatrix to, int tile, PatchWriter writer) {
    int cols = from.cols();
    byte[] codes = new byte[16 * cols];
    short[] scales = new short[16];
    long at = tile * W4Tile.tileBytes(cols);
    for (int r = 0; r < 16; r++) {
      scales[r] = W4Tile.scale(from.segment(), at, cols, r);
      for (int k = 0; k < cols; k++) {
        codes[r * cols + k] = (byte) W4Tile.code(from.segment(), at, r, k);
      }
    }
    writer.tile(to, tile, codes, scales);
  }

  private static List<Long> addresses(WeightStore store) {
    List<Long> addresses = new ArrayList<>();
    store.matrices().forEach(m -> addresses.add(m.segment().address()));
    for (float[] vector : store.vectors()) {
      if (vector.length > 0) { // else there is none, and it is made anew each time
        addresses.add((long) System.identityHashCode(vector));
      }
    }
    return addresses;
  }

  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4", "bf16", "fp16", "fp32"})
  void update_makesTheStoreTheOther_inPlace(String format) {
    try (WeightStore store = load(tiny(format, 1));
        WeightStore other = load(tiny(format, 2))) {
      List<Long> before = addresses(store);
      try (WeightPatch patch = WeightPatch.against(store)) {
        copy(other, store, patch.writer());
        assertTrue(patch.bytes() > store.bytes() / 2, patch.bytes() + " of " + store.bytes());
        store.update(patch);
      }
      assertEquals(WeightChecksum.of(other).hex(), WeightChecksum.of(store).hex());
      assertEquals(before, addresses(store));
      assertEquals(1, store.version());
      assertEquals(format.equals("w4") ? 1 : 0, store.keyVersion(), "keys are transformed anew");
      // the same once more changes nothing, and is a version all the same
      try (WeightPatch patch = WeightPatch.against(store)) {
        copy(other, store, patch.writer());
        assertEquals(0, patch.bytes());
        assertEquals(0, patch.codesFlipped());
        store.update(patch);
      }
      assertEquals(2, store.version());
      assertEquals(format.equals("w4") ? 1 : 0, store.keyVersion(), "keys are as they were");
    }
  }

  /** A few codes here and there: all arrive, and few bytes move. */
  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4"})
  void update_copiesWhatDiffers(String format) {
    Random random = new Random(5);
    try (WeightStore store = load(tiny(format, 1));
        WeightStore other = load(tiny(format, 1))) {
      for (int round = 1; round <= 20; round++) {
        String name = "model.layers.%d.mlp.%s_proj.weight".formatted(round % 2, pick(random));
        PackedMatrix from = Objects.requireNonNull(other.tensors().matrix(name));
        PackedMatrix to = Objects.requireNonNull(store.tensors().matrix(name));
        int flips = 1 + random.nextInt(4);
        int flipped = flip(from, flips, random);
        try (WeightPatch patch = WeightPatch.against(store)) {
          copy(from, to, patch.writer());
          assertEquals(flipped, patch.codesFlipped());
          assertTrue(patch.bytes() <= flips * 6 * 64L, patch.bytes() + " bytes");
          store.update(patch);
        }
        assertEquals(WeightChecksum.of(other).hex(), WeightChecksum.of(store).hex());
        assertEquals(round, store.version());
      }
    }
  }

  private static String pick(Random random) {
    return List.of("up", "down", "gate").get(random.nextInt(3));
  }

  /** Changes codes of one block or tile; how many differ at last. */
  private static int flip(PackedMatrix matrix, int flips, Random random) {
    int cols = matrix.cols();
    int tile = random.nextInt(matrix.rows() / 16);
    byte[] codes = new byte[16 * (matrix.format() instanceof QuantFormat.PerRow ? cols : 128)];
    short[] scales = new short[16];
    if (matrix.format() instanceof QuantFormat.PerRow) {
      long at = tile * W4Tile.tileBytes(cols);
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) W4Tile.code(matrix.segment(), at, i / cols, i % cols);
        scales[i / cols] = W4Tile.scale(matrix.segment(), at, cols, i / cols);
      }
      int flipped = flip(codes, flips, 15, random, 8);
      W4Tile.pack(codes, cols, scales, matrix.segment(), at);
      return flipped;
    }
    byte[] zeros = new byte[16];
    int groups = W3Block.groups(cols);
    long at = W3Block.blockOffset(tile, random.nextInt(groups - 1), groups);
    W3Block.unpack(matrix.segment(), at, codes, scales, zeros);
    int flipped = flip(codes, flips, 7, random, 0);
    W3Block.pack(codes, scales, zeros, matrix.segment(), at);
    return flipped;
  }

  private static int flip(byte[] codes, int flips, int max, Random random, int zero) {
    byte[] before = codes.clone();
    for (int i = 0; i < flips; i++) {
      int at = random.nextInt(codes.length);
      codes[at] = (byte) ((codes[at] + zero ^ 1 + random.nextInt(max)) - zero);
    }
    int differ = 0;
    for (int i = 0; i < codes.length; i++) {
      differ += codes[i] == before[i] ? 0 : 1;
    }
    return differ;
  }

  private static PackedMatrix query(WeightStore store) {
    return store.layers().getFirst().q().weight();
  }

  private static short[] ones() {
    short[] ones = new short[16];
    Arrays.fill(ones, ONE);
    return ones;
  }

  @Test
  void nonFinite_isRefused_andTheWeightsStay() {
    try (WeightStore store = load(tiny("w3", 1))) {
      String before = WeightChecksum.of(store).hex();
      try (WeightPatch patch = WeightPatch.against(store)) {
        PatchWriter writer = patch.writer();
        short[] scales = ones();
        scales[3] = HALF_INFINITY;
        var e =
            assertThrows(
                NonFiniteWeightsException.class,
                () -> writer.block(query(store), 2, 1, new byte[16 * 128], scales, new byte[16]));
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains("q_proj has a scale of Infinity in row 35, group 1"), message);
        assertTrue(message.contains("version 0 stay"), message);
        assertThrows(IllegalStateException.class, () -> store.update(patch), "it lacks a part");
      }
      for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY, Float.MAX_VALUE}) {
        try (WeightPatch patch = WeightPatch.against(store)) {
          PatchWriter writer = patch.writer();
          float[] row = {0, bad};
          var e = // the greatest float is an infinity in 16 bits
              assertThrows(
                  NonFiniteWeightsException.class,
                  () -> writer.dense(store.embedding(), 160L * 7 + 4, row, 2));
          assertTrue(String.valueOf(e.getMessage()).contains("in row 7, column 5"), e.toString());
        }
      }
      try (WeightPatch patch = WeightPatch.against(store)) {
        PatchWriter writer = patch.writer();
        float[] norm = store.finalNorm().clone();
        norm[2] = Float.NaN;
        assertThrows(
            NonFiniteWeightsException.class,
            () -> writer.vector("model.norm.weight", store.finalNorm(), norm));
      }
      assertEquals(before, WeightChecksum.of(store).hex());
      assertEquals(0, store.version());
      store.requireFinite();
    }
  }

  /** What an update of the older kind has spoilt elsewhere is not forgotten. */
  @Test
  void update_doesNotHideAnEarlierFault() {
    try (WeightStore store = load(tiny("w3", 1))) {
      float sound = store.finalNorm()[0];
      assertThrows(
          NonFiniteWeightsException.class,
          () -> store.update(() -> store.finalNorm()[0] = Float.NaN));
      try (WeightPatch patch = WeightPatch.against(store)) {
        assertThrows(NonFiniteWeightsException.class, () -> store.update(patch));
      }
      assertThrows(NonFiniteWeightsException.class, store::requireFinite);
      try (WeightPatch patch = WeightPatch.against(store)) {
        float[] norm = store.finalNorm().clone();
        norm[0] = sound;
        patch.writer().vector("model.norm.weight", store.finalNorm(), norm);
        store.update(patch);
      }
      store.requireFinite();
    }
  }

  @Test
  void patchOfOlderWeights_isRefused() {
    try (WeightStore store = load(tiny("w3", 1));
        WeightStore other = load(tiny("w3", 2));
        WeightPatch patch = WeightPatch.against(store)) {
      PatchWriter writer = patch.writer();
      copy(other, store, writer);
      store.update(() -> store.finalNorm()[0] = 2);
      String before = WeightChecksum.of(store).hex();
      assertThrows(ConcurrentModificationException.class, () -> store.update(patch));
      assertThrows(IllegalArgumentException.class, () -> other.update(patch));
      assertThrows(
          IllegalArgumentException.class,
          () -> writer.vector("model.norm.weight", other.finalNorm(), other.finalNorm()));
      assertThrows(IllegalArgumentException.class, () -> copy(query(other), query(other), writer));
      assertEquals(before, WeightChecksum.of(store).hex());
      assertEquals(1, store.version());
    }
  }

  @Test
  void codesThatAreNone_andReorderedColumns_areRefused() {
    try (WeightStore store = load(tiny("w3", 1));
        WeightStore four = load(tiny("w4", 1));
        WeightStore reordered =
            load(
                TinyCheckpoint.qwen2()
                    .hidden(160)
                    .ffn(288)
                    .heads(4, 2, 32)
                    .gptq(GptqVariant.SYM_ACT_ORDER));
        WeightPatch patch = WeightPatch.against(store);
        WeightPatch four4 = WeightPatch.against(four);
        WeightPatch other = WeightPatch.against(reordered)) {
      byte[] codes = new byte[16 * 128];
      byte[] zeros = new byte[16];
      PatchWriter writer = patch.writer();
      codes[1999] = 8;
      assertRefused("0..7", () -> writer.block(query(store), 0, 0, codes, ones(), zeros));
      codes[1999] = -1;
      assertRefused("0..7", () -> writer.block(query(store), 0, 0, codes, ones(), zeros));
      codes[1999] = 0;
      zeros[15] = 8;
      assertRefused("0..7", () -> writer.block(query(store), 0, 0, codes, ones(), zeros));
      zeros[15] = 0;
      short[] negative = ones();
      negative[1] = (short) 0xbc00;
      assertRefused("-1.0", () -> writer.block(query(store), 0, 0, codes, negative, zeros));
      for (int bad : new int[] {8, -9, 127, -128}) {
        byte[] tile = new byte[16 * 136];
        tile[2000] = (byte) bad;
        PatchWriter w = four4.writer();
        assertRefused("-8..7", () -> w.tile(query(four), 0, tile, ones()));
      }
      assertRefused("w4a4", () -> writer.tile(query(store), 0, new byte[16 * 160], ones()));
      PatchWriter w = other.writer();
      assertRefused("act-order", () -> w.block(query(reordered), 0, 0, codes, ones(), zeros));
      writer.block(query(store), 0, 0, codes, ones(), zeros);
      store.update(patch);
      byte[] read = new byte[16 * 128];
      short[] scales = new short[16];
      W3Block.unpack(query(store).segment(), 0, read, scales, zeros);
      assertArrayEquals(codes, read);
      assertArrayEquals(ones(), scales);
      assertFalse(WeightChecksum.of(store).hex().isEmpty());
    }
  }

  private static void assertRefused(String why, Runnable write) {
    var e = assertThrows(IllegalArgumentException.class, write::run);
    assertTrue(String.valueOf(e.getMessage()).contains(why), e.getMessage());
  }
}
