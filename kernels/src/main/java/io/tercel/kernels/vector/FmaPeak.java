package io.tercel.kernels.vector;

import java.util.concurrent.atomic.AtomicInteger;
import jdk.incubator.vector.FloatVector;

/** What the processor can do in fp32: ten independent chains of multiply-add, nothing loaded. */
public final class FmaPeak {
  private static final int CHAINS = 10;
  private static final int ROUNDS = 100_000;

  /** Long enough that the JVM's own compilers leave the processors to it for a few of them. */
  private static final int RUNS = 120;

  /** Claims a thread in a run, so that one that comes late still takes its share. */
  private static final int CLAIMS = 4;

  private FmaPeak() {}

  /** Lanes of the vectors that it is measured with, which are those of every kernel. */
  public static int lanes() {
    return Lanes.COUNT;
  }

  /** Floating-point operations a second of so many threads together, the best of a few runs. */
  public static double measure(int threads) {
    AtomicInteger sink = new AtomicInteger();
    double best = 0;
    try (WorkerPool pool = new WorkerPool(threads)) {
      for (int run = 0; run < RUNS; run++) {
        long start = System.nanoTime();
        pool.run(
            threads * CLAIMS,
            1,
            (from, to, worker) -> {
              for (int i = from; i < to; i++) {
                sink.addAndGet(Float.floatToRawIntBits(chains()));
              }
            });
        double flops = 2.0 * CHAINS * ROUNDS * Lanes.COUNT * threads * CLAIMS;
        best = Math.max(best, flops * 1e9 / (System.nanoTime() - start));
      }
    }
    return best;
  }

  private static float chains() {
    FloatVector x = FloatVector.broadcast(Lanes.FLOAT, 0.5f);
    FloatVector a = x;
    FloatVector b = x;
    FloatVector c = x;
    FloatVector d = x;
    FloatVector e = x;
    FloatVector f = x;
    FloatVector g = x;
    FloatVector h = x;
    FloatVector i = x;
    FloatVector j = x;
    for (int n = 0; n < ROUNDS; n++) {
      a = a.fma(x, x);
      b = b.fma(x, x);
      c = c.fma(x, x);
      d = d.fma(x, x);
      e = e.fma(x, x);
      f = f.fma(x, x);
      g = g.fma(x, x);
      h = h.fma(x, x);
      i = i.fma(x, x);
      j = j.fma(x, x);
    }
    return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i).add(j).lane(0);
  }
}
