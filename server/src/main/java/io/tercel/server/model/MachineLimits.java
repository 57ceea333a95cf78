package io.tercel.server.model;

import io.tercel.kernels.jit.DotPeak;
import io.tercel.kernels.ops.BackendUnavailableException;
import io.tercel.kernels.vector.FmaPeak;
import java.util.Locale;

/**
 * What some threads of this machine can do at most, measured: the roofline that results are put
 * under.
 *
 * @param threads that were measured together
 * @param readBandwidth bytes a second from memory
 * @param fp32 floating-point operations a second by multiply-add
 * @param int8 operations a second by dot products of bytes; 0 where there is no kernel that has
 *     them
 */
public record MachineLimits(int threads, double readBandwidth, double fp32, double int8) {

  /** Takes about a second. */
  public static MachineLimits measure(int threads) {
    double int8;
    try {
      int8 = DotPeak.measure(threads);
    } catch (BackendUnavailableException e) {
      int8 = 0;
    }
    return new MachineLimits(
        threads, ReadBandwidth.measure(threads), FmaPeak.measure(threads), int8);
  }

  /** In one line. */
  public String describe() {
    return String.format(
        Locale.ROOT,
        "limits, %d %s: read %.1f GB/s, fp32 %.0f GFlop/s, int8 dot %s",
        threads,
        threads == 1 ? "thread" : "threads",
        readBandwidth / 1e9,
        fp32 / 1e9,
        int8 == 0 ? "none" : String.format(Locale.ROOT, "%.0f Gop/s", int8 / 1e9));
  }
}
