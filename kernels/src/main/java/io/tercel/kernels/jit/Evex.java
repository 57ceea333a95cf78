package io.tercel.kernels.jit;

import java.util.Arrays;

/**
 * Writes x86-64 machine code: the few 512-bit vector instructions (EVEX) and general ones that the
 * kernels need, each method one instruction under its Intel name, operands in Intel's order. A zmm
 * register is its number, 0 to 31. The encodings are the shortest ones, as the GNU assembler
 * chooses them.
 *
 * <pre>
 * EVEX   62  R X B R' 0 m m m   W v v v v 1 p p   z L' L b V' a a a   opcode  ModRM  [disp]  [imm8]
 *            (R X B R' v V' inverted)
 * </pre>
 *
 * <p>L'L = 2 (512 bits), W = 0 and no masking (z = aaa = 0) throughout; b broadcasts a 32-bit
 * memory operand to all lanes. A displacement of one byte counts in operand sizes.
 */
final class Evex {
  static Mem at(Gpr base, int displacement) {
    return new Mem(base, displacement);
  }

  // the pp field: a mandatory prefix of the older encodings
  private static final int NP = 0;
  private static final int P66 = 1;
  private static final int PF3 = 2;

  // the mmm field: the opcode's map
  private static final int MAP_0F = 1;
  private static final int MAP_0F38 = 2;
  private static final int MAP_0F3A = 3;

  // bytes of a memory operand
  private static final int ZMM = 64;
  private static final int YMM = 32;
  private static final int XMM = 16;
  private static final int DWORD = 4;

  private byte[] code = new byte[1 << 12];
  private int size;
  private int count;

  /** What was written. */
  byte[] bytes() {
    return Arrays.copyOf(code, size);
  }

  /** How many instructions were written. */
  int count() {
    return count;
  }

  // ---- integers of 32 bits in lanes

  void vmovdqu32(int zmm, Mem from) {
    memory(MAP_0F, PF3, 0x6F, zmm, 0, from, ZMM, false);
  }

  void vmovdqu32(Mem to, int zmm) {
    memory(MAP_0F, PF3, 0x7F, zmm, 0, to, ZMM, false);
  }

  /** All lanes = the 32 bits at {@code from}. */
  void vpbroadcastd(int zmm, Mem from) {
    memory(MAP_0F38, P66, 0x58, zmm, 0, from, DWORD, false);
  }

  /** All lanes = the low 32 bits of a general register. */
  void vpbroadcastd(int zmm, Gpr from) {
    prefix(MAP_0F38, P66, zmm, 0, 0, from.high(), false);
    put(0x7C);
    put(0xC0 | (zmm & 7) << 3 | from.low());
  }

  void vpandd(int to, int a, int b) {
    registers(MAP_0F, P66, 0xDB, to, a, b);
  }

  void vpandd(int to, int a, Mem b) {
    memory(MAP_0F, P66, 0xDB, to, a, b, ZMM, false);
  }

  void vpxord(int to, int a, int b) {
    registers(MAP_0F, P66, 0xEF, to, a, b);
  }

  void vpaddd(int to, int a, int b) {
    registers(MAP_0F, P66, 0xFE, to, a, b);
  }

  /** The larger of signed ints. */
  void vpmaxsd(int to, int a, int b) {
    registers(MAP_0F38, P66, 0x3D, to, a, b);
  }

  void vpsubd(int to, int a, int b) {
    registers(MAP_0F, P66, 0xFA, to, a, b);
  }

  /** {@code b} is one int for all lanes. */
  void vpmulldBroadcast(int to, int a, Mem b) {
    memory(MAP_0F38, P66, 0x40, to, a, b, DWORD, true);
  }

  void vpslld(int to, int a, int bits) {
    registers(MAP_0F, P66, 0x72, 6, to, a);
    put(bits);
  }

  void vpslld(int to, Mem a, int bits) {
    memory(MAP_0F, P66, 0x72, 6, to, a, ZMM, false);
    put(bits);
  }

  void vpsrld(int to, int a, int bits) {
    registers(MAP_0F, P66, 0x72, 2, to, a);
    put(bits);
  }

  void vpsrld(int to, Mem a, int bits) {
    memory(MAP_0F, P66, 0x72, 2, to, a, ZMM, false);
    put(bits);
  }

  void vpsrad(int to, int a, int bits) {
    registers(MAP_0F, P66, 0x72, 4, to, a);
    put(bits);
  }

  /** Bitwise: bit {@code 4 to + 2 a + b} of the table. 0xE4 takes {@code to} where b, else a. */
  void vpternlogd(int to, int a, int b, int table) {
    registers(MAP_0F3A, P66, 0x25, to, a, b);
    put(table);
  }

