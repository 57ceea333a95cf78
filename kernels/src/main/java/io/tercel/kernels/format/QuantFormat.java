package io.tercel.kernels.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** What the bits of a {@link PackedMatrix} mean. */
public sealed interface QuantFormat
    permits QuantFormat.Dense, QuantFormat.Grouped, QuantFormat.PerRow {

  /** Short lower-case name as on the command line: {@code bf16}, {@code w3g128}. */
  String label();

  /** Bytes of one [rows, cols] matrix in this format's single in-memory layout. */
  long bytes(int rows, int cols);

  /** Row-major little-endian floats, laid out exactly as safetensors stores them. */
  enum Dense implements QuantFormat {
    FP32("fp32", 4) {
      @Override
      public float element(MemorySegment matrix, long index) {
        return matrix.get(Layouts.FLOAT, 4 * index);
      }

      @Override
      public void store(MemorySegment matrix, long index, float value) {
        matrix.set(Layouts.FLOAT, 4 * index, value);
      }
    },
    FP16("fp16", 2) {
      @Override
      public float element(MemorySegment matrix, long index) {
        return Float.float16ToFloat(matrix.get(Layouts.SHORT, 2 * index));
      }

      @Override
      public void store(MemorySegment matrix, long index, float value) {
        matrix.set(Layouts.SHORT, 2 * index, Float.floatToFloat16(value));
      }
    },
    BF16("bf16", 2) {
      @Override
      public float element(MemorySegment matrix, long index) {
        return Float.intBitsToFloat(matrix.get(Layouts.SHORT, 2 * index) << 16);
      }

      @Override
      public void store(MemorySegment matrix, long index, float value) {
        matrix.set(Layouts.SHORT, 2 * index, (short) (Float.floatToRawIntBits(value) >>> 16));
      }

      @Override
      public void storeNearest(MemorySegment matrix, long index, float value) {
        int bits = Float.floatToRawIntBits(value);
        int rounded = Float.isNaN(value) ? bits : bits + 0x7fff + (bits >>> 16 & 1);
        matrix.set(Layouts.SHORT, 2 * index, (short) (rounded >>> 16));
      }
    };

    private final String label;
    private final int elementBytes;

    Dense(String label, int elementBytes) {
      this.label = label;
      this.elementBytes = elementBytes;
    }

    @Override
    public String label() {
      return label;
    }

    public int elementBytes() {
      return elementBytes;
    }

    @Override
    public long bytes(int rows, int cols) {
      return (long) rows * cols * elementBytes;
    }

    /** Element {@code index} of the row-major matrix, widened exactly. */
    public abstract float element(MemorySegment matrix, long index);

    /** Writes element {@code index}: to the nearest half, or a bf16 that is cut off. */
    public abstract void store(MemorySegment matrix, long index, float value);

    /** Writes element {@code index}: the nearest that there is, of two the even one. */
    public void storeNearest(MemorySegment matrix, long index, float value) {
      store(matrix, index, value);
    }

    /** Little-endian, at any address. */
    private static final class Layouts {
      static final ValueLayout.OfShort SHORT =
          ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
      static final ValueLayout.OfFloat FLOAT =
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    }
  }

  /** Integer codes with a scale and a zero point per group of consecutive inputs of one row. */
  enum Grouped implements QuantFormat {
    /** 3-bit codes, groups of 128, in {@link W3Block}s of 16 rows by one group. */
    W3G128("w3g128", W3Block.BLOCK_BYTES, W3Block.SCALES_OFFSET),
    /** Symmetric 8-bit codes, groups of 128, in {@link Int8Block}s: for heads. */
    INT8G128("int8g128", Int8Block.BLOCK_BYTES, Int8Block.SCALES_OFFSET);

    private final String label;
    private final int blockBytes;
    private final int scalesOffset;

    Grouped(String label, int blockBytes, int scalesOffset) {
      this.label = label;
      this.blockBytes = blockBytes;
      this.scalesOffset = scalesOffset;
    }

    @Override
    public String label() {
      return label;
    }

    /** Bytes of a block of 16 rows by 128 columns. */
    public int blockBytes() {
      return blockBytes;
    }

    /** Where in a block its 16 fp16 scales are. */
    public int scalesOffset() {
      return scalesOffset;
    }

    @Override
    public long bytes(int rows, int cols) {
      return (long) W3Block.tiles(rows) * W3Block.groups(cols) * blockBytes;
    }
  }

  /** Integer codes with one scale a row, for inputs that have one scale a token. */
  enum PerRow implements QuantFormat {
    /** Symmetric 4-bit codes in {@link W4Tile}s of 16 rows, for inputs of 4 bits. */
    W4A4("w4a4");

    private final String label;

    PerRow(String label) {
      this.label = label;
    }

    @Override
    public String label() {
      return label;
    }

    @Override
    public long bytes(int rows, int cols) {
      return W4Tile.matrixBytes(rows, cols);
    }
  }
}
