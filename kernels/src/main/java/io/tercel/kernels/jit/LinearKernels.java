package io.tercel.kernels.jit;

import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.BackendUnavailableException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * The functions of a process, assembled into one piece of {@link ExecutableMemory}: for every
 * number of tokens that a call takes, one that reads several streams and one that reads a single
 * stream, for what doesn't divide.
 */
final class LinearKernels implements AutoCloseable {
  /**
   * Tokens of one call of an integer kernel, at most: as many as there are registers for their
   * sums.
   */
  static final int TOKENS = 12;

  /** Tokens of one call of a dense kernel, at most. */
  static final int DENSE_TOKENS = 6;

  private static final int DENSE_STREAMS = 4;
  private static final int ALIGNMENT = 64;

  /** Code that is not yet anywhere. */
  private record Piece(Evex code, int streams, int tokens) {}

  private final ExecutableMemory memory;
  private final Kernel[] w3 = new Kernel[2 * TOKENS];
  private final Kernel[] int8 = new Kernel[2 * TOKENS];
  private final Kernel[] w4 = new Kernel[2 * TOKENS];
  private final Kernel[] bf16 = new Kernel[2 * DENSE_TOKENS];
  private final Kernel[] bf16Ahead = new Kernel[DENSE_TOKENS];
  private final Kernel[] fp16 = new Kernel[2 * DENSE_TOKENS];
  private final Kernel[] fp16Ahead = new Kernel[DENSE_TOKENS];
  private final Kernel[] rounding = new Kernel[1];
  private final Kernel[] softmax = new Kernel[KvType.values().length];
  private final Kernel[] scores = new Kernel[KvType.values().length * ScoreCode.QUERIES];
  private final Kernel[] values = new Kernel[KvType.values().length * ScoreCode.QUERIES];

  /**
   * Assembles them.
   *
   * @throws BackendUnavailableException if the system lets nobody make machine code
   */
  LinearKernels() {
    List<Piece> pieces = new ArrayList<>();
    for (int tokens = 1; tokens <= TOKENS; tokens++) {
      boolean inPlace = inPlace(tokens);
      pieces.add(gemv(Codes.W3, streams(tokens), tokens, inPlace));
      pieces.add(gemv(Codes.W3, 1, tokens, inPlace));
    }
    for (int tokens = 1; tokens <= TOKENS; tokens++) {
      pieces.add(gemv(Codes.INT8, streams(tokens), tokens, false));
      pieces.add(gemv(Codes.INT8, 1, tokens, false));
    }
    for (int tokens = 1; tokens <= TOKENS; tokens++) {
      boolean inPlace = inPlace(tokens);
      pieces.add(gemv(Codes.W4, rowStreams(tokens), tokens, inPlace));
      pieces.add(gemv(Codes.W4, 1, tokens, inPlace));
    }
    for (Dense format : List.of(Dense.BF16, Dense.FP16)) {
      for (int tokens = 1; tokens <= DENSE_TOKENS; tokens++) {
        pieces.add(dense(format, DENSE_STREAMS, tokens, false));
        pieces.add(dense(format, 1, tokens, false));
      }
      for (int tokens = 1; tokens <= DENSE_TOKENS; tokens++) {
        pieces.add(dense(format, DENSE_STREAMS, tokens, true));
      }
    }
    pieces.add(new Piece(RoundingCode.assemble(), 1, 1));
    for (KvType type : KvType.values()) {
      pieces.add(new Piece(SoftmaxCode.assemble(type), 1, 1));
    }
    attention(pieces, ScoreCode::assemble);
    attention(pieces, ValueCode::assemble);
    long size = 0;
    for (Piece piece : pieces) {
      size += aligned(piece.code);
    }
    memory = ExecutableMemory.map(size);
    try {
      place(pieces);
    } catch (BackendUnavailableException e) {
      memory.close();
      throw e;
    }
  }

  /** Streams of the kernel of so many tokens, as measured: docs/decisions.md. */
  static int streams(int tokens) {
    return tokens == 1 ? 4 : tokens <= 6 ? 2 : 1;
  }

  /** The same where scales are those of whole rows: activations of one byte need half the sums. */
  static int rowStreams(int tokens) {
    return tokens <= 3 ? 4 : 2;
  }

  /** Whether high fields are multiplied in place: where the registers suffice for two streams. */
  static boolean inPlace(int tokens) {
    return tokens <= 3;
  }

  private static Piece gemv(Codes codes, int streams, int tokens, boolean inPlace) {
    return new Piece(GemvCode.assemble(codes, streams, tokens, inPlace), streams, tokens);
  }

  private static Piece dense(Dense format, int streams, int tokens, boolean ahead) {
    return new Piece(DenseCode.assemble(format, streams, tokens, ahead), streams, tokens);
  }

  private static void attention(List<Piece> pieces, BiFunction<KvType, Integer, Evex> assembler) {
    for (KvType type : KvType.values()) {
      for (int queries = 1; queries <= ScoreCode.QUERIES; queries++) {
        pieces.add(new Piece(assembler.apply(type, queries), 1, queries));
      }
    }
  }

  private static long aligned(Evex code) {
    return Math.ceilDiv(code.bytes().length, ALIGNMENT) * (long) ALIGNMENT;
  }

  private void place(List<Piece> pieces) {
    long[] offsets = new long[pieces.size()];
    long at = 0;
    for (int i = 0; i < offsets.length; i++) {
      offsets[i] = at;
      memory.write(at, pieces.get(i).code.bytes());
      at += aligned(pieces.get(i).code);
    }
    memory.seal();
    int next = 0;
    for (Kernel[] table :
        List.of(
            w3, int8, w4, bf16, bf16Ahead, fp16, fp16Ahead, rounding, softmax, scores, values)) {
      for (int i = 0; i < table.length; i++, next++) {
        Piece piece = pieces.get(next);
        table[i] = new Kernel(memory, offsets[next], piece.streams, piece.tokens);
      }
    }
  }

  /** A format of integers, several streams (or one). */
  Kernel integers(QuantFormat format, int tokens, boolean single) {
    Kernel[] kernels =
        switch (format) {
          case Grouped.W3G128 -> w3;
          case Grouped.INT8G128 -> int8;
          case PerRow.W4A4 -> w4;
          case Dense _ -> throw new IllegalArgumentException(format.label() + " is no integer");
        };
    return kernels[2 * (tokens - 1) + (single ? 1 : 0)];
  }

  /** A 16-bit format, several streams (or one). */
  Kernel dense(Dense format, int tokens, boolean single) {
    return (format == Dense.BF16 ? bf16 : fp16)[2 * (tokens - 1) + (single ? 1 : 0)];
  }

  /** A 16-bit format, several streams, which asks for the next call's rows. */
  Kernel denseAhead(Dense format, int tokens) {
    return (format == Dense.BF16 ? bf16Ahead : fp16Ahead)[tokens - 1];
  }

  /** Activations to integers. */
  Kernel rounding() {
    return rounding[0];
  }

  /** Dots to weights. */
  Kernel softmax(KvType type) {
    return softmax[type.ordinal()];
  }

  /** So many queries by keys. */
  Kernel scores(KvType type, int queries) {
    return scores[type.ordinal() * ScoreCode.QUERIES + queries - 1];
  }

  /** Weighted values of so many queries. */
  Kernel values(KvType type, int queries) {
    return values[type.ordinal() * ScoreCode.QUERIES + queries - 1];
  }

  /** For tests that ask the system for its rights. */
  ExecutableMemory memory() {
    return memory;
  }

  /** Frees the code; nothing may be running in it. */
  @Override
  public void close() {
    memory.close();
  }
}
