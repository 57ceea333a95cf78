package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.format.QuantFormat.Dense;

/**
 * A few tokens by the rows of a 16-bit matrix, several streams of rows that lie far apart in
 * memory. Lane = column pair, as {@link io.tercel.kernels.ops.Ops} defines such layers, so the bits
 * are those of every other backend. It reads
 *
 * <pre>
 * for each step                      (a row of each stream)
 *   for each stream, token:          lanes = 0
 *   for each block of 32 columns
 *     for each stream:               ask for a line ahead, where it is to
 *     for the even columns, then the odd ones
 *       for each stream:             widen the weights
 *       for each token, stream:      lanes = fma(weights, inputs, lanes)
 *   for each stream, token:          y = tree of the 16 lanes
 * </pre>
 *
 * Inputs are floats, each block's even columns before its odd ones. Results are
 * [stream][token][step] floats, each token's from the begin of a slot.
 *
 * <p>Instructions for a block, streams m, tokens n: 2 (m w + n + m n), w = 1 to widen bf16, 2 or 3
 * for the even or odd halves of fp16; 9 for each sum.
 */
final class DenseCode {
  private static final int BLOCK_BYTES = 64;

  /** How far before its streams a kernel asks for lines: about the rows of a call. */
  static final int AHEAD_BYTES = 16 * 1024;

  /** Columns of a block. */
  static final int COLUMNS = 32;

  private static final int PARITY_BYTES = COLUMNS / 2 * Float.BYTES;

  private static final int MASK = 0; // of the upper halves
  private static final int INPUT = 1;
  private static final int SCRATCH = 1;
  private static final int WEIGHT = 2;
  private static final int REGISTERS = 32;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr[] WEIGHTS = {Gpr.RSI, Gpr.R8, Gpr.R9, Gpr.R10};
  private static final Gpr STEPS = Gpr.RDX;
  private static final Gpr BLOCKS = Gpr.RCX;
  private static final Gpr OUTPUTS = Gpr.R11;
  private static final Gpr[] INPUTS = {
    Gpr.RAX, Gpr.RBX, Gpr.RBP, Gpr.R12, Gpr.R13, Gpr.R14, Gpr.R15
  };

  private final Evex code = new Evex();
  private final Dense format;
  private final int streams;
  private final int tokens;
  private final boolean ahead;
  private final int firstSum;

  private DenseCode(Dense format, int streams, int tokens, boolean ahead) {
    this.format = format;
    this.streams = streams;
    this.tokens = tokens;
    this.ahead = ahead;
    this.firstSum = WEIGHT + streams;
    if (format == Dense.FP32 || firstSum + streams * tokens > REGISTERS || tokens > INPUTS.length) {
      throw new IllegalArgumentException(
          "no code for %d streams of %s by %d tokens".formatted(streams, format, tokens));
    }
  }

  /**
   * Code of {@code void f(LinearCall)}.
   *
   * @param format a 16-bit one
   * @param streams 1 to 4
   * @param tokens 1 to 6 of four streams
   * @param ahead whether it asks for the rows {@link #AHEAD_BYTES} behind its own: a call whose own
   *     rows are in the cache leaves the memory idle otherwise
   */
  static Evex assemble(Dense format, int streams, int tokens, boolean ahead) {
    DenseCode dense = new DenseCode(format, streams, tokens, ahead);
    dense.function();
    return dense.code;
  }

  private void function() {
    for (int t = 1; t < tokens; t++) {
      code.push(INPUTS[t]);
    }
    if (format == Dense.BF16) {
      code.mov(Gpr.RAX, 0xFFFF_0000);
      code.vpbroadcastd(MASK, Gpr.RAX);
    }
    code.mov(WEIGHTS[0], at(CALL, LinearCall.WEIGHTS));
    for (int s = 1; s < streams; s++) {
      code.mov(WEIGHTS[s], WEIGHTS[s - 1]);
      code.add(WEIGHTS[s], at(CALL, LinearCall.STREAM_STRIDE));
    }
    code.mov(OUTPUTS, at(CALL, LinearCall.OUTPUTS));
    code.mov(STEPS, at(CALL, LinearCall.STEPS));
    int step = code.here();
    step();
    code.sub(STEPS, 1);
    code.jnz(step);
    for (int t = tokens - 1; t > 0; t--) {
      code.pop(INPUTS[t]);
    }
    code.vzeroupper();
    code.ret();
  }

