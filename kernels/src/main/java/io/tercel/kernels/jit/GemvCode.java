package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

import io.tercel.kernels.format.W4Tile;
import io.tercel.kernels.ops.PreparedInput;

/**
 * A few tokens by the tiles of several streams, which lie far apart in memory so that the
 * hardware's prefetchers keep up with each. Lane = output row. It reads
 *
 * <pre>
 * for each step                      (a tile of each stream)
 *   for each stream, token:          y = 0
 *   for each group
 *     for each stream, token:        sums = 0
 *     for each set, stream:          take the vectors apart; for each field, token, dot: sums += field . inputs
 *     for each stream, token:        y = fma(scale * s, (float) (sum - zero * q), y)
 * </pre>
 *
 * with s the token's scale in the group and q the sum of its codes. Where scales are those of whole
 * rows, sums are zeroed before the first group and finished after the last, see {@link
 * #finishRows}. Results are [stream][token][step][16] floats, each token's from the begin of a
 * slot.
 *
 * <p>High fields are multiplied where they are, into sums of their own ({@code inPlace}), or are
 * shifted down first: half the registers for one instruction more a field, which pays where several
 * tokens share it.
 *
 * <p>Instructions for a block, dots d, tokens n: W3 has 12 loads, 32 ands (and 16 shifts, if not in
 * place), 12 shifts and 8 selections for the spare bits, 32 d n dots; then 2 + (7 + 2 (d - 1)) n,
 * in place (9 + 4 (d - 1)) n. Codes of 8 bits are multiplied as they lie: 32 loads, 32 d n dots. W4
 * has 16 loads, 32 ands (and 16 shifts, if not in place) and 32 n dots a block.
 */
final class GemvCode {
  // registers: three vectors that are taken apart, then scale, zero and scratch
  private static final int A = 0;
  private static final int B = 1;
  private static final int C = 2;
  private static final int FIELD = 3;
  private static final int LOW = 4;
  private static final int SPARE_A = 5;
  private static final int SPARE_AB = 6;
  private static final int HIGH = 7;
  private static final int REGISTERS = 32;

  /**
   * From so many tokens on, blocks are asked for ahead: out-of-order execution doesn't reach on.
   */
  private static final int PREFETCHING = 3;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr[] WEIGHTS = {Gpr.RSI, Gpr.R8, Gpr.R9, Gpr.R10};
  private static final Gpr STEPS = Gpr.RDX;
  private static final Gpr GROUPS = Gpr.RCX;
  private static final Gpr INPUTS = Gpr.RAX;
  private static final Gpr FACTORS = Gpr.R11;
  private static final Gpr OUTPUTS = Gpr.RBX;

  private final Evex code = new Evex();
  private final Codes codes;
  private final int streams;
  private final int tokens;
  private final boolean inPlace;
  private final int firstSum;

  private GemvCode(Codes codes, int streams, int tokens, boolean inPlace) {
    this.codes = codes;
    this.streams = streams;
    this.tokens = tokens;
    this.inPlace = inPlace;
    this.firstSum = inPlace ? HIGH + 1 : HIGH;
    if (inPlace && codes.whole()) {
      throw new IllegalArgumentException("there is no high field to be multiplied in place");
    }
    if (firstSum + streams * tokens * sumsOfOutput() > REGISTERS) {
      throw new IllegalArgumentException(
          "%d streams by %d tokens need too many registers".formatted(streams, tokens));
    }
  }

  /**
   * Code of {@code void f(LinearCall)}.
   *
   * @param streams 1 to 4
   * @param tokens as many as there are registers for
   */
  static Evex assemble(Codes codes, int streams, int tokens, boolean inPlace) {
    GemvCode gemv = new GemvCode(codes, streams, tokens, inPlace);
    gemv.function();
    return gemv.code;
  }

