package io.tercel.kernels.exchange;

import java.util.Arrays;

/** Some bytes of one part of a tensor: pieces of whole units, by their offsets in the part. */
public final class Pieces {
  /** Bytes after which a batch is full. */
  static final int FULL_BYTES = 1 << 19;

  /** Pieces after which a batch is full. */
  static final int FULL_COUNT = 1 << 14;

  private String name = "";
  private TensorPart part = TensorPart.VALUES;
  private final long[] offsets = new long[FULL_COUNT];
  private final int[] lengths = new int[FULL_COUNT];
  private int count;
  private byte[] data = new byte[FULL_BYTES];
  private int bytes;

  Pieces() {}

  void begin(String ofName, TensorPart ofPart) {
    name = ofName;
    part = ofPart;
    count = 0;
    bytes = 0;
  }

  /** Makes room for a unit, in the last piece if it follows on. */
  int add(long offset, int length) {
    if (count > 0 && offsets[count - 1] + lengths[count - 1] == offset) {
      lengths[count - 1] += length;
    } else {
      offsets[count] = offset;
      lengths[count++] = length;
    }
    int at = bytes;
    bytes += length;
    if (bytes > data.length) {
      data = Arrays.copyOf(data, Math.max(bytes, 2 * data.length));
    }
    return at;
  }

  boolean full() {
    return bytes >= FULL_BYTES || count == FULL_COUNT;
  }

  public String name() {
    return name;
  }

  public TensorPart part() {
    return part;
  }

  /** How many pieces. */
  public int count() {
    return count;
  }

  /** Where in the part a piece begins. */
  public long offset(int piece) {
    return offsets[piece];
  }

  /** Bytes of a piece. */
  public int length(int piece) {
    return lengths[piece];
  }

  /** The pieces' bytes one after another; those up to {@link #bytes}, until the next batch. */
  public byte[] data() {
    return data;
  }

  /** Bytes of all pieces. */
  public int bytes() {
    return bytes;
  }
}
