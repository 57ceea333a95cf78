package io.tercel.trainer.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.kernels.format.DType;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.trainer.files.SafetensorsWriter.Entry;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  private static final List<Entry> ENTRIES =
      List.of(
          new Entry("bytes", DType.U8, 3),
          new Entry("halves", DType.F16, 2),
          new Entry("brains", DType.BF16, 5),
          new Entry("floats", DType.F32, 2, 300_000),
          new Entry("ints", DType.I32, 2));

  @TempDir private Path temp;

  /** Two pieces and a rest. */
  private static float[] floats() {
    float[] values = new float[600_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i * 0.37f;
    }
    return values;
  }

  private static void writeAll(SafetensorsWriter writer, boolean heap) throws IOException {
    float[] floats = floats();
    if (heap) {
      writer.write("floats", floats);
    } else {
      writer.write("floats", i -> floats[i]);
    }
    writer.write("ints", new int[] {1, 0x01020304});
    writer.write("bytes", MemorySegment.ofArray(new byte[] {7, 8, 9}));
    writer.write("halves", new short[] {0x3c00, 0x4000});
    float[] brains = {
      1, Float.intBitsToFloat(0x3f808000), Float.NaN, 0x1.018p0f, Float.NEGATIVE_INFINITY
    };
    writer.write("brains", i -> brains[i]);
  }

  @Test
  void tensors_areReadBack_inWhateverOrderTheyCame() throws IOException {
    for (boolean heap : new boolean[] {true, false}) {
      Path file = temp.resolve("model.safetensors");
      try (SafetensorsWriter writer = SafetensorsWriter.create(file, ENTRIES)) {
        writeAll(writer, heap);
        writer.finish();
      }
      Map<String, RawTensor> back = RawSafetensors.readDirectory(temp);
      assertArrayEquals(floats(), Objects.requireNonNull(back.get("floats")).toFloats());
      assertBytes(back, "ints", 1, 0, 0, 0, 4, 3, 2, 1);
      assertBytes(back, "bytes", 7, 8, 9);
      assertBytes(back, "halves", 0, 0x3c, 0, 0x40);
      // 1; the tie to even below; NaN; above the tie, up; minus infinity
      assertBytes(back, "brains", 0x80, 0x3f, 0x80, 0x3f, 0xc0, 0x7f, 0x81, 0x3f, 0x80, 0xff);
    }
  }

  private static void assertBytes(Map<String, RawTensor> tensors, String name, int... expected) {
    byte[] bytes = new byte[expected.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) expected[i];
    }
    assertArrayEquals(bytes, Objects.requireNonNull(tensors.get(name)).data(), name);
  }

  @Test
  void unfinished_leavesWhatWasThere() throws IOException {
    Path file = temp.resolve("model.safetensors");
    Files.writeString(file, "before");
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, ENTRIES)) {
      writer.write("ints", new int[2]);
      assertThrows(IllegalStateException.class, writer::finish);
      assertThrows(IllegalArgumentException.class, () -> writer.write("ints", new int[2]));
      assertThrows(IllegalArgumentException.class, () -> writer.write("halves", new int[2]));
      assertThrows(IllegalArgumentException.class, () -> writer.write("other", new int[2]));
    }
    assertEquals("before", Files.readString(file));
    try (Stream<Path> files = Files.list(temp)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void twoOfAName_areRefused() {
    List<Entry> twice = List.of(ENTRIES.getFirst(), ENTRIES.getFirst());
    assertThrows(
        IllegalArgumentException.class,
        () -> SafetensorsWriter.create(temp.resolve("model.safetensors"), twice));
  }
}
