package io.tercel.kernels.format;

import org.jspecify.annotations.Nullable;

/** The element types of safetensors that take whole bytes; the names are the file's own. */
public enum DType {
  BOOL(1),
  U8(1),
  I8(1),
  F8_E5M2(1),
  F8_E4M3(1),
  F8_E8M0(1),
  I16(2),
  U16(2),
  F16(2),
  BF16(2),
  I32(4),
  U32(4),
  F32(4),
  F64(8),
  I64(8),
  U64(8);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** The in-memory format with the same bytes, or null if no weight is kept in this type. */
  public QuantFormat.@Nullable Dense dense() {
    return switch (this) {
      case F32 -> QuantFormat.Dense.FP32;
      case F16 -> QuantFormat.Dense.FP16;
      case BF16 -> QuantFormat.Dense.BF16;
      default -> null;
    };
  }

  static @Nullable DType byName(String name) {
    for (DType type : values()) {
      if (type.name().equals(name)) {
        return type;
      }
    }
    return null;
  }
}
