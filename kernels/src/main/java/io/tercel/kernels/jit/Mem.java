package io.tercel.kernels.jit;

/** A memory operand: what lies {@code displacement} bytes from where a register points. */
record Mem(Gpr base, int displacement) {}
