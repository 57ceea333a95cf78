package io.tercel.kernels.exchange;

/** What of a tensor some bytes are; {@link TensorBytes} says in which order. */
public enum TensorPart {
  /** Of a quantized matrix. */
  CODES,
  /** fp16, of a quantized matrix. */
  SCALES,
  /** A byte each, of a matrix of 3 bits. */
  ZEROS,
  /** Floats, of everything else. */
  VALUES
}
