package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class W3BlockTest {
  private static final int CODES = W3Block.ROWS * W3Block.GROUP;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void roundTrip(long seed) {
    Random random = new Random(seed);
    byte[] codes = new byte[CODES];
    byte[] zeros = new byte[W3Block.ROWS];
    short[] scales = new short[W3Block.ROWS];
    for (int i = 0; i < CODES; i++) {
      codes[i] = (byte) random.nextInt(8);
    }
    for (int r = 0; r < W3Block.ROWS; r++) {
      zeros[r] = (byte) random.nextInt(8);
      scales[r] = (short) random.nextInt(1 << 16);
    }
    assertRoundTrip(codes, scales, zeros);
  }

  @ParameterizedTest
  @ValueSource(bytes = {0, 7})
  void roundTrip_extremes(byte code) {
    byte[] codes = new byte[CODES];
    byte[] zeros = new byte[W3Block.ROWS];
    Arrays.fill(codes, code);
    Arrays.fill(zeros, code);
    MemorySegment block = assertRoundTrip(codes, new short[W3Block.ROWS], zeros);
    for (int b = 0; b < W3Block.SCALES_OFFSET; b++) {
      int bits = block.get(ValueLayout.JAVA_BYTE, b);
      assertEquals(code == 0 ? 0 : -1, bits, "every bit is some code's bit");
    }
  }

  /** Byte by byte, from the table in W3Block's documentation and not from its code. */
  @Test
  void pack_eachColumnHasItsOwnThreeBits() {
    for (int row : new int[] {0, 7, 15}) {
      for (int k = 0; k < W3Block.GROUP; k++) {
        byte[] codes = new byte[CODES];
        codes[row * W3Block.GROUP + k] = 5;
        byte[] expected = new byte[W3Block.BLOCK_BYTES];
        int triple = k / 32;
        int field = k % 32 / 4;
        int byteInLane = row * 4 + k % 4;
        int words = 3 * triple * 64 + byteInLane;
        switch (field) {
          case 6 -> { // 101: s2 in b's bit 6, s1 s0 in c's bits 7, 6
            expected[words + 64] = 0b0100_0000;
            expected[words + 128] = 0b0100_0000;
          }
          case 7 -> { // 101: s5 s4 in a's bits 7, 6, s3 in b's bit 7
            expected[words] = (byte) 0b1000_0000;
            expected[words + 64] = (byte) 0b1000_0000;
          }
          default -> expected[words + field / 2 * 64] = (byte) (5 << 3 * (field % 2));
        }
        MemorySegment block = pack(codes, new short[16], new byte[16]);
        assertArrayEquals(expected, block.toArray(ValueLayout.JAVA_BYTE), row + ", column " + k);
      }
    }
  }

  @Test
  void pack_scalesAndZeros_haveTheirPlaces() {
    short[] scales = new short[16];
    byte[] zeros = new byte[16];
    byte[] expected = new byte[W3Block.BLOCK_BYTES];
    for (int r = 0; r < 16; r++) {
      scales[r] = (short) (0x3c00 + r);
      zeros[r] = (byte) (r % 8);
      expected[768 + 2 * r] = (byte) r;
      expected[769 + 2 * r] = 0x3c;
      expected[800 + r] = (byte) (r % 8);
    }
    byte[] dirty = new byte[W3Block.BLOCK_BYTES];
    Arrays.fill(dirty, (byte) 99);
    W3Block.pack(new byte[CODES], scales, zeros, MemorySegment.ofArray(dirty), 0);
    assertArrayEquals(expected, dirty);
  }

  @Test
  void packStreams_equalsPack() {
    Random random = new Random(4);
    byte[] codes = new byte[CODES];
    int[] streams = new int[W3Block.WORDS * W3Block.ROWS];
    for (int i = 0; i < CODES; i++) {
      codes[i] = (byte) random.nextInt(8);
      for (int bit = 0; bit < 3; bit++) {
        int at = 3 * (i % W3Block.GROUP) + bit;
        streams[at / 32 * 16 + i / W3Block.GROUP] |= (codes[i] >> bit & 1) << at % 32;
      }
    }
    short[] scales = new short[16];
    byte[] zeros = new byte[16];
    MemorySegment expected = pack(codes, scales, zeros);
    MemorySegment block = MemorySegment.ofArray(new byte[W3Block.BLOCK_BYTES]);
    W3Block.packStreams(streams, scales, zeros, block, 0);
    assertEquals(-1, expected.mismatch(block));
  }

  private static MemorySegment pack(byte[] codes, short[] scales, byte[] zeros) {
    MemorySegment block = MemorySegment.ofArray(new byte[W3Block.BLOCK_BYTES]);
    W3Block.pack(codes, scales, zeros, block, 0);
    return block;
  }

  @Test
  void matrixBytes_padsToWholeBlocks() {
    assertEquals(W3Block.BLOCK_BYTES, W3Block.matrixBytes(1, 1));
    assertEquals(W3Block.BLOCK_BYTES, W3Block.matrixBytes(16, 128));
    assertEquals(4L * W3Block.BLOCK_BYTES, W3Block.matrixBytes(17, 129));
    assertEquals(832, W3Block.BLOCK_BYTES);
  }

  private static MemorySegment assertRoundTrip(byte[] codes, short[] scales, byte[] zeros) {
    MemorySegment block = MemorySegment.ofArray(new byte[W3Block.BLOCK_BYTES + 4]);
    W3Block.pack(codes, scales, zeros, block, 4);
    byte[] codesBack = new byte[CODES];
    byte[] zerosBack = new byte[W3Block.ROWS];
    short[] scalesBack = new short[W3Block.ROWS];
    W3Block.unpack(block, 4, codesBack, scalesBack, zerosBack);
    assertArrayEquals(codes, codesBack);
    assertArrayEquals(zeros, zerosBack);
    assertArrayEquals(scales, scalesBack);
    return block.asSlice(4);
  }
}
