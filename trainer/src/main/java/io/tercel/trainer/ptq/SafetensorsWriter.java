package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A safetensors file whose tensors are all named beforehand and written in any order, each once, so
 * that a model larger than memory can pass through. Tensors of wider elements lie first, which
 * keeps all of them aligned.
 */
final class SafetensorsWriter implements AutoCloseable {
  private static final int PIECE = 1 << 20;

  /** A tensor that will be written. */
  record Entry(String name, DType dtype, List<Long> shape) {
    Entry(String name, DType dtype, long... shape) {
      this(name, dtype, Arrays.stream(shape).boxed().toList());
    }

    long bytes() {
      return shape.stream().reduce((long) dtype.bytes(), Math::multiplyExact);
    }
  }

  private final Path file;
  private final FileChannel channel;
  private final Map<String, Entry> missing = new LinkedHashMap<>();
  private final Map<String, Long> offsets = new LinkedHashMap<>();

  SafetensorsWriter(Path file, List<Entry> entries, Map<String, String> metadata)
      throws IOException {
    this.file = file;
    ObjectNode header = new ObjectMapper().createObjectNode();
    ObjectNode meta = header.putObject("__metadata__");
    metadata.forEach(meta::put);
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
    start.flip();
    offsets.replaceAll((name, offset) -> offset + 8 + padded);
    channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    try {
      writeAt(start, 0);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  void write(String name, int[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_INT, 4);
  }

  void write(String name, short[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_SHORT, 2);
  }

  void write(String name, float[] values) throws IOException {
    write(name, MemorySegment.ofArray(values), ValueLayout.JAVA_FLOAT, 4);
  }

  /** Bytes as they are. */
  void write(String name, MemorySegment values) throws IOException {
    write(name, values, ValueLayout.JAVA_BYTE, 1);
  }

  private void write(String name, MemorySegment values, ValueLayout layout, int bytes)
      throws IOException {
    Entry entry = missing.remove(name);
    if (entry == null || values.byteSize() != entry.bytes()) {
      throw new IllegalArgumentException(
          "%s: %d bytes; expected %s".formatted(name, values.byteSize(), entry));
    }
    long offset = offsets.getOrDefault(name, 0L);
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE);
    MemorySegment target = MemorySegment.ofBuffer(piece);
    ValueLayout little = layout.withOrder(ByteOrder.LITTLE_ENDIAN).withByteAlignment(1);
    for (long at = 0; at < values.byteSize(); at += PIECE) {
      int count = (int) Math.min(PIECE, values.byteSize() - at);
      MemorySegment.copy(values, layout.withByteAlignment(1), at, target, little, 0, count / bytes);
      writeAt(piece.clear().limit(count), offset + at);
    }
  }

  private void writeAt(ByteBuffer bytes, long position) throws IOException {
    long at = position;
    while (bytes.hasRemaining()) {
      at += channel.write(bytes, at);
    }
  }

  /** Makes the file durable; every tensor must have been written. */
  void finish() throws IOException {
    if (!missing.isEmpty()) {
      throw new IllegalStateException(file + " lacks " + missing.keySet());
    }
    channel.force(true);
    channel.close();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
