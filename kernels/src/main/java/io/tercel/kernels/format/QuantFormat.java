package io.tercel.kernels.format;

/** What the bits of a {@link PackedMatrix} mean. */
public sealed interface QuantFormat permits QuantFormat.Dense, QuantFormat.Grouped {

  /** Short lower-case name as on the command line: {@code bf16}, {@code w3g128}. */
  String label();

  /** Bytes of one [rows, cols] matrix in this format's single in-memory layout. */
  long bytes(int rows, int cols);

  /** Row-major little-endian floats, laid out exactly as safetensors stores them. */
  enum Dense implements QuantFormat {
    FP32("fp32", 4),
    FP16("fp16", 2),
    BF16("bf16", 2);

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
  }

  /** Integer codes with a scale and a zero point per group of consecutive inputs of one row. */
  enum Grouped implements QuantFormat {
    /** 3-bit codes, groups of 128, in {@link W3Block}s of 16 rows by one group. */
    W3G128;

    @Override
    public String label() {
      return "w3g128";
    }

    @Override
    public long bytes(int rows, int cols) {
      return W3Block.matrixBytes(rows, cols);
    }
  }
}
