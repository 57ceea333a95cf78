package io.tercel.kernels.memory;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Grouped;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The quantized matrices of a checkpoint as they lie in memory, in one file:
 *
 * <pre>
 * description  text: the version, the checkpoint's fingerprint, then name, format, rows and columns of each matrix
 * loss         two doubles: what rounding the head has cost, NaN if nothing was rounded
 * checksums    CRC-32C of the loss, then of each piece of 8 MiB of each matrix
 * matrices     each from a multiple of 4096 on
 * </pre>
 *
 * Nothing of the file is believed. A reader knows beforehand what the description must be, so it
 * compares and parses nothing, knows the file's size to the byte, and holds each piece to its
 * checksum and each scale to be finite. Other fingerprints, versions, shapes or heads are other
 * descriptions.
 */
final class PackedFile implements AutoCloseable {
  /** Rises whenever these bytes or those of a block mean something else. */
  static final int VERSION = 1;

  static final int PIECE_BYTES = 8 << 20;
  private static final int ALIGNMENT = 4096;
  private static final int LOSS_BYTES = 2 * Double.BYTES;

  private final FileChannel channel;
  private final Layout layout;
  private final ByteBuffer table;

  private PackedFile(FileChannel channel, Layout layout, ByteBuffer table) {
    this.channel = channel;
    this.layout = layout;
    this.table = table;
  }

  /** What a plan's file must look like. */
  static final class Layout {
    private final byte[] description;
    private final List<WeightPlan.Matrix> matrices = new ArrayList<>();
    private final Map<String, Long> offsets = new HashMap<>();
    private final Map<String, Integer> firstPiece = new HashMap<>();
    private final int pieces;
    private final long size;

    Layout(String fingerprint, WeightPlan plan) {
      StringBuilder text = new StringBuilder("tercel packed weights\nversion " + VERSION + "\n");
      text.append("of ").append(fingerprint).append('\n');
      int piece = 0;
      for (WeightPlan.Matrix m : plan.matrices()) {
        if (m.format() instanceof Grouped) {
          text.append("%s %s %d %d\n".formatted(m.name(), m.format().label(), m.rows(), m.cols()));
          matrices.add(m);
          firstPiece.put(m.name(), piece);
          piece += Math.toIntExact(Math.ceilDiv(m.bytes(), PIECE_BYTES));
        }
      }
      pieces = piece;
      description = text.append('\n').toString().getBytes(StandardCharsets.UTF_8);
      long at = description.length + (long) tableBytes();
      for (WeightPlan.Matrix m : matrices) {
        at = Math.ceilDiv(at, ALIGNMENT) * ALIGNMENT;
        offsets.put(m.name(), at);
        at += m.bytes();
      }
      size = at;
    }

    private int tableBytes() {
      return LOSS_BYTES + Integer.BYTES * (1 + pieces);
    }

    boolean isEmpty() {
      return matrices.isEmpty();
    }

    /** Bytes of the whole file. */
    long size() {
      return size;
    }

    private long offset(String matrix) {
      Long offset = offsets.get(matrix);
      if (offset == null) {
        throw new IllegalArgumentException("no matrix " + matrix);
      }
      return offset;
    }
  }

