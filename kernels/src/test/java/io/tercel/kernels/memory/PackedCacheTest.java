package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Packed weights that were kept are those that would be packed, or they are packed anew. */
class PackedCacheTest {
  @TempDir private Path temp;

  /** What loading says, in order. */
  private static final class Heard implements LoadProgress {
    final List<String> notes = new ArrayList<>();
    final List<String> warnings = new ArrayList<>();
    @Nullable RoundingLoss loss;
    private Runnable once = () -> {};

    @Override
    public void loaded(String name, long doneBytes, long totalBytes) {
      Runnable now = once;
      once = () -> {};
      now.run();
    }

    @Override
    public void note(String message) {
      notes.add(message);
    }

    @Override
    public void warn(String message) {
      warnings.add(message);
    }

    @Override
    public void rounded(String name, RoundingLoss roundingLoss) {
      loss = roundingLoss;
    }

    boolean read() {
      return notes.stream().anyMatch(n -> n.startsWith("packed weights read from"));
    }

    boolean kept() {
      return notes.stream().anyMatch(n -> n.startsWith("packed weights kept in"));
    }
  }

  private Path model() {
    return TinyCheckpoint.qwen2().hidden(160).ffn(192).gptq(GptqVariant.SYM_ACT_ORDER).write(temp);
  }

  private Path folder() {
    return temp.resolve("cache");
  }

  private Heard load(Path model, LmHeadType head, String expected) {
    Heard heard = new Heard();
    load(model, head, expected, heard);
    return heard;
  }

  /** Loads; the weights are those that are expected. */
  private void load(Path model, LmHeadType head, String expected, Heard heard) {
    try (Checkpoint checkpoint = Checkpoint.open(model);
        WeightStore store =
            WeightLoader.load(checkpoint, head, PackedCache.in(folder()), Long.MAX_VALUE, heard)) {
      assertEquals(expected, WeightChecksum.of(store).hex());
    }
  }

