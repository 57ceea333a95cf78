package io.tercel.kernels.format;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** One safetensors file, mapped: its tensors are views of the page cache, nothing is copied. */
public final class SafetensorsFile {
  private final Path path;
  private final MemorySegment bytes;
  private final long dataStart;
  private final List<Tensor> tensors;

  private SafetensorsFile(Path path, MemorySegment bytes, long dataStart, List<Tensor> tensors) {
    this.path = path;
    this.bytes = bytes;
    this.dataStart = dataStart;
    this.tensors = List.copyOf(tensors);
  }

  /**
   * Checks the header against the file's size and maps the file.
   *
   * @param arena the mapping lives until it is closed
   * @throws CheckpointException if the file is missing, unreadable, truncated or malformed
   */
  public static SafetensorsFile open(Path path, Arena arena) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      long size = channel.size();
      List<SafetensorsHeader.Entry> entries = SafetensorsHeader.parse(path, header(path, channel));
      long dataStart = channel.position();
      long dataBytes = entries.isEmpty() ? 0 : entries.getLast().end();
      // written as a difference, for the promised sum may exceed a signed long
      if (size - dataStart < dataBytes) {
        throw truncated(path, Long.toUnsignedString(dataStart + dataBytes), size);
      }
      if (size - dataStart > dataBytes) {
        throw new CheckpointException(
            "%s: %d bytes follow the last tensor; its header promises %d bytes, the file has %d"
                .formatted(path, size - dataStart - dataBytes, dataStart + dataBytes, size));
      }
      MemorySegment map = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
      List<Tensor> tensors = new ArrayList<>(entries.size());
      for (SafetensorsHeader.Entry e : entries) {
        MemorySegment data = map.asSlice(dataStart + e.begin(), e.end() - e.begin());
        tensors.add(new Tensor(path, e.name(), e.dtype(), e.shape(), data));
      }
      return new SafetensorsFile(path, map, dataStart, tensors);
    } catch (NoSuchFileException e) {
      throw new CheckpointException(path + ": no such file", e);
    } catch (IOException e) {
      throw new CheckpointException(path + ": unreadable: " + e.getMessage(), e);
    }
  }

  /** Reads the length and the JSON, leaving the channel at the first byte of data. */
  private static byte[] header(Path path, FileChannel channel) throws IOException {
    long size = channel.size();
    ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    if (size < 8) {
      throw truncated(path, "at least 8", size);
    }
    readFully(path, channel, length);
    long bytes = length.flip().getLong();
    if (bytes < 0 || bytes > SafetensorsHeader.MAX_HEADER_BYTES) {
      throw new CheckpointException(
          "%s: its header length is %s; at most %d is allowed, so this is no safetensors file"
              .formatted(path, Long.toUnsignedString(bytes), SafetensorsHeader.MAX_HEADER_BYTES));
    }
    if (bytes > size - 8) {
      throw truncated(path, "at least " + (bytes + 8), size);
    }
    ByteBuffer json = ByteBuffer.allocate((int) bytes);
    readFully(path, channel, json);
    return json.array();
  }

  private static void readFully(Path path, FileChannel channel, ByteBuffer into)
      throws IOException {
    while (into.hasRemaining()) {
      if (channel.read(into) < 0) {
        throw new CheckpointException(path + ": shrank while it was being read");
      }
    }
  }

  private static CheckpointException truncated(Path path, String promised, long size) {
    return new CheckpointException(
        "%s is truncated: its header promises %s bytes, the file has %d"
            .formatted(path, promised, size));
  }

  public Path path() {
    return path;
  }

  /** The whole file, mapped. */
  MemorySegment bytes() {
    return bytes;
  }

  /** Bytes before the first tensor's. */
  long dataStart() {
    return dataStart;
  }

  /** In the order of their data. */
  public List<Tensor> tensors() {
    return tensors;
  }
}