  private void step() {
    for (int sum = 0; sum < streams * tokens; sum++) {
      code.vpxord(firstSum + sum, firstSum + sum, firstSum + sum);
    }
    code.mov(INPUTS[0], at(CALL, LinearCall.INPUTS));
    for (int t = 1; t < tokens; t++) {
      code.mov(INPUTS[t], INPUTS[t - 1]);
      code.add(INPUTS[t], at(CALL, LinearCall.INPUT_STRIDE));
    }
    code.mov(BLOCKS, at(CALL, LinearCall.GROUPS));
    int block = code.here();
    for (int s = 0; s < streams && ahead; s++) {
      code.prefetcht1(at(WEIGHTS[s], AHEAD_BYTES));
    }
    for (int parity = 0; parity < 2; parity++) {
      columns(parity);
    }
    for (int s = 0; s < streams; s++) {
      code.add(WEIGHTS[s], BLOCK_BYTES);
    }
    for (int t = 0; t < tokens; t++) {
      code.add(INPUTS[t], 2 * PARITY_BYTES);
    }
    code.sub(BLOCKS, 1);
    code.jnz(block);
    for (int s = 0; s < streams; s++) {
      for (int t = 0; t < tokens; t++) {
        tree(sum(s, t));
        code.vmovss(at(OUTPUTS, (s * tokens + t) * LinearCall.SLOT_BYTES), sum(s, t));
      }
    }
    code.add(OUTPUTS, Float.BYTES);
  }

  /** The even columns (parity 0) or the odd ones of a block. */
  private void columns(int parity) {
    for (int s = 0; s < streams; s++) {
      widen(WEIGHT + s, at(WEIGHTS[s], 0), parity);
    }
    for (int t = 0; t < tokens; t++) {
      code.vmovdqu32(INPUT, at(INPUTS[t], parity * PARITY_BYTES));
      for (int s = 0; s < streams; s++) {
        code.vfmadd231ps(sum(s, t), WEIGHT + s, INPUT);
      }
    }
  }

  /** A bf16 is the upper half of a float; an odd column is the upper half of an int. */
  private void widen(int to, Mem from, int parity) {
    if (format == Dense.BF16) {
      if (parity == 0) {
        code.vpslld(to, from, 16);
      } else {
        code.vpandd(to, MASK, from);
      }
      return;
    }
    if (parity == 0) {
      code.vmovdqu32(to, from);
      code.vpmovdw(to, to);
    } else {
      code.vpsrld(to, from, 16);
      code.vpmovdw(to, to);
    }
    code.vcvtph2ps(to, to);
  }

  /** All lanes = LaneSum.tree: each with those 4, 8 and 12 lanes on, then in pairs. */
  private void tree(int sum) {
    code.vshuff32x4(SCRATCH, sum, sum, 0b10_11_00_01);
    code.vaddps(sum, sum, SCRATCH);
    code.vshuff32x4(SCRATCH, sum, sum, 0b01_00_11_10);
    code.vaddps(sum, sum, SCRATCH);
    code.vpermilps(SCRATCH, sum, 0b10_11_00_01);
    code.vaddps(sum, sum, SCRATCH);
    code.vpermilps(SCRATCH, sum, 0b01_00_11_10);
    code.vaddps(sum, sum, SCRATCH);
  }

  private int sum(int stream, int token) {
    return firstSum + stream * tokens + token;
  }
}
