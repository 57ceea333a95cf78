package io.tercel.kernels.jit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.kernels.format.Int8Block;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.ops.PreparedInput;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The integer kernels against a few lines of scalar code that know nothing of registers. */
class GemvCodeTest {
  /** Fields of four bits by activations of one byte, with scales of groups. */
  private static final Codes W4 = new Codes(0x0f, 0xf0, 4, false, 1, false);

  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  @BeforeEach
  void supported() {
    Processor.assumeSupported();
  }

  @Test
  void layout_isThatOfTheFormat() {
    assertEquals(W3Block.SCALES_OFFSET, Codes.W3.scalesOffset());
    assertEquals(W3Block.ZEROS_OFFSET, Codes.W3.zerosOffset());
    assertEquals(W3Block.BLOCK_BYTES, Codes.W3.blockBytes());
    assertEquals(PreparedInput.CODE_BYTES, Codes.W3.inputBytes());
    assertEquals(Int8Block.SCALES_OFFSET, Codes.INT8.scalesOffset());
    assertEquals(Int8Block.ZEROS_OFFSET, Codes.INT8.zerosOffset());
    assertEquals(Int8Block.BLOCK_BYTES, Codes.INT8.blockBytes());
    assertEquals(W4Tile.BLOCK_BYTES, Codes.W4.blockBytes());
    assertEquals(PreparedInput.ROW_CODE_BYTES, Codes.W4.inputBytes());
  }

  @ParameterizedTest
  @CsvSource({
    "W3,4,1,true", "W3,2,2,true", "W3,2,3,true", "W3,3,4,false", "W3,2,6,false", "W3,1,12,false",
    "W3,1,5,true", "W4,4,3,true", "W4,3,4,true", "W4,4,6,false", "W4,1,1,false", "W4,2,12,false",
    "INT8,4,1,false", "INT8,2,2,false", "INT8,2,6,false", "INT8,1,1,false", "INT8,1,12,false"
  })
  void results_areTheScalarOnes(String name, int streams, int tokens, boolean inPlace) {
    Codes codes = name.equals("W3") ? Codes.W3 : name.equals("W4") ? W4 : Codes.INT8;
    Random random = new Random(streams * 100L + tokens);
    int steps = 3;
    int groups = 2;
    Evex code = GemvCode.assemble(codes, streams, tokens, inPlace);
    try (ExecutableMemory memory = ExecutableMemory.map(code.bytes().length);
        Arena arena = Arena.ofConfined()) {
      memory.write(0, code.bytes());
      memory.seal();
      MemorySegment weights = random(arena, streams * steps * groups * codes.blockBytes(), random);
      MemorySegment inputs = random(arena, groups * tokens * codes.inputBytes(), random);
      MemorySegment factors = arena.allocate(groups * tokens * 8L);
      for (int block = 0; block < streams * steps * groups; block++) {
        for (int r = 0; r < 16; r++) {
          long at = (long) block * codes.blockBytes() + codes.scalesOffset() + 2L * r;
          weights.set(SHORT, at, Float.floatToFloat16((float) random.nextGaussian()));
        }
      }
      for (int i = 0; i < groups * tokens; i++) {
        factors.set(FLOAT, 8L * i, (float) random.nextGaussian());
        factors.set(INT, 8L * i + 4, random.nextInt(200_000) - 100_000);
      }
      LinearCall call = new LinearCall(arena);
      long stream = (long) steps * groups * codes.blockBytes();
      call.point(LinearCall.WEIGHTS, weights, 0, stream * streams);
      call.set(LinearCall.STREAM_STRIDE, stream);
      call.set(LinearCall.STEPS, steps);
      call.set(LinearCall.GROUPS, groups);
      call.point(LinearCall.INPUTS, inputs, 0, inputs.byteSize());
      call.set(LinearCall.INPUT_STRIDE, (long) tokens * codes.inputBytes());
      call.point(LinearCall.FACTORS, factors, 0, factors.byteSize());
      call.set(LinearCall.FACTOR_STRIDE, tokens * 8L);
      new Kernel(memory, 0, streams, tokens).run(call);
      float[] actual = new float[steps * 16];
      for (int s = 0; s < streams; s++) {
        for (int t = 0; t < tokens; t++) {
          call.result(s * tokens + t, actual, 0, actual.length);
          for (int i = 0; i < actual.length; i++) {
            long tile = ((long) s * steps + i / 16) * groups * codes.blockBytes();
            float expected = row(codes, weights, tile, i % 16, inputs, factors, groups, tokens, t);
            assertEquals(expected, actual[i], "stream " + s + ", token " + t + ", row " + i);
          }
        }
      }
    }
  }

