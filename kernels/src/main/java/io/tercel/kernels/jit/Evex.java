package io.tercel.kernels.jit;

/**
 * Writes x86-64 machine code: the few 512-bit vector instructions (EVEX) and general ones that the
 * kernels need, each method one instruction under its Intel name, operands in Intel's order. A zmm
 * register is its number, 0 to 31, a mask register k1 to k7 is 1 to 7.
 */
final class Evex extends Encoding {
  static Mem at(Gpr base, int displacement) {
    return new Mem(base, displacement);
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

  /** 0 where the mask leaves out. */
  void vpaddd(int to, int a, int b, int mask) {
    masked(MAP_0F, P66, 0xFE, to, a, b, mask, true);
  }

  /** A mask of lanes: a &gt; b, of signed ints. */
  void vpcmpgtd(int mask, int a, int b) {
    registers(MAP_0F, P66, 0x66, mask, a, b);
  }

  /** a where the mask leaves out, else b. */
  void vpblendmd(int to, int a, int b, int mask) {
    masked(MAP_0F38, P66, 0x64, to, a, b, mask, false);
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

  void vsubps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x5C, to, a, b);
  }

  /** The larger; b where either is NaN. */
  void vmaxps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x5F, to, a, b);
  }

  void vmovaps(int to, int from) {
    registers(MAP_0F, NP, 0x28, to, 0, from);
  }

  /** A mask of lanes: not a &lt; b, so NaN too. */
  void vcmpnltps(int mask, int a, int b) {
    registers(MAP_0F, NP, 0xC2, mask, a, b);
    put(5);
  }

  void vmulps(int to, int a, int b) {
    registers(MAP_0F, NP, 0x59, to, a, b);
  }

  /** 0 where the mask leaves out. */
  void vmulps(int to, int a, int b, int mask) {
    masked(MAP_0F, NP, 0x59, to, a, b, mask, true);
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

  /** to = a to + b, rounded once. */
  void vfmadd213ps(int to, int a, int b) {
    registers(MAP_0F38, P66, 0xA8, to, a, b);
  }

  /** sum = sum - a b, rounded once. */
  void vfnmadd231ps(int sum, int a, int b) {
    registers(MAP_0F38, P66, 0xBC, sum, a, b);
  }

  /** {@code b} is one float for all lanes. */
  void vfmadd231psBroadcast(int sum, int a, Mem b) {
    memory(MAP_0F38, P66, 0xB8, sum, a, b, DWORD, true);
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
    begin();
    rexIfNeeded(0, to.high());
    put(0xB8 | to.low());
    put4(value);
  }

  void mov(Gpr to, Mem from) {
    general(0x8B, to, from);
  }

  /** 32 bits. */
  void movd(Mem to, Gpr from) {
    begin();
    rexIfNeeded(from.high(), to.base().high());
    put(0x89);
    address(from.number(), to, 1);
  }

  /** 32 bits; the upper half becomes 0. */
  void movd(Gpr to, Mem from) {
    begin();
    rexIfNeeded(to.high(), from.base().high());
    put(0x8B);
    address(to.number(), from, 1);
  }

  /** 32 bits; the upper half becomes 0. */
  void movd(Gpr to, Gpr from) {
    begin();
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
    prefetch(1, line);
  }

  /** The same, for the second-level cache. */
  void prefetcht1(Mem line) {
    prefetch(2, line);
  }

  private void prefetch(int hint, Mem line) {
    begin();
    rexIfNeeded(0, line.base().high());
    put(0x0F);
    put(0x18);
    address(hint, line, 1);
  }

  void push(Gpr register) {
    begin();
    rexIfNeeded(0, register.high());
    put(0x50 | register.low());
  }

  void pop(Gpr register) {
    begin();
    rexIfNeeded(0, register.high());
    put(0x58 | register.low());
  }

  /** Clears the upper halves of the vector registers, as a caller's narrower code wants them. */
  void vzeroupper() {
    begin();
    put(0xC5);
    put(0xF8);
    put(0x77);
  }

  void ret() {
    begin();
    put(0xC3);
  }

  /** rax, rbx, rcx, rdx = what the processor says of leaf eax, subleaf ecx. */
  void cpuid() {
    begin();
    put(0x0F);
    put(0xA2);
  }

  /** rdx:rax = extended control register ecx. */
  void xgetbv() {
    begin();
    put(0x0F);
    put(0x01);
    put(0xD0);
  }

  // ---- jumps

  /** A place to jump back to. */
  int here() {
    return position();
  }

  /** Back to {@code target} unless the last result was zero. */
  void jnz(int target) {
    jump(0x85);
    put4(target - position() - 4);
  }

  /** Forward, if what was compared is below, to where the result is given to {@code land}. */
  int jb() {
    jump(0x82);
    put4(0);
    return position();
  }

  /** Forward, always. */
  int jmp() {
    begin();
    put(0xE9);
    put4(0);
    return position();
  }

  private void jump(int condition) {
    begin();
    put(0x0F);
    put(condition);
  }
}