  /** {@code signed} is one group of four bytes for all lanes. */
  void vpdpbusdBroadcast(int sum, int unsigned, Mem signed) {
    memory(MAP_0F38, P66, 0x50, sum, unsigned, signed, DWORD, true);
  }

  /** Lanes = 16 unsigned bytes. */
  void vpmovzxbd(int to, Mem from) {
    memory(MAP_0F38, P66, 0x31, to, 0, from, XMM, false);
  }

  /** The low half of {@code to} = the low 16 bits of each lane. */
  void vpmovdw(int to, int from) {
    registers(MAP_0F38, PF3, 0x33, from, 0, to);
  }

  // ---- floats in lanes

  /** 16 bytes = the low 8 bits of each lane. */
  void vpmovdb(Mem to, int from) {
    memory(MAP_0F38, PF3, 0x31, from, 0, to, XMM, false);
  }

  /** Lanes = ints of floats, to nearest, ties to even. */
  void vcvtps2dq(int to, int from) {
    registers(MAP_0F, P66, 0x5B, to, 0, from);
  }

  /** Lanes = floats of ints, to nearest. */
  void vcvtdq2ps(int to, int from) {
    registers(MAP_0F, NP, 0x5B, to, 0, from);
  }

  /** Lanes = 16 halves, exactly. */
  void vcvtph2ps(int to, Mem from) {
    memory(MAP_0F38, P66, 0x13, to, 0, from, YMM, false);
  }

  /** Lanes = 16 halves in the low half of {@code from}. */
  void vcvtph2ps(int to, int from) {
    registers(MAP_0F38, P66, 0x13, to, 0, from);
  }

