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

  @Test
  void packRow_eachColumnHasItsOwnThreeBits() {
    for (int k = 0; k < W3Block.GROUP; k++) {
      byte[] codes = new byte[W3Block.GROUP];
      codes[k] = 5;
      int[] words = new int[W3Block.WORDS];
      W3Block.packRow(codes, 0, words);
      int[] expected = new int[W3Block.WORDS];
      if (k < 120) {
        expected[k / 10] = 5 << (2 + 3 * (k % 10));
      } else {
        int six = k % 2 == 0 ? 0b101_000 : 0b101;
        int first = (k - 120) / 2 * 3;
        expected[first] = six >>> 4;
        expected[first + 1] = six >>> 2 & 3;
        expected[first + 2] = six & 3;
      }
      assertArrayEquals(expected, words, "column " + k);
      for (int j = 0; j < W3Block.GROUP; j++) {
        assertEquals(j == k ? 5 : 0, W3Block.code(words, j));
      }
    }
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