  private static float row(
      Codes codes,
      MemorySegment weights,
      long tile,
      int row,
      MemorySegment inputs,
      MemorySegment factors,
      int groups,
      int tokens,
      int token) {
    float y = 0;
    for (int g = 0; g < groups; g++) {
      long block = tile + (long) g * codes.blockBytes();
      int piece = g * tokens + token;
      int sum = 0;
      for (int column = 0; column < 128; column++) {
        long in = (long) piece * codes.inputBytes() + column;
        int q = inputs.get(ValueLayout.JAVA_BYTE, in);
        if (codes.dots() == 2) {
          q += 256 * inputs.get(ValueLayout.JAVA_BYTE, in + 128);
        }
        sum += code(codes, weights, block + 4L * row, column) * q;
      }
      int zero = weights.get(ValueLayout.JAVA_BYTE, block + codes.scalesOffset() + 32 + row) & 0xff;
      float scale =
          Float.float16ToFloat(weights.get(SHORT, block + codes.scalesOffset() + 2L * row));
      sum -= zero * factors.get(INT, 8L * piece + 4);
      y = Math.fma(scale * factors.get(FLOAT, 8L * piece), (float) sum, y);
    }
    return y;
  }

  /** The field of a column, in the row whose first int is at {@code lane}. */
  private static int code(Codes codes, MemorySegment weights, long lane, int column) {
    int field = column / 4;
    int j = column % 4;
    if (codes.whole()) {
      return weights.get(ValueLayout.JAVA_BYTE, lane + field * 64L + j) & 0xff;
    }
    if (!codes.spare()) {
      int b = weights.get(ValueLayout.JAVA_BYTE, lane + field / 2 * 64L + j) & 0xff;
      return field % 2 == 0 ? b & 15 : b >> 4;
    }
    long triple = lane + field / 8 * 3 * 64L + j;
    int a = weights.get(ValueLayout.JAVA_BYTE, triple) & 0xff;
    int b = weights.get(ValueLayout.JAVA_BYTE, triple + 64) & 0xff;
    int c = weights.get(ValueLayout.JAVA_BYTE, triple + 128) & 0xff;
    int six = a >> 6 << 4 | b >> 6 << 2 | c >> 6;
    int[] bytes = {a, b, c, six};
    return bytes[field % 8 / 2] >> 3 * (field % 2) & 7;
  }

  private static MemorySegment random(Arena arena, int bytes, Random random) {
    byte[] content = new byte[bytes];
    random.nextBytes(content);
    MemorySegment segment = arena.allocate(bytes, 64);
    MemorySegment.copy(content, 0, segment, ValueLayout.JAVA_BYTE, 0, bytes);
    return segment;
  }

  /** The counts of GemvCode's description, and what stands around them. */
  @ParameterizedTest
  @CsvSource({
    "4,1,true",
    "2,2,true",
    "2,3,true",
    "2,6,false",
    "1,8,false",
    "1,12,false",
    "4,2,false"
  })
  void instructions_areAsManyAsTheLoopNeeds(int streams, int tokens, boolean inPlace) {
    int dots = 2;
    int outputs = streams * tokens;
    int prefetches = tokens >= 3 ? 12 : 0;
    int block = 12 + prefetches + 32 + (inPlace ? 0 : 16) + 12 + 8 + 32 * dots * tokens;
    int finish = 2 + (inPlace ? 13 : 9) * tokens;
    int group = outputs * dots * (inPlace ? 2 : 1) + streams * (block + finish + 1) + 4;
    int step = 1 + outputs + 3 + group + 1 + 2;
    int masks = inPlace ? 8 : 6;
    int function = 1 + masks + 1 + 2 * (streams - 1) + 2 + step + 3;
    assertEquals(function, GemvCode.assemble(Codes.W3, streams, tokens, inPlace).count());
  }

  @ParameterizedTest
  @CsvSource({"4,1", "2,2", "2,6", "1,12"})
  void instructionsOfWholeBytes_areAsManyAsTheLoopNeeds(int streams, int tokens) {
    int outputs = streams * tokens;
    int block = (tokens >= 3 ? 2 : 1) * 32 + 32 * 2 * tokens;
    int group = outputs * 2 + streams * (block + 2 + 9 * tokens + 1) + 4;
    int step = 1 + outputs + 3 + group + 1 + 2;
    int function = 1 + 1 + 2 * (streams - 1) + 2 + step + 3;
    assertEquals(function, GemvCode.assemble(Codes.INT8, streams, tokens, false).count());
  }

  @ParameterizedTest
  @CsvSource({"4,1,true", "4,3,true", "2,6,false", "2,12,false", "1,12,false"})
  void instructionsOfRows_areAsManyAsTheLoopNeeds(int streams, int tokens, boolean inPlace) {
    int outputs = streams * tokens;
    int block = (tokens >= 3 ? 2 : 1) * 16 + 32 + (inPlace ? 0 : 16) + 32 * tokens;
    int group = streams * (block + 1) + 4;
    int finish = 2 + (inPlace ? 10 : 8) * tokens + 1;
    int step = outputs * (inPlace ? 2 : 1) + 3 + group + streams * finish + 1 + 2;
    int function = 1 + 2 + (inPlace ? 2 : 0) + 1 + 2 * (streams - 1) + 2 + step + 3;
    assertEquals(function, GemvCode.assemble(Codes.W4, streams, tokens, inPlace).count());
  }

  @Test
  void registers_areCounted() {
    assertThrows(IllegalArgumentException.class, () -> GemvCode.assemble(Codes.INT8, 1, 1, true));
    assertThrows(IllegalArgumentException.class, () -> GemvCode.assemble(Codes.W3, 4, 4, false));
    assertThrows(IllegalArgumentException.class, () -> GemvCode.assemble(Codes.W3, 4, 2, true));
  }
}