  private static String uncached(Path model, LmHeadType head) {
    try (Checkpoint checkpoint = Checkpoint.open(model);
        WeightStore store =
            WeightLoader.load(
                checkpoint, head, PackedCache.off(), Long.MAX_VALUE, LoadProgress.SILENT)) {
      return WeightChecksum.of(store).hex();
    }
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder())) {
      return files.sorted().toList();
    }
  }

  @ParameterizedTest
  @EnumSource(LmHeadType.class)
  void secondLoad_readsWhatTheFirstKept(LmHeadType head) throws IOException {
    Path model = model();
    String expected = uncached(model, head);
    Heard first = load(model, head, expected);
    assertTrue(first.kept() && !first.read(), first.notes.toString());
    assertEquals(1, files().size());
    Heard second = load(model, head, expected);
    assertTrue(second.read() && !second.kept(), second.notes.toString());
    assertEquals(List.of(), second.warnings);
    assertEquals(first.loss, second.loss);
    assertEquals(head == LmHeadType.INT8, second.loss != null);
  }

  @Test
  void heads_haveFilesOfTheirOwn() throws IOException {
    Path model = model();
    load(model, LmHeadType.STORED, uncached(model, LmHeadType.STORED));
    Heard other = load(model, LmHeadType.INT8, uncached(model, LmHeadType.INT8));
    assertTrue(other.kept() && !other.read());
    assertEquals(2, files().size());
  }

  @Test
  void denseModel_keepsNothing_unlessItsHeadIsRounded() {
    Path model = TinyCheckpoint.qwen3().write(temp);
    assertFalse(load(model, LmHeadType.STORED, uncached(model, LmHeadType.STORED)).kept());
    assertFalse(Files.exists(folder()));
    assertTrue(load(model, LmHeadType.INT8, uncached(model, LmHeadType.INT8)).kept());
    assertTrue(load(model, LmHeadType.INT8, uncached(model, LmHeadType.INT8)).read());
  }

  /** Every byte counts: flipped anywhere, the file is noticed and made again. */
  @Test
  void corruptedAnywhere_isPackedAnew() throws IOException {
    Path model = model();
    String expected = uncached(model, LmHeadType.INT8);
    load(model, LmHeadType.INT8, expected);
    Path file = files().getFirst();
    byte[] good = Files.readAllBytes(file);
    Random random = new Random(5);
    int noticed = 0;
    for (int i = 0; i < 60; i++) {
      byte[] bad = good.clone();
      int at = i < 8 ? i * 30 : random.nextInt(bad.length);
      bad[at] ^= (byte) (1 << random.nextInt(8));
      Files.write(file, bad);
      Heard heard = load(model, LmHeadType.INT8, expected);
      if (!heard.warnings.isEmpty()) {
        noticed++;
        assertTrue(heard.kept(), heard.notes.toString());
        assertEquals(-1, Arrays.mismatch(good, Files.readAllBytes(file)));
      }
      Files.write(file, good);
    }
    // some fall into the gaps between matrices, which nobody reads
    assertTrue(noticed > 45, noticed + " of 60");
  }

  @Test
  void truncatedOrLonger_isPackedAnew() throws IOException {
    Path model = model();
    String expected = uncached(model, LmHeadType.STORED);
    load(model, LmHeadType.STORED, expected);
    Path file = files().getFirst();
    byte[] good = Files.readAllBytes(file);
    for (int length : new int[] {0, 1, 100, good.length / 2, good.length - 1, good.length + 1}) {
      Files.write(file, Arrays.copyOf(good, length));
      Heard heard = load(model, LmHeadType.STORED, expected);
      assertEquals(1, heard.warnings.size(), heard.warnings.toString());
      assertTrue(heard.kept());
      assertTrue(load(model, LmHeadType.STORED, expected).read());
    }
  }

  @Test
  void anotherVersion_isPackedAnew() throws IOException {
    Path model = model();
    String expected = uncached(model, LmHeadType.STORED);
    load(model, LmHeadType.STORED, expected);
    Path file = files().getFirst();
    byte[] bytes = Files.readAllBytes(file);
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    int digit = text.indexOf("version ") + "version ".length();
    assertEquals('0' + PackedFile.VERSION, bytes[digit]);
    bytes[digit]++;
    Files.write(file, bytes);
    Heard heard = load(model, LmHeadType.STORED, expected);
    assertTrue(heard.warnings.getFirst().contains("another version"), heard.warnings.toString());
    assertTrue(load(model, LmHeadType.STORED, expected).read());
  }

  /** A scale that is no number, with a right checksum: somebody made this file. */
  @Test
  void forged_withScalesThatAreNoNumbers_isPackedAnew() throws IOException {
    Path model = model();
    String expected = uncached(model, LmHeadType.STORED);
    Path forged = temp.resolve("forged");
    try (Checkpoint checkpoint = Checkpoint.open(model);
        WeightStore store = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT)) {
      WeightPlan plan = WeightPlan.of(checkpoint);
      Map<String, PackedMatrix> matrices = new HashMap<>();
      store.matrices().forEach(m -> matrices.put(m.name(), m));
      store.layers().getFirst().q().weight().segment().asSlice(768, 2).fill((byte) 0x7f);
      PackedFile.write(
          forged, new PackedFile.Layout(checkpoint.fingerprint(), plan), matrices, null);
    }
    load(model, LmHeadType.STORED, expected);
    Files.move(forged, files().getFirst(), StandardCopyOption.REPLACE_EXISTING);
    Heard heard = load(model, LmHeadType.STORED, expected);
    assertTrue(heard.warnings.getFirst().contains("damaged"), heard.warnings.toString());
    assertTrue(heard.kept());
  }

  @Test
  void changedSources_arePackedAnew() throws IOException {
    Path model = model();
    Path weights = model.resolve("model.safetensors");
    String before = uncached(model, LmHeadType.STORED);
    load(model, LmHeadType.STORED, before);
    FileTime time = Files.getLastModifiedTime(weights);

    // other weights of the same shapes, put back with the old time
    Path twin = temp.resolve("twin");
    TinyCheckpoint.qwen2()
        .hidden(160)
        .ffn(192)
        .gptq(GptqVariant.SYM_ACT_ORDER)
        .seed(43)
        .write(Files.createDirectory(twin));
    Files.copy(twin.resolve("model.safetensors"), weights, StandardCopyOption.REPLACE_EXISTING);
    Files.setLastModifiedTime(weights, time);
    String after = uncached(model, LmHeadType.STORED);
    assertNotEquals(before, after);
    assertTrue(load(model, LmHeadType.STORED, after).kept());

    // the same bytes at another time
    Files.setLastModifiedTime(weights, FileTime.fromMillis(time.toMillis() + 1));
    assertTrue(load(model, LmHeadType.STORED, after).kept());
    assertTrue(load(model, LmHeadType.STORED, after).read());

    // settings that say the same
    Path config = model.resolve("config.json");
    Files.writeString(config, Files.readString(config) + "\n");
    assertTrue(load(model, LmHeadType.STORED, after).kept());
    assertEquals(4, files().size());
  }

  /** What is loaded then is the old state, and must not be taken for the new one. */
  @Test
  void changedWhileLoading_isNotKept() throws IOException {
    Path model = model();
    String expected = uncached(model, LmHeadType.STORED);
    for (Consumer<Path> change : List.<Consumer<Path>>of(this::touch, this::editConfig)) {
      Heard heard = new Heard();
      heard.once = () -> change.accept(model);
      load(model, LmHeadType.STORED, expected, heard);
      assertFalse(heard.kept());
      assertTrue(heard.warnings.getFirst().contains("changed meanwhile"), "" + heard.warnings);
      assertEquals(List.of(), files());
    }
  }

  private void touch(Path model) {
    try (RandomAccessFile file =
        new RandomAccessFile(model.resolve("model.safetensors").toFile(), "rw")) {
      file.seek(file.length() - 1);
      int last = file.read();
      file.seek(file.length() - 1);
      file.write(last); // the same byte: only its time tells
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private void editConfig(Path model) {
    try {
      Path config = model.resolve("config.json");
      Files.writeString(config, Files.readString(config) + "\n");
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** A folder that can't be made: here because a file has its name. */
  @Test
  void folderThatCannotBeMade_isAWarning() throws IOException {
    Path model = model();
    Files.writeString(folder(), "in the way");
    Heard heard = load(model, LmHeadType.STORED, uncached(model, LmHeadType.STORED));
    assertFalse(heard.kept());
    assertEquals(1, heard.warnings.stream().filter(w -> w.contains("are not kept")).count());
  }

  @Test
  void ownFolder_keepsOnlyThisState_andOnlyWhatIsWorthIt() throws IOException {
    Path model = model();
    Heard heard = new Heard();
    try (Checkpoint checkpoint = Checkpoint.open(model);
        WeightStore store =
            WeightLoader.load(
                checkpoint, LmHeadType.STORED, PackedCache.beside(model), Long.MAX_VALUE, heard)) {
      assertTrue(store.bytes() < PackedCache.LEAST_BYTES);
    }
    assertFalse(Files.exists(model.resolve(PackedCache.FOLDER)), "too small to be kept");
    assertEquals(List.of(), heard.warnings);
  }

  /** Who changes how a block lies raises {@link PackedFile#VERSION}, and these with it. */
  @Test
  void blocks_lieAsThisVersionSays() {
    assertEquals(1, PackedFile.VERSION);
    byte[] codes = new byte[W3Block.ROWS * W3Block.GROUP];
    short[] scales = new short[W3Block.ROWS];
    byte[] zeros = new byte[W3Block.ROWS];
    Random random = new Random(11);
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) random.nextInt(8);
    }
    for (int r = 0; r < W3Block.ROWS; r++) {
      scales[r] = (short) random.nextInt();
      zeros[r] = (byte) random.nextInt(8);
    }
    byte[] w3 = new byte[W3Block.BLOCK_BYTES];
    W3Block.pack(codes, scales, zeros, MemorySegment.ofArray(w3), 0);
    byte[] int8 = new byte[Int8Block.BLOCK_BYTES];
    Int8Block.pack(codes, scales, MemorySegment.ofArray(int8), 0);
    assertEquals("716232583 -571010266", Arrays.hashCode(w3) + " " + Arrays.hashCode(int8));
  }
}
