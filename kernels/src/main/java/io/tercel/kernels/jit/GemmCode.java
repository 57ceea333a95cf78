package io.tercel.kernels.jit;

import static io.tercel.kernels.jit.Evex.at;

/**
 * Many tokens by four tiles, which lie far apart in memory: their codes are taken apart once for
 * each group, into bytes that stay in the first-level cache, then every three tokens pass over them
 * with 24 accumulators. Lane = output row. It reads
 *
 * <pre>
 * for each group
 *   for each tile:                   unpack 128 columns; widen scales and zeros
 *   for each batch of 3 tokens, then for the rest
 *     for each tile, token, dot:     sum = 0
 *     for each field                 (four columns)
 *       for each token, dot:         broadcast its four bytes; for each tile: sum += field . bytes
 *     for each tile, token:          y = fma(scale * s, (float) (sum - zero * q), y)
 * </pre>
 *
 * Results are [token][tile][16] floats, added to what is there.
 *
 * <p>Instructions for a field, tokens n, dots d: 4 loads, n d (1 + 4); for unpacking a block of W3:
 * 12 loads, 32 ands and 16 shifts, 12 shifts and 8 selections, 32 stores, and 4 for scales and
 * zeros.
 */
final class GemmCode {
  /** Tiles taken together. */
  static final int TILES = 4;

  /** Tokens of a whole batch. */
  static final int BATCH = 3;

  /** Bytes of one group unpacked: [field][tile][16 rows x 4 columns], then scales, then zeros. */
  static int unpackedBytes() {
    return ZEROS + TILES * Codes.VECTOR;
  }

  private static final int SCALES = Codes.FIELDS * TILES * Codes.VECTOR;
  private static final int ZEROS = SCALES + TILES * Codes.VECTOR;

  /** Fields that the inner loop writes out; the whole of it would not fit the code cache well. */
  private static final int UNROLLED = 4;

  // registers while unpacking
  private static final int A = 0;
  private static final int B = 1;
  private static final int C = 2;
  private static final int FIELD = 3;
  private static final int LOW = 4;
  private static final int SPARE_A = 5;
  private static final int SPARE_AB = 6;

  // registers while multiplying: up to 24 sums, four fields, four for inputs
  private static final int WEIGHT = 24;
  private static final int INPUT = 28;
  private static final int INPUT_REGISTERS = 4;

  private static final Gpr CALL = Gpr.RDI;
  private static final Gpr WEIGHTS = Gpr.RSI;
  private static final Gpr TILE = Gpr.R8;
  private static final Gpr GROUPS = Gpr.RCX;
  private static final Gpr BATCHES = Gpr.RDX;
  private static final Gpr INPUTS = Gpr.R9;
  private static final Gpr FACTORS = Gpr.R10;
  private static final Gpr OUTPUTS = Gpr.R11;
  private static final Gpr UNPACKED = Gpr.RAX;
  private static final Gpr FIELDS = Gpr.R8;
  private static final Gpr GROUP_INPUTS = Gpr.RBX;
  private static final Gpr GROUP_FACTORS = Gpr.RBP;

  private final Evex code = new Evex();
  private final Codes codes;
  private final int rest;

  private GemmCode(Codes codes, int rest) {
    this.codes = codes;
    this.rest = rest;
  }

  /**
   * Code of {@code void f(LinearCall)}.
   *
   * @param rest tokens after the whole batches, 0 to 2
   */
  static Evex assemble(Codes codes, int rest) {
    GemmCode gemm = new GemmCode(codes, rest);
    gemm.function();
    return gemm.code;
  }

  private void function() {
    code.push(GROUP_INPUTS);
    code.push(GROUP_FACTORS);
    code.mov(WEIGHTS, at(CALL, LinearCall.WEIGHTS));
    code.mov(GROUP_INPUTS, at(CALL, LinearCall.INPUTS));
    code.mov(GROUP_FACTORS, at(CALL, LinearCall.FACTORS));
    code.mov(GROUPS, at(CALL, LinearCall.GROUPS));
    int group = code.here();
    group();
    code.add(WEIGHTS, codes.blockBytes());
    code.add(GROUP_INPUTS, at(CALL, LinearCall.INPUT_STRIDE));
    code.add(GROUP_FACTORS, at(CALL, LinearCall.FACTOR_STRIDE));
    code.sub(GROUPS, 1);
    code.jnz(group);
    code.pop(GROUP_FACTORS);
    code.pop(GROUP_INPUTS);
    code.vzeroupper();
    code.ret();
  }

  private void group() {
    FieldCode.masks(code, codes, LOW, SPARE_A, SPARE_AB);
    code.mov(UNPACKED, at(CALL, LinearCall.UNPACKED));
    code.mov(TILE, WEIGHTS);
    for (int tile = 0; tile < TILES; tile++) {
      unpack(tile);
      code.add(TILE, at(CALL, LinearCall.STREAM_STRIDE));
    }
    code.mov(INPUTS, GROUP_INPUTS);
    code.mov(FACTORS, GROUP_FACTORS);
    code.mov(OUTPUTS, at(CALL, LinearCall.OUTPUTS));
    code.mov(BATCHES, at(CALL, LinearCall.BATCHES));
    code.test(BATCHES);
    int none = code.jz();
    int batch = code.here();
    batch(BATCH);
    code.add(INPUTS, BATCH * codes.inputBytes());
    code.add(FACTORS, BATCH * 2 * Integer.BYTES);
    code.add(OUTPUTS, BATCH * TILES * Codes.VECTOR);
    code.sub(BATCHES, 1);
    code.jnz(batch);
    code.land(none);
    if (rest > 0) {
      batch(rest);
    }
  }

