package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {
  @TempDir Path temp;

  @Test
  void open_givesNamesShapesAndBytes() {
    Path file = sample();
    try (Arena arena = Arena.ofConfined()) {
      List<Tensor> tensors = SafetensorsFile.open(file, arena).tensors();
      Map<String, RawTensor> expected = RawSafetensors.read(file);
      assertEquals(List.copyOf(expected.keySet()), tensors.stream().map(Tensor::name).toList());
      for (Tensor tensor : tensors) {
        RawTensor raw = Objects.requireNonNull(expected.get(tensor.name()));
        assertEquals(raw.dtype(), tensor.dtype().name());
        assertEquals(Arrays.stream(raw.shape()).boxed().toList(), tensor.shape());
        assertEquals(-1, MemorySegment.ofArray(raw.data()).mismatch(tensor.data()));
      }
      assertEquals(1.5f, tensors.getFirst().floatAt(1));
      assertEquals(-7, tensors.getLast().intAt(2));
    }
  }

  @Test
  void open_takesAFileWithoutTensors_andEmptyTensors() throws IOException {
    assertEquals(0, tensorsOf(raw("{}", 0)));
    assertEquals(1, tensorsOf(raw("{" + entry("a", "F32", "[0,4]", 0, 0) + "}", 0)));
    assertEquals(1, tensorsOf(raw("{" + entry("a", "F32", "[]", 0, 4) + "}   ", 4)));
  }

  @Test
  void open_sameWhateverTheOrderOfEntries() throws IOException {
    String a = entry("a", "U8", "[3]", 5, 8);
    String b = entry("b", "U8", "[5]", 0, 5);
    assertEquals(2, tensorsOf(raw("{" + a + "," + b + "}", 8)));
  }

  @Test
  void truncatedAnywhere_isSaid() throws IOException {
    byte[] whole = Files.readAllBytes(sample());
    for (int length = 0; length < whole.length; length++) {
      Path file = write(Arrays.copyOf(whole, length));
      String message = refusal(file);
      assertTrue(message.startsWith(file + " is truncated: its header promises "), message);
      assertTrue(message.endsWith("bytes, the file has " + length), message);
    }
    byte[] last = Arrays.copyOf(whole, whole.length - 1);
    assertTrue(refusal(write(last)).contains("promises " + whole.length + " bytes"));
  }

  @Test
  void trailingBytes_areRefused() throws IOException {
    byte[] whole = Files.readAllBytes(sample());
    String message = refusal(write(Arrays.copyOf(whole, whole.length + 3)));
    assertTrue(message.contains("3 bytes follow the last tensor"), message);
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 40, 100_000_001})
  void absurdHeaderLength_isRefusedWithoutAllocating(long length) throws IOException {
    byte[] bytes = Files.readAllBytes(sample());
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    Path file = write(bytes);
    refusal(file);
    long before = allocated();
    String message = refusal(file);
    assertTrue(allocated() - before < 1 << 20);
    assertTrue(message.contains("header length is " + Long.toUnsignedString(length)), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[1,2]|not a JSON object",
        "`  {}`|not a JSON object",
        "{|not valid JSON",
        "{} {}|goes on after",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
            + "\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}|Duplicate",
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]}}|Duplicate",
        "{\"a\":{\"dtype\":\"F4\",\"shape\":[8],\"data_offsets\":[0,8]}}|unknown dtype F4",
        "{\"a\":{\"dtype\":7,\"shape\":[8],\"data_offsets\":[0,8]}}|dtype is VALUE_NUMBER_INT",
        "{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}|tensor a has no dtype",
        "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}|tensor a has no shape",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8]}}|tensor a has no data_offsets",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8],\"x\":1}}|unknown field x",
        "{\"a\":[]}|tensor a is START_ARRAY; expected an object",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[-8],\"data_offsets\":[0,8]}}|has -8 as value 1",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8.0],\"data_offsets\":[0,8]}}|VALUE_NUMBER_FLOAT",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":8,\"data_offsets\":[0,8]}}|expected an array",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}|range",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,8],\"data_offsets\":[0,8]}}|at most 8",
        "{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}|absurd",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[0,8]}}|spans 8 bytes, but U8 [7]",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,0]}}|data_offsets [8, 0]",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,4,8]}}|data_offsets [0, 4, 8]",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[2,8]}}|leaving a hole after 0",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            + "\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[3,8]}}|tensor b begins at 3, inside",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            + "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}|hole after 3",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],"
            + "\"data_offsets\":[0,9223372036854775807]}}|is truncated",
        "{\"__metadata__\":{\"a\":1}}|__metadata__",
        "{\"__metadata__\":[]}|__metadata__",
      })
  void brokenHeader_isRefused(String json, String expected) throws IOException {
    String message = refusal(raw(json, 8));
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }

  @Test
  void notUtf8_andNull_areRefused() throws IOException {
    byte[] json = "{\"?\":{}}".getBytes(StandardCharsets.UTF_8);
    json[2] = (byte) 0xff;
    assertTrue(refusal(raw(json, 0)).contains("UTF-8"));
    assertTrue(refusal(raw(new byte[0], 0)).contains("not a JSON object"));
    assertTrue(refusal(temp.resolve("absent")).contains("no such file"));
    assertTrue(refusal(raw("{\"a\":".repeat(1000), 0)).contains("unknown field a"));
  }

  @Test
  void hugeNumberOfTensors_isRefused() throws IOException {
    StringBuilder json = new StringBuilder("{");
    for (int i = 0; i <= SafetensorsHeader.MAX_TENSORS; i++) {
      json.append(i == 0 ? "" : ",").append(entry("t" + i, "U8", "[0]", 0, 0));
    }
    assertTrue(refusal(raw(json.append('}').toString(), 0)).contains("more than 100000 tensors"));
  }

  @Test
  void seededMutations_neverCrash() throws IOException {
    byte[] whole = Files.readAllBytes(sample());
    int headerEnd = 8 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong();
    String alphabet = "0123456789-.eE{}[]\",: truefalsn\u0000\u00ff\\";
    long seed = 20_260_101;
    Random random = new Random(seed);
    int refused = 0;
    long before = allocated();
    for (int i = 0; i < 2000; i++) {
      byte[] mutated = whole.clone();
      for (int k = random.nextInt(4); k >= 0; k--) {
        int at = random.nextInt(headerEnd);
        mutated[at] =
            (byte)
                switch (random.nextInt(3)) {
                  case 0 -> mutated[at] ^ 1 << random.nextInt(8);
                  case 1 -> alphabet.charAt(random.nextInt(alphabet.length()));
                  default -> mutated[random.nextInt(headerEnd)];
                };
      }
      Path file = write(mutated);
      try (Arena arena = Arena.ofConfined()) {
        for (Tensor tensor : SafetensorsFile.open(file, arena).tensors()) {
          assertEquals(tensor.elements() * tensor.dtype().bytes(), tensor.data().byteSize());
        }
      } catch (CheckpointException e) {
        refused++;
        assertTrue(e.getMessage().startsWith(file.toString()), "seed " + seed + ": " + e);
      }
    }
    assertTrue(refused > 1000, "only " + refused + " refused");
    assertTrue(allocated() - before < 2000L * (1 << 20), "a MiB for each header is plenty");
  }

  private static long allocated() {
    return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
  }

  private Path sample() {
    Map<String, RawTensor> tensors = new LinkedHashMap<>();
    tensors.put("a.weight", RawTensor.floats("BF16", new float[] {1, 1.5f, -2, 3, 4, 5}, 2, 3));
    tensors.put("b", RawTensor.floats("F32", new float[] {0.1f}));
    tensors.put("c", RawTensor.floats("F16", new float[] {1, 2, 3}, 3));
    tensors.put("d", RawTensor.ints(new int[] {1, 2, -7}, 1, 3));
    Path file = temp.resolve("sample.safetensors");
    RawSafetensors.write(file, tensors);
    return file;
  }

  private static String entry(String name, String dtype, String shape, long begin, long end) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
        .formatted(name, dtype, shape, begin, end);
  }

  private Path raw(String json, int dataBytes) throws IOException {
    return raw(json.getBytes(StandardCharsets.UTF_8), dataBytes);
  }

  private Path raw(byte[] json, int dataBytes) throws IOException {
    ByteBuffer file = ByteBuffer.allocate(8 + json.length + dataBytes);
    file.order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json);
    return write(file.array());
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(temp.resolve("file.safetensors"), bytes);
  }

  private static int tensorsOf(Path file) {
    try (Arena arena = Arena.ofConfined()) {
      return SafetensorsFile.open(file, arena).tensors().size();
    }
  }

  private static String refusal(Path file) {
    return assertThrows(CheckpointException.class, () -> tensorsOf(file)).getMessage();
  }
}
