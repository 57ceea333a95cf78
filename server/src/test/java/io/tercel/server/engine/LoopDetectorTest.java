package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LoopDetectorTest {
  /** Index of the token at which the text is found to loop, or -1. */
  private static int loopsAt(int length, int periods, int minRepeated, IntUnaryOperator text) {
    LoopDetector detector = new LoopDetector();
    for (int i = 0; i < length; i++) {
      if (detector.accept(text.applyAsInt(i), periods, minRepeated)) {
        return i;
      }
    }
    return -1;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 63, 64, 65, 128, 255, 256})
  void period_isFoundAfterSomeFreeText(int period) {
    Random random = new Random(period);
    int[] free = random.ints(300, 1000, 100_000).toArray();
    int[] loop = random.ints(period, 0, 500).toArray();
    int at = loopsAt(2000, 3, 128, i -> i < 300 ? free[i] : loop[(i - 300) % period]);
    assertEquals(300 + period + Math.max(2 * period, 128) - 1, at);
  }

  @Test
  void longerPeriods_goUnseen() {
    assertEquals(-1, loopsAt(5000, 3, 128, i -> i % 257));
  }

  @Test
  void textThatCountsOrWanders_isNoLoop() {
    int[] random = new Random(1).ints(5000, 0, 40).toArray();
    assertEquals(-1, loopsAt(5000, 3, 128, i -> random[i]));
    // "Line 1 ... Line 2 ...": one token of each ten counts up
    assertEquals(-1, loopsAt(5000, 3, 128, i -> i % 10 == 3 ? 1000 + i / 10 : i % 10));
  }

  /** Ten rows of a matrix of zeros, twenty tokens each, are an answer and no loop. */
  @Test
  void matrixOfZeros_isNoLoopForAnAnswer() {
    int[] free = new Random(1).ints(200, 100, 100_000).toArray();
    assertEquals(-1, loopsAt(400, 4, 512, i -> i < 200 ? free[i] : i % 20 == 0 ? 1 : 0));
  }

  @Test
  void reset_forgets() {
    LoopDetector detector = new LoopDetector();
    for (int i = 0; i < 100; i++) {
      detector.accept(5, 3, 128);
    }
    detector.reset();
    int more = 0;
    while (!detector.accept(5, 3, 128)) {
      more++;
    }
    assertEquals(128, more);
  }
}