  void vaddps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x58, to, a, b);
  }

  void vmulps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x59, to, a, b);
  }

  void vdivps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x5E, to, a, b);
  }

  /** {@code b} is one float for all lanes. */
  void vmulpsBroadcast(int to, int a, Mem b) {
    memory(MAP_0F, NP, 0x59, to, a, b, DWORD, true);
  }

  /** sum = a b + sum, rounded once. */
  void vfmadd231ps(int sum, int a, int b) {
    registers(MAP_0F38, P66, 0xB8, sum, a, b);
  }

  /** Quarters of 128 bits: two of a, then two of b, two bits of {@code order} each. */
  void vshuff32x4(int to, int a, int b, int order) {
    registers(MAP_0F3A, P66, 0x23, to, a, b);
    put(order);
  }

  /** Lanes within each quarter, two bits of {@code order} each. */
  void vpermilps(int to, int from, int order) {
    registers(MAP_0F3A, P66, 0x04, to, 0, from);
    put(order);
  }

  /** Lane 0. */
  void vmovss(Mem to, int from) {
    memory(MAP_0F, PF3, 0x11, from, 0, to, DWORD, false);
  }

  // ---- general registers

  void mov(Gpr to, Gpr from) {
    general(0x89, from, to);
  }

  /** The upper half becomes 0. */
  void mov(Gpr to, int value) {
    count++;
    rexIfNeeded(0, to.high());
    put(0xB8 | to.low());
    put4(value);
  }

  void mov(Gpr to, Mem from) {
    general(0x8B, to, from);
  }

  /** 32 bits. */
  void movd(Mem to, Gpr from) {
    count++;
    rexIfNeeded(from.high(), to.base().high());
    put(0x89);
    address(from.number(), to, 1);
  }

  /** 32 bits; the upper half becomes 0. */
  void movd(Gpr to, Mem from) {
    count++;
    rexIfNeeded(to.high(), from.base().high());
    put(0x8B);
    address(to.number(), from, 1);
  }

  /** 32 bits; the upper half becomes 0. */
  void movd(Gpr to, Gpr from) {
    count++;
    rexIfNeeded(from.high(), to.high());
    put(0x89);
    put(0xC0 | from.low() << 3 | to.low());
  }

  void add(Gpr to, Gpr from) {
    general(0x01, from, to);
  }

  void add(Gpr to, Mem from) {
    general(0x03, to, from);
  }

  void add(Gpr to, int value) {
    immediate(0, to, value);
  }

  /** Sets the zero flag for {@link #jnz}. */
  void sub(Gpr to, int value) {
    immediate(5, to, value);
  }

  /** Compares, for {@link #jb}. */
  void cmp(Gpr register, int value) {
    immediate(7, register, value);
  }

  /** Asks for a cache line; never faults. */
  void prefetcht0(Mem line) {
    count++;
    rexIfNeeded(0, line.base().high());
    put(0x0F);
    put(0x18);
    address(1, line, 1);
  }

  void push(Gpr register) {
    count++;
    rexIfNeeded(0, register.high());
    put(0x50 | register.low());
  }

  void pop(Gpr register) {
    count++;
    rexIfNeeded(0, register.high());
    put(0x58 | register.low());
  }

  /** Clears the upper halves of the vector registers, as a caller's narrower code wants them. */
  void vzeroupper() {
    count++;
    put(0xC5);
    put(0xF8);
    put(0x77);
  }

  void ret() {
    count++;
    put(0xC3);
  }

  /** rax, rbx, rcx, rdx = what the processor says of leaf eax, subleaf ecx. */
  void cpuid() {
    count++;
    put(0x0F);
    put(0xA2);
  }

  /** rdx:rax = extended control register ecx. */
  void xgetbv() {
    count++;
    put(0x0F);
    put(0x01);
    put(0xD0);
  }

  // ---- jumps

  /** A place to jump back to. */
  int here() {
    return size;
  }

  /** Back to {@code target} unless the last result was zero. */
  void jnz(int target) {
    jump(0x85);
    put4(target - size - 4);
  }

  /** Forward, if what was compared is below, to where the result is given to {@link #land}. */
  int jb() {
    jump(0x82);
    put4(0);
    return size;
  }

  /** Forward, always. */
  int jmp() {
    count++;
    put(0xE9);
    put4(0);
    return size;
  }

  /** Makes this the place that a forward jump goes to. */
  void land(int jump) {
    int distance = size - jump;
    for (int i = 0; i < 4; i++) {
      code[jump - 4 + i] = (byte) (distance >> 8 * i);
    }
  }

  private void jump(int condition) {
    count++;
    put(0x0F);
    put(condition);
  }

  // ---- encodings

  private void registers(int map, int pp, int opcode, int reg, int vvvv, int rm) {
    prefix(map, pp, reg, vvvv, rm >> 4, rm >> 3 & 1, false);
    put(opcode);
    put(0xC0 | (reg & 7) << 3 | rm & 7);
  }

  private void memory(
      int map, int pp, int opcode, int reg, int vvvv, Mem rm, int bytes, boolean broadcast) {
    prefix(map, pp, reg, vvvv, 0, rm.base().high(), broadcast);
    put(opcode);
    address(reg, rm, bytes);
  }

  private void prefix(int map, int pp, int reg, int vvvv, int x, int b, boolean broadcast) {
    count++;
    put(0x62);
    put((~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~reg >> 4 & 1) << 4 | map);
    put((~vvvv & 15) << 3 | 4 | pp);
    put(2 << 5 | (broadcast ? 1 << 4 : 0) | (~vvvv >> 4 & 1) << 3);
  }

  /** ModRM, SIB where rsp and r12 need it, and the displacement, in units of {@code bytes}. */
  private void address(int reg, Mem mem, int bytes) {
    int disp = mem.displacement();
    int base = mem.base().low();
    boolean none = disp == 0 && base != 5; // rbp and r13 without one mean something else
    boolean small = disp % bytes == 0 && (byte) (disp / bytes) == disp / bytes;
    put((none ? 0 : small ? 0x40 : 0x80) | (reg & 7) << 3 | base);
    if (base == 4) {
      put(0x24);
    }
    if (!none && small) {
      put(disp / bytes);
    } else if (!none) {
      put4(disp);
    }
  }

  private void general(int opcode, Gpr reg, Gpr rm) {
    count++;
    put(0x48 | reg.high() << 2 | rm.high());
    put(opcode);
    put(0xC0 | reg.low() << 3 | rm.low());
  }

  private void general(int opcode, Gpr reg, Mem rm) {
    count++;
    put(0x48 | reg.high() << 2 | rm.base().high());
    put(opcode);
    address(reg.number(), rm, 1);
  }

  private void immediate(int operation, Gpr to, int value) {
    count++;
    put(0x48 | to.high());
    boolean small = (byte) value == value;
    if (!small && to == Gpr.RAX) {
      put(operation << 3 | 5);
    } else {
      put(small ? 0x83 : 0x81);
      put(0xC0 | operation << 3 | to.low());
    }
    if (small) {
      put(value);
    } else {
      put4(value);
    }
  }

  private void rexIfNeeded(int reg, int rm) {
    if ((reg | rm) != 0) {
      put(0x40 | reg << 2 | rm);
    }
  }

  private void put4(int value) {
    for (int i = 0; i < 4; i++) {
      put(value >> 8 * i);
    }
  }

  private void put(int value) {
    if (size == code.length) {
      code = Arrays.copyOf(code, 2 * size);
    }
    code[size++] = (byte) value;
  }
}
