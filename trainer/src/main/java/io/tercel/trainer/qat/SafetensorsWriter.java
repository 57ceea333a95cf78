package io.tercel.trainer.qat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.DType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Writes a safetensors file whole or not at all: under another name first, forced to disk, then
 * renamed.
 */
public final class SafetensorsWriter {
  private static final int CHUNK = 1 << 16;

  private final List<Entry> entries = new ArrayList<>();

  private record Entry(String name, DType dtype, List<Long> shape, int size, Values values) {}

  /** Element i of a tensor. */
  @FunctionalInterface
  public interface Values {
    float at(int i);
  }

  /**
   * Adds a tensor; its values are read when the file is written.
   *
   * @param dtype F32, F16 or BF16, which are rounded to nearest even
   */
  public SafetensorsWriter add(String name, DType dtype, Values values, long... shape) {
    if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
      throw new IllegalArgumentException(name + ": floats are not written as " + dtype);
    }
    long size = Arrays.stream(shape).reduce(1, Math::multiplyExact);
    List<Long> dims = Arrays.stream(shape).boxed().toList();
    entries.add(new Entry(name, dtype, dims, Math.toIntExact(size), values));
    return this;
  }

  public void write(Path file) throws IOException {
    ObjectNode header = new ObjectMapper().createObjectNode();
    header.putObject("__metadata__").put("format", "pt");
    long end = 0;
    for (Entry entry : entries) {
      ObjectNode node = header.putObject(entry.name).put("dtype", entry.dtype.name());
      entry.shape.forEach(node.putArray("shape")::add);
      long bytes = (long) entry.size * entry.dtype.bytes();
      node.putArray("data_offsets").add(end).add(end + bytes);
      end += bytes;
    }
    StringBuilder json = new StringBuilder(header.toString());
    while (json.length() % 8 != 0) {
      json.append(' ');
    }
    byte[] bytes = json.toString().getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(file, channel -> writeAll(channel, bytes));
  }

  private void writeAll(FileChannel channel, byte[] header) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(4 * CHUNK).order(ByteOrder.LITTLE_ENDIAN);
    AtomicFile.writeFully(channel, buffer.putLong(header.length).flip());
    AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
    for (Entry entry : entries) {
      for (int from = 0; from < entry.size; from += CHUNK) {
        buffer.clear();
        for (int i = from; i < Math.min(entry.size, from + CHUNK); i++) {
          put(buffer, entry.dtype, entry.values.at(i));
        }
        AtomicFile.writeFully(channel, buffer.flip());
      }
    }
  }

  private static void put(ByteBuffer to, DType dtype, float value) {
    switch (dtype) {
      case F32 -> to.putFloat(value);
      case F16 -> to.putShort(Float.floatToFloat16(value));
      default -> to.putShort(bfloat16(value));
    }
  }

  /** Rounds to nearest even. */
  static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) 0x7fc0;
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }
}
