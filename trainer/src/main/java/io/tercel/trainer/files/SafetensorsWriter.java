package io.tercel.trainer.files;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * A safetensors file whose tensors are all named beforehand and written in any order, each once, so
 * that a model larger than memory can pass through. Tensors of wider elements lie first, which
 * keeps all of them aligned.
 *
 * <p>The file is there whole or not at all: until {@link #finish} it has another name, and what it
 * replaces stays.
 */
public final class SafetensorsWriter implements AutoCloseable {
  private static final int PIECE = 1 << 20;

  /** A tensor that will be written. */
  public record Entry(String name, DType dtype, List<Long> shape) {
    public Entry(String name, DType dtype, long... shape) {
      this(name, dtype, Arrays.stream(shape).boxed().toList());
    }

    long elements() {
      return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /** In the file. */
    public long bytes() {
      return Math.multiplyExact(elements(), (long) dtype.bytes());
    }
  }

  /** Element i of a tensor. */
  @FunctionalInterface
  public interface Values {
    float at(int i);
  }

  private final Path file;
  private final FileChannel channel;
  private final Map<String, Entry> missing = new LinkedHashMap<>();
  private final Map<String, Long> offsets = new LinkedHashMap<>();
  private long size;
  private boolean keep;
  private boolean finished;

  private SafetensorsWriter(Path file, List<Entry> entries, boolean resume) throws IOException {
    this.file = file;
    this.keep = resume;
    ByteBuffer header = header(entries);
    channel =
        FileChannel.open(
            AtomicFile.partial(file),
            resume ? StandardOpenOption.READ : StandardOpenOption.TRUNCATE_EXISTING,
            resume ? StandardOpenOption.WRITE : StandardOpenOption.CREATE,
            StandardOpenOption.WRITE);
    try {
      if (resume) {
        checkHeader(header);
      } else {
        writeAt(header, 0);
        // its full length, so that it can be read before all is written
        if (size > header.limit()) {
          writeAt(ByteBuffer.allocate(1), size - 1);
        }
      }
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * Begins a file.
   *
   * @throws IllegalArgumentException if a name is there twice
   */
  public static SafetensorsWriter create(Path file, List<Entry> entries) throws IOException {
    return new SafetensorsWriter(file, entries, false);
  }

  /**
   * Goes on with a file that was left unfinished under {@link #keepPartial}. What was written of it
   * is to be {@linkplain #skip skipped}, all else written.
   *
   * @param entries those that it was begun with
   * @throws IOException if it isn't there, or was begun with others
   */
  public static SafetensorsWriter resume(Path file, List<Entry> entries) throws IOException {
    takeBack(file);
    return new SafetensorsWriter(file, entries, true);
  }

  /**
   * Likewise, with the tensors that it was begun with.
   *
   * @throws IOException if it isn't there
   */
  public static SafetensorsWriter resume(Path file) throws IOException {
    takeBack(file);
    List<Entry> entries = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      for (Tensor tensor : SafetensorsFile.open(AtomicFile.partial(file), arena).tensors()) {
        entries.add(new Entry(tensor.name(), tensor.dtype(), tensor.shape()));
      }
    } catch (CheckpointException e) {
      throw new IOException(e.getMessage(), e);
    }
    return new SafetensorsWriter(file, entries, true);
  }

  /** What was finished just before its owner was cut short is unfinished again. */
  private static void takeBack(Path file) throws IOException {
    if (Files.exists(file) && !Files.exists(AtomicFile.partial(file))) {
      AtomicFile.move(file, AtomicFile.partial(file));
    }
  }

  private void checkHeader(ByteBuffer expected) throws IOException {
    ByteBuffer found = ByteBuffer.allocate(expected.limit());
    while (found.hasRemaining() && channel.read(found, found.position()) >= 0) {}
    if (!found.flip().equals(expected) || channel.size() != size) {
      throw new IOException(AtomicFile.partial(file) + " is not the file that was begun");
    }
  }

  /** Leaves what is unfinished when it is closed, to be {@linkplain #resume resumed}. */
  public SafetensorsWriter keepPartial() {
    keep = true;
    return this;
  }

  /** Where it lies until it is finished. */
  public Path path() {
    return AtomicFile.partial(file);
  }

  /** A tensor that was written before. */
  public void skip(String name) {
    take(name);
  }

  /** Tensors that were written before. */
  public void skip(Predicate<String> names) {
    missing.keySet().removeIf(names);
  }

  /** Makes durable what was written. */
  public void force() throws IOException {
    channel.force(true);
  }

  /** Lays the tensors out, and says so. */
  private ByteBuffer header(List<Entry> entries) {
    ObjectNode header = new ObjectMapper().createObjectNode();
    header.putObject("__metadata__").put("format", "pt");
    List<Entry> ordered = new ArrayList<>(entries);
    ordered.sort(Comparator.comparingInt(e -> -e.dtype().bytes()));
    long at = 0;
    for (Entry entry : ordered) {
      ObjectNode node = header.putObject(entry.name()).put("dtype", entry.dtype().name());
      entry.shape().forEach(node.putArray("shape")::add);
      node.putArray("data_offsets").add(at).add(at + entry.bytes());
      if (missing.put(entry.name(), entry) != null) {
        throw new IllegalArgumentException(entry.name() + " is there twice");
      }
      offsets.put(entry.name(), at);
      at += entry.bytes();
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(json.length, 8) * 8;
    ByteBuffer start = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN);
    start.putLong(padded).put(json);
    while (start.hasRemaining()) {
      start.put((byte) ' ');
    }
    offsets.replaceAll((name, offset) -> offset + 8 + padded);
    size = at + 8 + padded;
    return start.flip();
  }

  /** 32-bit integers. */
  public void write(String name, int[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_INT);
  }

  /** The bits of 16-bit numbers. */
  public void write(String name, short[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_SHORT);
  }

  /** 32-bit floats. */
  public void write(String name, float[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_FLOAT);
  }

  /** Bytes as they are. */
  public void write(String name, MemorySegment values) throws IOException {
    write(name, values, ValueLayout.JAVA_BYTE);
  }

  /** Floats, each rounded to the nearest, ties to even, of F32, F16 or BF16. */
  public void write(String name, Values values) throws IOException {
    Entry entry = take(name);
    DType dtype = entry.dtype();
    if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
      throw new IllegalArgumentException(name + ": floats are not written as " + dtype);
    }
    int size = Math.toIntExact(entry.elements());
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE).order(ByteOrder.LITTLE_ENDIAN);
    long at = offsets.getOrDefault(name, 0L);
    for (int i = 0; i < size; ) {
      piece.clear();
      int end = Math.min(size, i + PIECE / dtype.bytes());
      for (; i < end; i++) {
        put(piece, dtype, values.at(i));
      }
      at += piece.flip().remaining();
      writeAt(piece, at - piece.remaining());
    }
  }

  private static void put(ByteBuffer to, DType dtype, float value) {
    switch (dtype) {
      case F32 -> to.putFloat(value);
      case F16 -> to.putShort(Float.floatToFloat16(value));
      default -> to.putShort(bfloat16(value));
    }
  }

  /** The nearest value that a type of floats can hold, ties to even. */
  public static float round(DType dtype, float value) {
    return switch (dtype) {
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
      case BF16 -> Float.intBitsToFloat(bfloat16(value) << 16);
      default -> value;
    };
  }

  /** The bits of the nearest, ties to even. */
  public static short bfloat16(float value) {
    if (Float.isNaN(value)) {
      return (short) 0x7fc0;
    }
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  private void write(String name, MemorySegment values, ValueLayout layout) throws IOException {
    Entry entry = missing.get(name);
    if (entry != null && values.byteSize() != entry.bytes()) {
      throw new IllegalArgumentException(
          "%s: %d bytes; expected %s".formatted(name, values.byteSize(), entry));
    }
    take(name);
    long offset = offsets.getOrDefault(name, 0L);
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE);
    MemorySegment target = MemorySegment.ofBuffer(piece);
    ValueLayout little = layout.withOrder(ByteOrder.LITTLE_ENDIAN).withByteAlignment(1);
    ValueLayout own = layout.withByteAlignment(1);
    for (long at = 0; at < values.byteSize(); at += PIECE) {
      int count = (int) Math.min(PIECE, values.byteSize() - at);
      MemorySegment.copy(values, own, at, target, little, 0, count / layout.byteSize());
      writeAt(piece.clear().limit(count), offset + at);
    }
  }

  private Entry take(String name) {
    Entry entry = missing.remove(name);
    if (entry == null) {
      throw new IllegalArgumentException(name + " is not awaited, or was written already");
    }
    return entry;
  }

  private void writeAt(ByteBuffer bytes, long position) throws IOException {
    long at = position;
    while (bytes.hasRemaining()) {
      at += channel.write(bytes, at);
    }
  }

  /** Makes the file durable and gives it its name; every tensor must have been written. */
  public void finish() throws IOException {
    if (!missing.isEmpty()) {
      throw new IllegalStateException(file + " lacks " + missing.keySet());
    }
    channel.force(true);
    channel.close();
    AtomicFile.move(AtomicFile.partial(file), file);
    finished = true;
  }

  /** Without {@link #finish} nothing stays, unless it is to be resumed. */
  @Override
  public void close() throws IOException {
    channel.close();
    if (!finished && !keep) {
      Files.deleteIfExists(AtomicFile.partial(file));
    }
  }
}
