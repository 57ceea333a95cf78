package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What {@code mma.sync.m16n8k32.s8} does, by the layout of fragments that NVIDIA's PTX states, and
 * how TornadoVM loads and stores them. With g = lane / 4 and t = lane % 4, a lane has of A the rows
 * g and g + 8 and the columns 4t .. 4t + 3 and 16 more, of B the column g and those as rows, and of
 * the sums the rows g and g + 8 and the columns 2t and 2t + 1.
 */
final class MatrixUnit {
  private final byte[][] a;
  private final byte[][] b;

  /** Of a work group of so many items. */
  MatrixUnit(int items) {
    a = new byte[items][];
    b = new byte[items][];
  }

  /** A lane's operands; they are there for the others after a barrier. */
  void bring(int item, byte[] itsA, byte[] itsB) {
    a[item] = itsA;
    b[item] = itsB;
  }

  /** A lane's sums, of what its warp has brought. */
  int[] multiply(int item, int[] c) {
    int warp = item / 32 * 32;
    int lane = item % 32;
    int[] d = new int[4];
    for (int i = 0; i < 4; i++) {
      int row = lane / 4 + i / 2 * 8;
      int column = lane % 4 * 2 + i % 2;
      d[i] = c[i];
      for (int k = 0; k < 32; k++) {
        int third = k % 16 / 4; // of the quad that has these columns
        byte left = a[warp + row % 8 * 4 + third][k / 16 * 8 + row / 8 * 4 + k % 4];
        byte right = b[warp + column * 4 + third][k / 16 * 4 + k % 4];
        d[i] += left * right;
      }
    }
    return d;
  }

  /** Rows of 32 bytes; a register is four bytes of one of four 8 x 8 matrices of pairs. */
  static byte[] loadA(int[] tile, int lane) {
    byte[] bytes = new byte[16];
    for (int i = 0; i < 16; i++) {
      int matrix = i / 4;
      int row = matrix % 2 * 8 + lane / 4;
      bytes[i] = at(tile, row * 32 + matrix / 2 * 16 + lane % 4 * 4 + i % 4);
    }
    return bytes;
  }

  /** Rows of 8 pairs, transposed: a pair is two neighbours of a column. */
  static byte[] loadB(int[] tile, int lane) {
    byte[] bytes = new byte[8];
    for (int i = 0; i < 8; i++) {
      int pair = i / 4 * 8 + lane % 4 * 2 + i % 4 / 2;
      bytes[i] = at(tile, pair * 16 + lane / 4 * 2 + i % 2);
    }
    return bytes;
  }

  private static byte at(int[] tile, int index) {
    return (byte) (tile[index / 4] >> 8 * (index % 4));
  }

  static void store(int[] d, int lane, IntArray out, int row, int column, int stride) {
    for (int i = 0; i < 4; i++) {
      out.set((row + lane / 4 + i / 2 * 8) * stride + column + lane % 4 * 2 + i % 2, d[i]);
    }
  }
}
