package io.tercel.trainer.distill;

import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the teacher says of examples: its final hidden states, 2 bytes a value (bf16), in a file
 * that is mapped, not held. The teacher runs ahead for a window of steps.
 *
 * <p>What it says of an example must not depend on where a run was interrupted, for a last bit may
 * come from what is computed beside it. So a window is computed anew, always whole; or, where
 * states are kept for later windows, each example by itself.
 */
final class TeacherStates implements AutoCloseable {
  /** Its name in a run's folder. */
  static final String FILE = "teacher-states.bf16";

  /** Hidden states that go through the teacher's layers together. */
  private static final long STATE_BYTES = 512L << 20;

  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;

  private final Teacher teacher;
  private final Path file;
  private final long limit;
  private final int tokensAtOnce;
  private final int hidden;
  private final Map<Key, Long> offsets = new HashMap<>();
  private final FileChannel channel;
  private long end;
  private Arena mapping = Arena.ofShared();
  private MemorySegment mapped = MemorySegment.NULL;

  /** What an example is known by: a hash of its tokens, and of which are asked. */
  private record Key(long high, long low) {}

  /**
   * @param limit bytes that may be kept for later windows; the present one is always kept whole
   * @param tokensAtOnce that the teacher computes at a time
   */
  TeacherStates(Teacher teacher, Path directory, long limit, int tokensAtOnce) throws IOException {
    this.teacher = teacher;
    this.file = directory.resolve(FILE);
    this.limit = limit;
    this.tokensAtOnce = limit > 0 ? 1 : tokensAtOnce;
    this.hidden = teacher.config().hiddenSize();
    this.channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
  }

  /**
   * Has the teacher see to these examples, as far as it hasn't yet.
   *
   * @param window all examples of some steps, the same wherever the run began
   */
  void prepare(List<Example> window) throws IOException {
    Map<Key, Example> missing = missing(window);
    long more = missing.values().stream().mapToLong(e -> 2L * hidden * asked(e)).sum();
    if (end + more > limit) { // always, where nothing is to be kept
      offsets.clear();
      end = 0;
      channel.truncate(0);
      missing = missing(window);
    }
    List<Map.Entry<Key, Example>> left = new ArrayList<>(missing.entrySet());
    // those of one length together, so that attention pads little
    left.sort(Comparator.comparingInt(entry -> entry.getValue().tokens().length));
    List<List<Map.Entry<Key, Example>>> parts = new ArrayList<>();
    int tokens = 0;
    for (Map.Entry<Key, Example> entry : left) {
      int length = entry.getValue().tokens().length;
      if (parts.isEmpty() || tokens + length > tokensAtOnce) {
        parts.add(new ArrayList<>());
        tokens = 0;
      }
      parts.getLast().add(entry);
      tokens += length;
    }
    // all parts of a window at a time would be gigabytes of hidden states
    int from = 0;
    long bytes = 0;
    for (int i = 0; i < parts.size(); i++) {
      bytes +=
          4L * hidden * parts.get(i).stream().mapToInt(e -> e.getValue().tokens().length).sum();
      if (bytes >= STATE_BYTES || i + 1 == parts.size()) {
        compute(parts.subList(from, i + 1));
        from = i + 1;
        bytes = 0;
      }
    }
    map();
  }

  private Map<Key, Example> missing(List<Example> window) {
    Map<Key, Example> missing = new LinkedHashMap<>();
    for (Example example : window) {
      Key key = key(example);
      if (!offsets.containsKey(key)) {
        missing.put(key, example);
      }
    }
    return missing;
  }

  private void compute(List<List<Map.Entry<Key, Example>>> parts) throws IOException {
    List<TokenBatch> batches =
        parts.stream()
            .map(part -> TokenBatch.of(part.stream().map(Map.Entry::getValue).toList()))
            .toList();
    try (Arena arena = Arena.ofShared()) {
      List<MemorySegment> states = teacher.states(batches, arena);
      for (int i = 0; i < parts.size(); i++) {
        long start = end;
        for (Map.Entry<Key, Example> entry : parts.get(i)) {
          offsets.put(entry.getKey(), end);
          end += 2L * hidden * asked(entry.getValue());
        }
        write(states.get(i), start);
      }
    }
  }

  private void write(MemorySegment floats, long at) throws IOException {
    int count = Math.toIntExact(floats.byteSize() / 4);
    ByteBuffer halves = ByteBuffer.allocateDirect(2 * count).order(ByteOrder.nativeOrder());
    for (int i = 0; i < count; i++) {
      halves.putShort(SafetensorsWriter.bfloat16(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i)));
    }
    halves.flip();
    while (halves.hasRemaining()) {
      at += channel.write(halves, at);
    }
  }

  private void map() throws IOException {
    mapping.close();
    mapping = Arena.ofShared();
    mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, end, mapping);
  }

  private static int asked(Example example) {
    int count = 0;
    for (int t = 1; t < example.weights().length; t++) {
      count += example.weights()[t] != 0 ? 1 : 0;
    }
    return count;
  }

  private static Key key(Example example) {
    ByteBuffer bytes = ByteBuffer.allocate(5 * example.tokens().length);
    for (int t = 0; t < example.tokens().length; t++) {
      bytes.putInt(example.tokens()[t]).put((byte) (example.weights()[t] != 0 ? 1 : 0));
    }
    try {
      ByteBuffer hash = ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
      return new Key(hash.getLong(), hash.getLong());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * The states of a batch's rows that predict something, [rows, hidden] in the batch's order.
   *
   * @param examples those that the batch is of
   */
  Rows rows(List<Example> examples) {
    List<Long> starts = new ArrayList<>();
    for (Example example : examples) {
      Long offset = offsets.get(key(example));
      if (offset == null) {
        throw new IllegalStateException("the teacher has not been asked of an example");
      }
      for (int i = 0; i < asked(example); i++) {
        starts.add(offset + 2L * hidden * i);
      }
    }
    MemorySegment from = mapped;
    return (first, count) -> {
      float[] values = new float[count * hidden];
      for (int r = 0; r < count; r++) {
        long at = starts.get(first + r) / 2;
        for (int j = 0; j < hidden; j++) {
          values[r * hidden + j] = Float.intBitsToFloat(from.getAtIndex(SHORT, at + j) << 16);
        }
      }
      return values;
    };
  }

  /** Reads states. */
  @FunctionalInterface
  interface Rows {
    /** [count, hidden] of the rows from {@code first} on. */
    float[] floats(int first, int count);
  }

  @Override
  public void close() throws IOException {
    mapping.close();
    channel.close();
    Files.deleteIfExists(file);
  }
}
