package io.tercel.server.model;

import io.tercel.kernels.vector.MemoryRead;
import java.lang.foreign.Arena;

/** This machine's read bandwidth, measured: the limit of every decode. */
final class ReadBandwidth {
  private static final long BYTES = 1L << 30;
  private static final int RUNS = 6;

  private ReadBandwidth() {}

  /** Bytes a second that so many threads read from memory, the best of a few runs. */
  static double measure(int threads) {
    try (Arena arena = Arena.ofShared();
        MemoryRead read = new MemoryRead(arena, BYTES, threads)) {
      double best = 0;
      for (int run = 0; run < RUNS; run++) {
        long start = System.nanoTime();
        read.pass();
        best = Math.max(best, BYTES * 1e9 / (System.nanoTime() - start));
      }
      return best;
    }
  }
}
