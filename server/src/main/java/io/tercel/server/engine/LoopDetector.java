package io.tercel.server.engine;

import java.util.Arrays;

/**
 * Notices when a text repeats itself: quantized reasoning models get caught in loops that would
 * fill the whole context.
 *
 * <p>For each period p up to {@value #MAX_PERIOD} it counts how many tokens in a row equal the one
 * p before, one comparison a period and token (some 100 ns, nothing beside a step). The text loops
 * when that run covers {@code periods - 1} whole periods and at least {@code minRepeated} tokens.
 * Exact repetition only: a loop that counts up or rephrases goes unseen, and the thinking budget is
 * what ends it.
 */
final class LoopDetector {
  static final int MAX_PERIOD = 256;

  private final int[] last = new int[MAX_PERIOD];
  private final int[] runs = new int[MAX_PERIOD + 1];
  private int seen;

  /** Forgets the text so far. */
  void reset() {
    seen = 0;
    Arrays.fill(runs, 0);
  }

  /** Takes the next token; whether the text now loops. */
  boolean accept(int token, int periods, int minRepeated) {
    boolean loops = false;
    for (int period = 1; period <= Math.min(seen, MAX_PERIOD); period++) {
      boolean same = last[(seen - period) % MAX_PERIOD] == token;
      runs[period] = same ? runs[period] + 1 : 0;
      loops |= runs[period] >= Math.max((periods - 1) * period, minRepeated);
    }
    last[seen % MAX_PERIOD] = token;
    seen++;
    return loops;
  }
}