  /** A block's codes as bytes, its scales as floats and its zeros as ints. */
  private void unpack(int tile) {
    int vectors = codes.setVectors();
    int field = 0;
    for (int set = 0; set < codes.sets(); set++) {
      for (int v = 0; v < vectors; v++) {
        code.vmovdqu32(A + v, at(TILE, (set * vectors + v) * Codes.VECTOR));
      }
      for (int v = 0; v < vectors; v++) {
        field = unpackPair(A + v, field, tile);
      }
      if (codes.spare()) {
        FieldCode.gatherSpare(code, A, B, C, SPARE_A, SPARE_AB);
        field = unpackPair(A, field, tile);
      }
    }
    code.vcvtph2ps(A, at(TILE, codes.scalesOffset()));
    code.vmovdqu32(at(UNPACKED, SCALES + tile * Codes.VECTOR), A);
    code.vpmovzxbd(B, at(TILE, codes.zerosOffset()));
    code.vmovdqu32(at(UNPACKED, ZEROS + tile * Codes.VECTOR), B);
  }

  private int unpackPair(int vector, int field, int tile) {
    code.vpandd(FIELD, vector, LOW);
    code.vmovdqu32(unpacked(field, tile), FIELD);
    code.vpsrld(FIELD, vector, codes.shift());
    code.vpandd(FIELD, FIELD, LOW);
    code.vmovdqu32(unpacked(field + 1, tile), FIELD);
    return field + 2;
  }

  private Mem unpacked(int field, int tile) {
    return at(UNPACKED, (field * TILES + tile) * Codes.VECTOR);
  }

  /** A few tokens by the unpacked group. */
  private void batch(int tokens) {
    for (int sum = 0; sum < TILES * tokens * codes.dots(); sum++) {
      code.vpxord(sum, sum, sum);
    }
    code.mov(FIELDS, Codes.FIELDS / UNROLLED);
    int loop = code.here();
    for (int field = 0; field < UNROLLED; field++) {
      for (int tile = 0; tile < TILES; tile++) {
        code.vmovdqu32(WEIGHT + tile, unpacked(field, tile));
      }
      for (int token = 0; token < tokens; token++) {
        for (int dot = 0; dot < codes.dots(); dot++) {
          dots(field, token, dot);
        }
      }
    }
    code.add(UNPACKED, UNROLLED * TILES * Codes.VECTOR);
    code.add(INPUTS, UNROLLED * Integer.BYTES);
    code.sub(FIELDS, 1);
    code.jnz(loop);
    code.sub(UNPACKED, SCALES);
    code.sub(INPUTS, Codes.GROUP);
    for (int token = 0; token < tokens; token++) {
      finish(token);
    }
  }

  private void dots(int field, int token, int dot) {
    int input = INPUT + (token * codes.dots() + dot) % INPUT_REGISTERS;
    int from = token * codes.inputBytes() + dot * Codes.GROUP + field * Integer.BYTES;
    code.vpbroadcastd(input, at(INPUTS, from));
    for (int tile = 0; tile < TILES; tile++) {
      code.vpdpbusd(sum(token, dot, tile), WEIGHT + tile, input);
    }
  }

  /** y = fma(scale s, (float) (sum - zero q), y) for the four tiles. */
  private void finish(int token) {
    int factors = token * 2 * Integer.BYTES;
    int q = WEIGHT;
    int s = WEIGHT + 1;
    int zero = WEIGHT + 2;
    int scale = WEIGHT + 3;
    code.vpbroadcastd(s, at(FACTORS, factors));
    code.vpbroadcastd(q, at(FACTORS, factors + Integer.BYTES));
    for (int tile = 0; tile < TILES; tile++) {
      int sum = sum(token, 0, tile);
      for (int dot = 1; dot < codes.dots(); dot++) {
        code.vpslld(sum(token, dot, tile), sum(token, dot, tile), 8 * dot);
        code.vpaddd(sum, sum, sum(token, dot, tile));
      }
      int y = INPUT + tile;
      Mem output = at(OUTPUTS, (token * TILES + tile) * Codes.VECTOR);
      code.vpmulld(zero, q, at(UNPACKED, ZEROS + tile * Codes.VECTOR));
      code.vpsubd(sum, sum, zero);
      code.vcvtdq2ps(sum, sum);
      code.vmulps(scale, s, at(UNPACKED, SCALES + tile * Codes.VECTOR));
      code.vmovdqu32(y, output);
      code.vfmadd231ps(y, sum, scale);
      code.vmovdqu32(output, y);
    }
  }

  private int sum(int token, int dot, int tile) {
    return (token * codes.dots() + dot) * TILES + tile;
  }
}
