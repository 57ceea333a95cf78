package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.vector.WorkerPool;
import java.lang.foreign.Arena;

/**
 * What the processor can do in bytes: {@code vpdpbusd} with one operand broadcast from memory, as
 * the kernels have it, into 24 independent sums.
 */
public final class DotPeak {
  private static final int SUMS = 24;
  private static final int ROUNDS = 50_000;

  /** Long enough that the JVM's own compilers leave the processors to it for a few of them. */
  private static final int RUNS = 120;

  /** Claims a thread in a run, so that one that comes late still takes its share. */
  private static final int CLAIMS = 4;

  /** Multiplications and additions of one instruction. */
  private static final int OPERATIONS = 2 * Codes.VECTOR;

  private DotPeak() {}

  /**
   * Byte operations a second of so many threads together, the best of a few runs.
   *
   * @throws BackendUnavailableException where {@link JitOps} can't be had
   */
  public static double measure(int threads) {
    JitOps.requireProcessor();
    Evex code = code();
    try (ExecutableMemory memory = ExecutableMemory.map(code.bytes().length);
        Arena arena = Arena.ofShared();
        WorkerPool pool = new WorkerPool(threads)) {
      memory.write(0, code.bytes());
      memory.seal();
      Kernel kernel = new Kernel(memory, 0, 1, 1);
      LinearCall[] calls = new LinearCall[threads];
      for (int i = 0; i < threads; i++) {
        calls[i] = new LinearCall(arena);
        calls[i].set(LinearCall.STEPS, ROUNDS);
      }
      double best = 0;
      for (int run = 0; run < RUNS; run++) {
        long start = System.nanoTime();
        pool.run(
            threads * CLAIMS,
            1,
            (from, to, worker) -> {
              for (int i = from; i < to; i++) {
                kernel.run(calls[worker]);
              }
            });
        double operations = (double) OPERATIONS * SUMS * ROUNDS * threads * CLAIMS;
        best = Math.max(best, operations * 1e9 / (System.nanoTime() - start));
      }
      return best;
    }
  }

  private static Evex code() {
    Evex code = new Evex();
    for (int sum = 0; sum <= SUMS; sum++) {
      code.vpxord(sum, sum, sum);
    }
    code.mov(Gpr.RAX, at(Gpr.RDI, LinearCall.OUTPUTS)); // a slot: any bytes will do
    code.mov(Gpr.RDX, at(Gpr.RDI, LinearCall.STEPS));
    int round = code.here();
    for (int sum = 0; sum < SUMS; sum++) {
      code.vpdpbusdBroadcast(sum, SUMS, at(Gpr.RAX, 4 * sum));
    }
    code.sub(Gpr.RDX, 1);
    code.jnz(round);
    code.vzeroupper();
    code.ret();
    return code;
  }
}
