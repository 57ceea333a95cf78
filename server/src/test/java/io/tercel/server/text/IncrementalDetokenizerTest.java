package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The definition is the native tokenizer's decode of all ids at once. */
final class IncrementalDetokenizerTest {
  @TempDir Path dir;

  private static String stream(Tokenizer tokenizer, int[] ids, boolean skip) {
    IncrementalDetokenizer detokenizer = tokenizer.detokenizer(skip);
    StringBuilder out = new StringBuilder();
    for (int id : ids) {
      String piece = detokenizer.accept(id);
      if (!piece.isEmpty()) {
        assertFalse(Character.isHighSurrogate(piece.charAt(piece.length() - 1)));
        assertFalse(Character.isLowSurrogate(piece.charAt(0)));
      }
      out.append(piece);
    }
    return out.append(detokenizer.flush()).toString();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void byteLevel_randomIds_equalDecode(long seed) throws IOException {
    Random random = new Random(seed);
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      for (int round = 0; round < 400; round++) {
        int[] ids = new int[random.nextInt(60)];
        for (int i = 0; i < ids.length; i++) {
          // Half of them from the parts of characters, where sequences are often malformed.
          ids[i] =
              random.nextBoolean()
                  ? random.nextInt(TinyTokenizers.BYTE_LEVEL_SIZE + 4)
                  : 0x80 + random.nextInt(0x80 + 8);
        }
        boolean skip = random.nextBoolean();
        assertEquals(
            tokenizer.decode(ids, skip),
            stream(tokenizer, ids, skip),
            "seed " + seed + " round " + round);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void byteLevel_randomText_comesBack(long seed) throws IOException {
    Random random = new Random(seed);
    int[] points = "ab the é漢🦅👨‍👩‍👧𝕋\n<x>".codePoints().toArray();
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      for (int round = 0; round < 200; round++) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(80); i > 0; i--) {
          text.appendCodePoint(points[random.nextInt(points.length)]);
        }
        int[] ids = tokenizer.encode(text.toString(), false);
        assertEquals(text.toString(), stream(tokenizer, ids, true), "seed " + seed);
      }
    }
  }

  @Test
  void byteLevel_holdsBackPartsOfACharacter() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      IncrementalDetokenizer detokenizer = tokenizer.detokenizer(true);
      assertEquals("", detokenizer.accept(0xf0));
      assertEquals("", detokenizer.accept(0x9f));
      assertEquals("", detokenizer.accept(0xa6));
      assertEquals("🦅", detokenizer.accept(0x85));
      assertEquals("", detokenizer.accept(0xf0));
      assertEquals("\ufffda", detokenizer.accept('a'));
      assertEquals("", detokenizer.accept(0xe6));
      assertEquals("\ufffd", detokenizer.flush());
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void wordLevel_randomIds_equalDecode(long seed) throws IOException {
    Random random = new Random(seed);
    try (Tokenizer tokenizer = TinyTokenizers.wordLevel(dir)) {
      int[] ids = random.ints(200, 0, 9).toArray();
      assertEquals(tokenizer.decode(ids, true), stream(tokenizer, ids, true), "seed " + seed);
      assertEquals(tokenizer.decode(ids, false), stream(tokenizer, ids, false), "seed " + seed);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void sentencePiece_randomPieces_equalDecode(long seed) throws IOException {
    Random random = new Random(seed);
    try (Tokenizer tokenizer = TinyTokenizers.sentencePiece(dir)) {
      for (int round = 0; round < 50; round++) {
        int[] eagle = {1 + 0xf0, 1 + 0x9f, 1 + 0xa6, 1 + 0x85};
        int[] ids = new int[40];
        int count = 0;
        while (count < 36) {
          if (random.nextInt(4) == 0) {
            for (int id : eagle) {
              ids[count++] = id;
            }
          } else {
            ids[count++] = 257 + random.nextInt(8);
          }
        }
        int[] used = Arrays.copyOf(ids, count);
        assertEquals(tokenizer.decode(used, true), stream(tokenizer, used, true), "seed " + seed);
      }
    }
  }

  /** Decoding all anew for each token would take minutes; this bound is for that alone. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void manyTokens_takeLinearTime(boolean byteLevel) throws IOException {
    try (Tokenizer tokenizer =
        byteLevel ? TinyTokenizers.byteLevel(dir) : TinyTokenizers.sentencePiece(dir)) {
      int[] ids = new Random(7).ints(32_768, 258, 264).toArray();
      String text = assertTimeout(Duration.ofSeconds(30), () -> stream(tokenizer, ids, false));
      assertEquals(tokenizer.decode(ids, false), text);
      assertTrue(text.length() > 32_768);
    }
  }
}
