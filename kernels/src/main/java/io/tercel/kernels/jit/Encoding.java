package io.tercel.kernels.jit;

import java.util.Arrays;

/**
 * How x86-64 instructions become bytes, the shortest ones that there are, as the GNU assembler
 * chooses them.
 *
 * <pre>
 * EVEX   62  R X B R' 0 m m m   W v v v v 1 p p   z L' L b V' a a a   opcode  ModRM  [disp]  [imm8]
 *            (R X B R' v V' inverted)
 * </pre>
 *
 * <p>L'L = 2 (512 bits) and W = 0 throughout; b broadcasts a 32-bit memory operand to all lanes;
 * where mask register aaa is not 0, lanes that it leaves out become 0 (z) or are left alone. A
 * displacement of one byte counts in operand sizes.
 */
class Encoding {
  // the pp field: a mandatory prefix of the older encodings
  static final int NP = 0;
  static final int P66 = 1;
  static final int PF3 = 2;

  // the mmm field: the opcode's map
  static final int MAP_0F = 1;
  static final int MAP_0F38 = 2;
  static final int MAP_0F3A = 3;

  // bytes of a memory operand
  static final int ZMM = 64;
  static final int YMM = 32;
  static final int XMM = 16;
  static final int DWORD = 4;

  private byte[] code = new byte[1 << 12];
  private int size;
  private int count;

  /** What was written. */
  final byte[] bytes() {
    return Arrays.copyOf(code, size);
  }

  /** How many instructions were written. */
  final int count() {
    return count;
  }

  final void registers(int map, int pp, int opcode, int reg, int vvvv, int rm) {
    prefix(map, pp, reg, vvvv, rm >> 4, rm >> 3 & 1, false);
    put(opcode);
    put(0xC0 | (reg & 7) << 3 | rm & 7);
  }

  /**
   * @param mask register, 1 to 7
   * @param zeroing whether lanes left out become 0
   */
  final void masked(
      int map, int pp, int opcode, int reg, int vvvv, int rm, int mask, boolean zeroing) {
    prefix(map, pp, reg, vvvv, rm >> 4, rm >> 3 & 1, false);
    code[size - 1] |= (byte) ((zeroing ? 0x80 : 0) | mask);
    put(opcode);
    put(0xC0 | (reg & 7) << 3 | rm & 7);
  }

  final void memory(
      int map, int pp, int opcode, int reg, int vvvv, Mem rm, int bytes, boolean broadcast) {
    prefix(map, pp, reg, vvvv, 0, rm.base().high(), broadcast);
    put(opcode);
    address(reg, rm, bytes);
  }

  final void prefix(int map, int pp, int reg, int vvvv, int x, int b, boolean broadcast) {
    count++;
    put(0x62);
    put((~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~reg >> 4 & 1) << 4 | map);
    put((~vvvv & 15) << 3 | 4 | pp);
    put(2 << 5 | (broadcast ? 1 << 4 : 0) | (~vvvv >> 4 & 1) << 3);
  }

  /** ModRM, SIB where rsp and r12 need it, and the displacement, in units of {@code bytes}. */
  final void address(int reg, Mem mem, int bytes) {
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

  final void general(int opcode, Gpr reg, Gpr rm) {
    count++;
    put(0x48 | reg.high() << 2 | rm.high());
    put(opcode);
    put(0xC0 | reg.low() << 3 | rm.low());
  }

  final void general(int opcode, Gpr reg, Mem rm) {
    count++;
    put(0x48 | reg.high() << 2 | rm.base().high());
    put(opcode);
    address(reg.number(), rm, 1);
  }

  final void immediate(int operation, Gpr to, int value) {
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

  final void rexIfNeeded(int reg, int rm) {
    if ((reg | rm) != 0) {
      put(0x40 | reg << 2 | rm);
    }
  }

  final void put4(int value) {
    for (int i = 0; i < 4; i++) {
      put(value >> 8 * i);
    }
  }

  final void put(int value) {
    if (size == code.length) {
      code = Arrays.copyOf(code, 2 * size);
    }
    code[size++] = (byte) value;
  }

  /** Counts one more instruction, whose bytes the caller puts. */
  final void begin() {
    count++;
  }

  /** Where the next instruction will be. */
  final int position() {
    return size;
  }

  /** Sets the four bytes before {@code position} to the distance from there to here. */
  final void land(int position) {
    int distance = size - position;
    for (int i = 0; i < 4; i++) {
      code[position - 4 + i] = (byte) (distance >> 8 * i);
    }
  }
}
