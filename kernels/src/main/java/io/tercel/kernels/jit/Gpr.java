package io.tercel.kernels.jit;

/** A 64-bit general register, in the order of its number in machine code. */
enum Gpr {
  RAX,
  RCX,
  RDX,
  RBX,
  RSP,
  RBP,
  RSI,
  RDI,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15;

  /** The three bits that fit a ModRM byte. */
  int low() {
    return ordinal() & 7;
  }

  /** The fourth bit, which a prefix holds. */
  int high() {
    return ordinal() >> 3;
  }
}