  /**
   * Opens a file that is what it should be as far as its description goes.
   *
   * @throws IOException if it is not, or can't be read; the message says what
   */
  static PackedFile open(Path path, Layout layout) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    try {
      if (channel.size() != layout.size) {
        throw new IOException(
            "it has %d bytes instead of %d".formatted(channel.size(), layout.size));
      }
      ByteBuffer head = ByteBuffer.allocate(layout.description.length);
      read(channel, head, 0);
      if (!head.equals(ByteBuffer.wrap(layout.description))) {
        throw new IOException("it was packed from something else, or by another version");
      }
      ByteBuffer table = ByteBuffer.allocate(layout.tableBytes()).order(ByteOrder.LITTLE_ENDIAN);
      read(channel, table, layout.description.length);
      if (crc(table.slice(0, LOSS_BYTES)) != table.getInt(LOSS_BYTES)) {
        throw new IOException("its table has a wrong checksum");
      }
      return new PackedFile(channel, layout, table);
    } catch (Throwable t) {
      channel.close();
      throw t;
    }
  }

  /** What rounding the head has cost; null if it was not rounded. */
  @Nullable RoundingLoss loss() {
    double relative = table.getDouble(0);
    return Double.isNaN(relative) ? null : new RoundingLoss(relative, table.getDouble(8));
  }

  /**
   * Reads a matrix of the layout.
   *
   * @return whether all of it is what was written and can be computed with
   */
  boolean read(PackedMatrix matrix, RowTasks tasks) throws IOException {
    long from = layout.offset(matrix.name());
    int first = layout.firstPiece.getOrDefault(matrix.name(), 0);
    MemorySegment to = matrix.segment();
    int pieces = Math.toIntExact(Math.ceilDiv(to.byteSize(), PIECE_BYTES));
    AtomicBoolean sound = new AtomicBoolean(true);
    IOException[] failures = new IOException[pieces];
    tasks.forEach(
        pieces,
        () ->
            piece -> {
              ByteBuffer buffer = piece(to, piece);
              try {
                read(channel, buffer, from + (long) piece * PIECE_BYTES);
                if (crc(buffer) != checksum(first + piece)) {
                  sound.set(false);
                }
              } catch (IOException e) {
                failures[piece] = e;
              }
            });
    for (IOException failure : failures) {
      if (failure != null) {
        throw failure;
      }
    }
    return sound.get() && FiniteWeights.fault(matrix) == null;
  }

  private int checksum(int piece) {
    return table.getInt(LOSS_BYTES + Integer.BYTES * (1 + piece));
  }

  /** Writes a new file. */
  static void write(
      Path path, Layout layout, Map<String, PackedMatrix> matrices, @Nullable RoundingLoss loss)
      throws IOException {
    ByteBuffer table = ByteBuffer.allocate(layout.tableBytes()).order(ByteOrder.LITTLE_ENDIAN);
    table.putDouble(loss == null ? Double.NaN : loss.relative());
    table.putDouble(loss == null ? Double.NaN : loss.worstRow());
    table.putInt(crc(table.slice(0, LOSS_BYTES)));
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (WeightPlan.Matrix planned : layout.matrices) {
        PackedMatrix matrix = matrices.get(planned.name());
        if (matrix == null || matrix.segment().byteSize() != planned.bytes()) {
          throw new IllegalArgumentException("no such matrix to write: " + planned);
        }
        long at = layout.offset(planned.name());
        int pieces = Math.toIntExact(Math.ceilDiv(planned.bytes(), PIECE_BYTES));
        for (int piece = 0; piece < pieces; piece++) {
          ByteBuffer buffer = piece(matrix.segment(), piece);
          table.putInt(crc(buffer));
          write(channel, buffer, at + (long) piece * PIECE_BYTES);
        }
      }
      write(channel, ByteBuffer.wrap(layout.description), 0);
      write(channel, table.flip(), layout.description.length);
    }
  }

  private static ByteBuffer piece(MemorySegment segment, int piece) {
    long at = (long) piece * PIECE_BYTES;
    return segment.asSlice(at, Math.min(PIECE_BYTES, segment.byteSize() - at)).asByteBuffer();
  }

  /** Of the whole buffer, which stays where it is. */
  private static int crc(ByteBuffer buffer) {
    CRC32C crc = new CRC32C();
    crc.update(buffer.duplicate().rewind());
    return (int) crc.getValue();
  }

  private static void read(FileChannel channel, ByteBuffer into, long at) throws IOException {
    while (into.hasRemaining()) {
      if (channel.read(into, at + into.position()) < 0) {
        throw new IOException("it ended while it was read");
      }
    }
    into.rewind();
  }

  private static void write(FileChannel channel, ByteBuffer from, long at) throws IOException {
    while (from.hasRemaining()) {
      channel.write(from, at + from.position());
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