  private void function() {
    code.push(OUTPUTS);
    if (!codes.whole()) {
      FieldCode.masks(code, codes, LOW, SPARE_A, SPARE_AB);
    }
    if (inPlace) {
      FieldCode.broadcast(code, HIGH, codes.high());
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
    code.pop(OUTPUTS);
    code.vzeroupper();
    code.ret();
  }

  private void step() {
    if (codes.perRow()) {
      zeroSums();
    } else {
      code.vpxord(A, A, A);
      for (int output = 0; output < streams * tokens; output++) {
        code.vmovdqu32(y(output), A);
      }
    }
    code.mov(INPUTS, at(CALL, LinearCall.INPUTS));
    code.mov(FACTORS, at(CALL, LinearCall.FACTORS));
    code.mov(GROUPS, at(CALL, LinearCall.GROUPS));
    int group = code.here();
    group();
    code.add(INPUTS, at(CALL, LinearCall.INPUT_STRIDE));
    code.add(FACTORS, at(CALL, LinearCall.FACTOR_STRIDE));
    code.sub(GROUPS, 1);
    code.jnz(group);
    for (int stream = 0; stream < streams && codes.perRow(); stream++) {
      finishRows(stream);
    }
    code.add(OUTPUTS, Codes.VECTOR);
  }

  private void zeroSums() {
    for (int sum = firstSum; sum < firstSum + streams * tokens * sumsOfOutput(); sum++) {
      code.vpxord(sum, sum, sum);
    }
  }

  private void group() {
    if (!codes.perRow()) {
      zeroSums();
    }
    for (int set = 0; set < codes.sets(); set++) {
      for (int stream = 0; stream < streams; stream++) {
        set(set, stream);
      }
    }
    for (int stream = 0; stream < streams; stream++) {
      if (!codes.perRow()) {
        code.vcvtph2ps(A, at(WEIGHTS[stream], codes.scalesOffset()));
        code.vpmovzxbd(B, at(WEIGHTS[stream], codes.zerosOffset()));
        for (int token = 0; token < tokens; token++) {
          finish(stream, token);
        }
      }
      code.add(WEIGHTS[stream], codes.blockBytes());
    }
  }

  /** Some vectors of a stream: loaded, taken apart and multiplied. */
  private void set(int set, int stream) {
    int vectors = codes.setVectors();
    int field = set * codes.setFields();
    for (int v = 0; v < vectors && tokens >= PREFETCHING; v++) {
      int next = codes.blockBytes() + (set * vectors + v) * Codes.VECTOR;
      code.prefetcht0(at(WEIGHTS[stream], next));
    }
    for (int v = 0; v < vectors; v++) {
      code.vmovdqu32(A + v, at(WEIGHTS[stream], (set * vectors + v) * Codes.VECTOR));
    }
    if (codes.whole()) {
      dots(field, A, stream, 0);
      return;
    }
    for (int v = 0; v < vectors; v++) {
      field = pair(A + v, field, stream);
    }
    if (codes.spare()) {
      FieldCode.gatherSpare(code, A, B, C, SPARE_A, SPARE_AB);
      pair(A, field, stream);
    }
  }

  /** The low and the high field of a vector's bytes; returns the next field's number. */
  private int pair(int vector, int field, int stream) {
    code.vpandd(FIELD, vector, LOW);
    dots(field, FIELD, stream, 0);
    if (inPlace) {
      code.vpandd(FIELD, vector, HIGH);
      dots(field + 1, FIELD, stream, 1);
    } else {
      code.vpsrld(FIELD, vector, codes.shift());
      code.vpandd(FIELD, FIELD, LOW);
      dots(field + 1, FIELD, stream, 0);
    }
    return field + 2;
  }

  /** sums += bytes . inputs of a field, for every token and each of its dots. */
  private void dots(int field, int bytes, int stream, int place) {
    for (int token = 0; token < tokens; token++) {
      for (int dot = 0; dot < codes.dots(); dot++) {
        int input = token * codes.inputBytes() + dot * Codes.GROUP + field * Integer.BYTES;
        code.vpdpbusdBroadcast(sum(stream, token, dot, place), bytes, at(INPUTS, input));
      }
    }
  }

  /** y = fma(scale s, (float) (sum - zero q), y): scale in A, zero in B. */
  private void finish(int stream, int token) {
    int sum = gathered(stream, token);
    Mem y = y(stream * tokens + token);
    int factors = token * 2 * Integer.BYTES;
    code.vpmulldBroadcast(C, B, at(FACTORS, factors + Integer.BYTES));
    code.vpsubd(sum, sum, C);
    code.vcvtdq2ps(sum, sum);
    code.vmulpsBroadcast(FIELD, A, at(FACTORS, factors));
    code.vmovdqu32(C, y);
    code.vfmadd231ps(C, sum, FIELD);
    code.vmovdqu32(y, C);
  }

  /**
   * y = (scale s) (float) (sum - z r + e) for all tokens of a tile that has been read to the end,
   * with its scales and the sums r of its rows' codes, and a token's scale s, zero point z and
   * completion e ({@code PreparedInput}). Then the stream is at its next tile.
   */
  private void finishRows(int stream) {
    code.vcvtph2ps(A, at(WEIGHTS[stream], 0));
    code.vmovdqu32(B, at(WEIGHTS[stream], W4Tile.SUMS_OFFSET));
    for (int token = 0; token < tokens; token++) {
      int sum = gathered(stream, token);
      int factors = token * PreparedInput.ROW_META_BYTES;
      code.vpmulldBroadcast(C, B, at(FACTORS, factors + 4));
      code.vpsubd(sum, sum, C);
      code.vpbroadcastd(C, at(FACTORS, factors + 12));
      code.vpaddd(sum, sum, C);
      code.vcvtdq2ps(sum, sum);
      code.vmulpsBroadcast(C, A, at(FACTORS, factors));
      code.vmulps(C, C, sum);
      code.vmovdqu32(y(stream * tokens + token), C);
    }
    code.add(WEIGHTS[stream], W4Tile.TRAILER_BYTES);
  }

  /** The sums of an output's bytes and places in one register. */
  private int gathered(int stream, int token) {
    int sum = sum(stream, token, 0, 0);
    for (int dot = 0; dot < codes.dots(); dot++) {
      int weight = 8 * dot; // the place value of an activation's byte
      int part = sum(stream, token, dot, 0);
      if (inPlace) {
        int high = sum(stream, token, dot, 1);
        shiftLeft(high, weight - codes.shift());
        shiftLeft(part, weight);
        code.vpaddd(part, part, high);
      } else {
        shiftLeft(part, weight);
      }
      if (dot > 0) {
        code.vpaddd(sum, sum, part);
      }
    }
    return sum;
  }

  private void shiftLeft(int zmm, int bits) {
    if (bits > 0) {
      code.vpslld(zmm, zmm, bits);
    } else if (bits < 0) {
      code.vpsrad(zmm, zmm, -bits);
    }
  }

  private Mem y(int output) {
    return at(OUTPUTS, LinearCall.SLOT_BYTES * output);
  }

  private int sumsOfOutput() {
    return codes.dots() * (inPlace ? 2 : 1);
  }

  private int sum(int stream, int token, int dot, int place) {
    int output = stream * tokens + token;
    return firstSum + output * sumsOfOutput() + place * codes.dots() + dot;
  }
}
