package io.tercel.kernels.exchange;

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
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.kernels.memory.PatchWriter;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What changes in one store, as it comes to another that holds an older version. */
class WeightUpdateTest {
  private static final String UP = "model.layers.1.mlp.up_proj.weight";
  private static final String NORM = "model.norm.weight";
  private static final String EMBEDDING = "model.embed_tokens.weight";

  @TempDir private Path temp;

  private int loaded;
  private long codesChanged;

  /** Several groups, tails of columns, and of 4 bits tails of rows and an odd number of columns. */
  private WeightStore load(String format, long seed) {
    TinyCheckpoint tiny =
        switch (format) {
          case "w3" ->
              TinyCheckpoint.qwen2().hidden(160).ffn(288).heads(4, 2, 32).gptq(GptqVariant.ASYM_V2);
          case "w4" -> TinyCheckpoint.qwen3().hidden(136).ffn(168).heads(3, 1, 40).w4();
          case "fp16" -> TinyCheckpoint.qwen3().dtype("F16");
          case "fp32" -> TinyCheckpoint.qwen3().dtype("F32");
          default -> TinyCheckpoint.qwen3().dtype("BF16");
        };
    Path directory = tiny.seed(seed).write(temp.resolve("m" + loaded++));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  /** Changes about one in so many values, as a trainer does. */
  private void train(WeightStore store, WeightHistory history, Random random, int oneIn) {
    StoredTensors stored = store.tensors();
    try (WeightPatch patch = WeightPatch.against(store, history)) {
      PatchWriter writer = patch.writer();
      for (String name : stored.matrices()) {
        train(Objects.requireNonNull(stored.matrix(name)), writer, random, oneIn);
      }
      for (String name : stored.vectors()) {
        float[] vector = Objects.requireNonNull(stored.vector(name));
        if (random.nextInt(3) == 0 && !name.endsWith("k_transform")) {
          float[] values = vector.clone();
          values[random.nextInt(values.length)] *= 0.99f;
          writer.vector(name, vector, values);
        }
      }
      codesChanged = patch.codesFlipped();
      store.update(patch);
    }
  }

  private static void train(PackedMatrix matrix, PatchWriter writer, Random random, int oneIn) {
    int cols = matrix.cols();
    for (int tile = 0; tile < W3Block.tiles(matrix.rows()); tile++) {
      int rows = Math.min(16, matrix.rows() - 16 * tile);
      short[] scales = new short[16];
      switch (matrix.format()) {
        case QuantFormat.Grouped _ -> {
          for (int g = 0; g < W3Block.groups(cols); g++) {
            byte[] codes = new byte[16 * 128];
            byte[] zeros = new byte[16];
            long at = W3Block.blockOffset(tile, g, W3Block.groups(cols));
            W3Block.unpack(matrix.segment(), at, codes, scales, zeros);
            for (int i = 0; i < codes.length; i++) {
              boolean there = i / 128 < rows && 128 * g + i % 128 < cols;
              codes[i] = (byte) (there && hit(random, oneIn) ? codes[i] + 1 & 7 : codes[i]);
            }
            change(scales, rows, random, oneIn);
            zeros[0] = (byte) (hit(random, oneIn) ? zeros[0] + 1 & 7 : zeros[0]);
            writer.block(matrix, tile, g, codes, scales, zeros);
          }
        }
        case QuantFormat.PerRow _ -> {
          byte[] codes = new byte[16 * cols];
          long at = tile * W4Tile.tileBytes(cols);
          for (int i = 0; i < rows * cols; i++) {
            int code = W4Tile.code(matrix.segment(), at, i / cols, i % cols);
            codes[i] = (byte) (hit(random, oneIn) ? (code + 9 & 15) - 8 : code);
            scales[i / cols] = W4Tile.scale(matrix.segment(), at, cols, i / cols);
          }
          change(scales, rows, random, oneIn);
          writer.tile(matrix, tile, codes, scales);
        }
        case QuantFormat.Dense dense -> {
          float[] values = new float[rows * cols];
          for (int i = 0; i < values.length; i++) {
            values[i] = dense.element(matrix.segment(), 16L * tile * cols + i);
            values[i] *= hit(random, oneIn) ? 1.1f : 1;
          }
          writer.dense(matrix, 16L * tile * cols, values, values.length);
        }
      }
    }
  }

  private static boolean hit(Random random, int oneIn) {
    return random.nextInt(oneIn) == 0;
  }

  private static void change(short[] scales, int rows, Random random, int oneIn) {
    for (int r = 0; r < rows; r++) {
      scales[r] = (short) (hit(random, oneIn) ? Math.max(1, scales[r] - 1) : scales[r]);
    }
  }

  /** What one store has since a version goes to another; the bytes that this takes. */
  private static long send(WeightHistory history, long since, WeightStore to)
      throws InterruptedException {
    try (WeightUpdate update = new WeightUpdate(to, since == WeightHistory.NONE)) {
      PiecesDigest sent = new PiecesDigest();
      history.read(
          since,
          pieces -> {
            sent.add(pieces);
            int from = 0;
            for (int i = 0; i < pieces.count(); i++) {
              update.put(
                  pieces.name(),
                  pieces.part(),
                  pieces.offset(i),
                  pieces.data(),
                  from,
                  pieces.length(i));
              from += pieces.length(i);
            }
            assertEquals(from, pieces.bytes());
          });
      WeightPatch patch = update.finish();
      assertArrayEquals(sent.bytes(), update.digest());
      to.update(patch);
      return update.bytes();
    }
  }

  private static void assertEqual(WeightStore a, WeightStore b) {
    assertEquals(WeightChecksum.of(a).hex(), WeightChecksum.of(b).hex());
  }

  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4", "fp16", "fp32", "bf16"})
  void whatChanged_isAllThatIsMissing(String format) throws InterruptedException {
    try (WeightStore trained = load(format, 1);
        WeightStore close = load(format, 1);
        WeightStore far = load(format, 1);
        WeightStore fresh = load(format, 2)) {
      WeightHistory history = new WeightHistory(trained);
      Random random = new Random(5);
      long all = send(history, WeightHistory.NONE, fresh);
      assertEqual(trained, fresh);
      for (int step = 1; step <= 6; step++) {
        train(trained, history, random, 4000);
        long bytes = send(history, step - 1, close);
        assertTrue(bytes > 0 && bytes < all / 3, bytes + " of " + all);
        assertEqual(trained, close);
        if (step % 3 == 0) {
          send(history, step - 3, far);
          assertEqual(trained, far);
        }
      }
      assertEquals(6, close.version());
      assertEquals(0, send(history, 6, close));
      assertEquals(all, send(history, WeightHistory.NONE, fresh));
      assertEqual(trained, fresh);
    }
  }

  /** A code takes its row's group with it, and nothing else. */
  @Test
  void oneCode_isAGroupOfARow() throws InterruptedException {
    try (WeightStore trained = load("w3", 1);
        WeightStore other = load("w3", 1)) {
      WeightHistory history = new WeightHistory(trained);
      PackedMatrix up = Objects.requireNonNull(trained.tensors().matrix(UP));
      byte[] codes = new byte[16 * 128];
      short[] scales = new short[16];
      byte[] zeros = new byte[16];
      long at = W3Block.blockOffset(2, 1, 2);
      W3Block.unpack(up.segment(), at, codes, scales, zeros);
      codes[5 * 128 + 7] ^= 1;
      try (WeightPatch patch = WeightPatch.against(trained, history)) {
        patch.writer().block(up, 2, 1, codes, scales, zeros);
        trained.update(patch);
      }
      assertEquals(48, send(history, 0, other));
      assertEqual(trained, other);
    }
  }

  /** After a reload nobody knows what has changed; a patch that failed loses nothing. */
  @Test
  void somebodyElsesWrite_isNotKnown() throws InterruptedException {
    try (WeightStore trained = load("w3", 1);
        WeightStore other = load("w3", 1);
        WeightStore reloaded = load("w3", 3)) {
      WeightHistory history = new WeightHistory(trained);
      Random random = new Random(5);
      train(trained, history, random, 1000);
      assertTrue(history.knows(0));
      try (WeightPatch late = WeightPatch.against(trained, history)) {
        trained.replaceWith(reloaded);
        assertThrows(ConcurrentModificationException.class, () -> trained.update(late));
      }
      assertFalse(history.knows(1));
      assertThrows(ConcurrentModificationException.class, () -> history.read(1, pieces -> {}));
      train(trained, history, random, 1000);
      assertFalse(history.knows(1));
      assertTrue(history.knows(2));
      send(history, WeightHistory.NONE, other);
      assertEqual(trained, other);
      train(trained, history, random, 1000);
      send(history, 3, other);
      assertEqual(trained, other);
      assertTrue(codesChanged > 0);
    }
  }

  /** What is read while it is written is of no use, and said to be. */
  @Test
  void changedWhileRead_isRefused() {
    try (WeightStore trained = load("w3", 1)) {
      WeightHistory history = new WeightHistory(trained);
      Random random = new Random(5);
      assertThrows(
          ConcurrentModificationException.class,
          () ->
              history.read(
                  WeightHistory.NONE,
                  pieces -> {
                    if (pieces.name().equals(EMBEDDING)) {
                      train(trained, history, random, 1000);
                    }
                  }));
    }
  }

  private static void assertRefused(
      WeightStore store, String why, String name, TensorPart part, long offset, int length) {
    String before = WeightChecksum.of(store).hex();
    try (WeightUpdate update = new WeightUpdate(store, false)) {
      byte[] data = new byte[Math.max(0, length)];
      var e =
          assertThrows(
              IllegalArgumentException.class,
              () -> {
                update.put(name, part, offset, data, 0, length);
                update.finish();
              });
      assertTrue(String.valueOf(e.getMessage()).contains(why), e.getMessage());
    }
    assertEquals(before, WeightChecksum.of(store).hex());
  }

  @Test
  void hostilePieces_changeNothing() {
    try (WeightStore store = load("w3", 1);
        WeightStore four = load("w4", 1)) {
      assertRefused(store, "no tensor model.up", "model.up", TensorPart.CODES, 0, 48);
      assertRefused(store, "no VALUES", UP, TensorPart.VALUES, 0, 48);
      assertRefused(store, "no CODES", NORM, TensorPart.CODES, 0, 48);
      assertRefused(store, "48 bytes at -48", UP, TensorPart.CODES, -48, 48);
      assertRefused(store, "0 bytes at 0", UP, TensorPart.CODES, 0, 0);
      assertRefused(store, "but its CODES are 27648", UP, TensorPart.CODES, 27648, 48);
      assertRefused(store, "27696 bytes at 0", UP, TensorPart.CODES, 0, 27696);
      assertRefused(
          store, "48 bytes at 9223372036854775807", UP, TensorPart.CODES, Long.MAX_VALUE, 48);
      assertRefused(store, "units of 48", UP, TensorPart.CODES, 24, 48);
      assertRefused(store, "units of 48", UP, TensorPart.CODES, 0, 47);
      assertRefused(store, "units of 640", NORM, TensorPart.VALUES, 0, 4);
      assertRefused(store, "-1 bytes at 1024", EMBEDDING, TensorPart.VALUES, 1024, -1);
      assertRefused(four, "no ZEROS", UP, TensorPart.ZEROS, 0, 1);
    }
  }

  @Test
  void badValues_changeNothing() {
    try (WeightStore store = load("w3", 1)) {
      String before = WeightChecksum.of(store).hex();
      byte[] ones = new byte[1024];
      java.util.Arrays.fill(ones, (byte) 0xff);
      for (TensorPart part : List.of(TensorPart.CODES, TensorPart.SCALES, TensorPart.ZEROS)) {
        try (WeightUpdate update = new WeightUpdate(store, false)) {
          int unit = part == TensorPart.CODES ? 48 : part == TensorPart.SCALES ? 2 : 1;
          Class<? extends RuntimeException> refusal =
              part == TensorPart.SCALES
                  ? NonFiniteWeightsException.class
                  : IllegalArgumentException.class;
          assertThrows(
              refusal,
              () -> {
                update.put(UP, part, unit, ones, 0, unit); // the second group has 32 columns
                update.finish();
              });
        }
      }
      for (String name : List.of(EMBEDDING, NORM)) {
        try (WeightUpdate update = new WeightUpdate(store, false)) {
          int length = name.equals(NORM) ? 640 : 1024;
          assertThrows(
              NonFiniteWeightsException.class,
              () -> update.put(name, TensorPart.VALUES, 0, ones, 0, length));
        }
      }
      assertEquals(before, WeightChecksum.of(store).hex());
      assertEquals(0, store.version());
    }
  }

  @Test
  void order_isKept() {
    try (WeightStore store = load("w3", 1)) {
      byte[] zeros = new byte[1024];
      try (WeightUpdate update = new WeightUpdate(store, false)) {
        update.put(UP, TensorPart.CODES, 96, zeros, 0, 48);
        assertSays("offsets ascend", () -> update.put(UP, TensorPart.CODES, 96, zeros, 0, 48));
      }
      try (WeightUpdate update = new WeightUpdate(store, false)) {
        update.put(UP, TensorPart.CODES, 96, zeros, 0, 48);
        update.put(EMBEDDING, TensorPart.VALUES, 0, zeros, 0, 1024);
        assertSays("comes twice", () -> update.put(UP, TensorPart.CODES, 192, zeros, 0, 48));
      }
      try (WeightUpdate update = new WeightUpdate(store, true)) {
        update.put(EMBEDDING, TensorPart.VALUES, 0, zeros, 0, 1024);
        assertSays("but all weights are to come", update::finish);
      }
      try (WeightUpdate update = new WeightUpdate(store, true)) {
        assertSays("nothing of", update::finish);
      }
      assertEquals(0, store.version());
    }
  }

  private static void assertSays(String what, org.junit.jupiter.api.function.Executable refused) {
    var e = assertThrows(IllegalArgumentException.class, refused);
    assertTrue(String.valueOf(e.getMessage()).contains(what), e.getMessage());
  }

  /** What is served in a form that can't be sent to is named. */
  @Test
  void reordered_isNamed() {
    Path directory =
        TinyCheckpoint.qwen2().gptq(GptqVariant.SYM_ACT_ORDER).write(temp.resolve("reordered"));
    try (Checkpoint checkpoint = Checkpoint.open(directory);
        WeightStore store = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT)) {
      assertSays("act-order", () -> new WeightUpdate(store, false));
    }
  }
}
