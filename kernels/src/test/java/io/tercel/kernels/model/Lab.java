package io.tercel.kernels.model;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** A backend on a bench: steps made by hand, raw logits of every row. */
final class Lab implements AutoCloseable {
  private static final int BLOCKS = 400;

  final CpuBackend backend;
  final int vocab;
  private int steps;

  Lab(WeightStore weights, Ops ops, KvType type) {
    ModelConfig config = weights.config();
    backend = new CpuBackend(weights, ops, KvLayout.of(config, type), BLOCKS);
    vocab = config.vocabSize();
  }

  static WeightStore load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, (_, _, _) -> {});
    }
  }

  /** Tokens [from, to) of a sequence, to be computed in one step. */
  record Piece(Sequence sequence, int from, int to) {}

  /** All tokens of a sequence, and where its keys and values go. */
  static final class Sequence {
    final int[] tokens;
    final int[] table;

    Sequence(int[] tokens, int[] table) {
      this.tokens = tokens;
      this.table = table;
    }
  }

  /** Random tokens on blocks {@code firstBlock, firstBlock + stride, ...}. */
  Sequence sequence(long seed, int length, int firstBlock, int stride) {
    Random random = new Random(seed);
    int[] tokens = new int[length];
    Arrays.setAll(tokens, _ -> random.nextInt(vocab));
    int[] table = new int[Math.ceilDiv(length, KvLayout.BLOCK_SIZE)];
    Arrays.setAll(table, i -> (firstBlock + i * stride) % BLOCKS);
    return new Sequence(tokens, table);
  }

  /** One step; answers the logits of every row of every piece: [row][vocab]. */
  float[][] step(List<Piece> pieces) {
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    for (Piece piece : pieces) {
      batch.beginSequence(piece.sequence().table);
      for (int p = piece.from(); p < piece.to(); p++) {
        int row = batch.addToken(piece.sequence().tokens[p], p);
        plan.add(SamplingRow.score(row, 0, 0));
      }
    }
    List<TokenResult> scored = backend.step(batch, plan);
    steps++;
    float[][] logits = rawLogits(batch.numTokens());
    for (int row = 0; row < logits.length; row++) {
      // the raw logits are those that the step answered from
      double sum = 0;
      for (float logit : logits[row]) {
        sum += Math.exp(logit);
      }
      double expected = logits[row][0] - Math.log(sum);
      if (Math.abs(scored.get(row).logprob() - expected) > 1e-4) {
        throw new AssertionError("row " + row + ": " + scored.get(row) + " is not " + expected);
      }
    }
    return logits;
  }

  private float[][] rawLogits(int rows) {
    float[][] logits = new float[rows][];
    int[] all = new int[rows];
    Arrays.setAll(all, i -> i);
    for (int from = 0; from < rows; from += Transformer.MAX_LOGIT_ROWS) {
      int count = Math.min(Transformer.MAX_LOGIT_ROWS, rows - from);
      float[] flat = new float[count * vocab];
      backend.transformer().logits(all, from, count, flat);
      for (int i = 0; i < count; i++) {
        logits[from + i] = Arrays.copyOfRange(flat, i * vocab, (i + 1) * vocab);
      }
    }
    return logits;
  }

  /** A sequence on its own, in chunks; the logits of all its rows. */
  float[][] alone(Sequence sequence, int chunk) {
    List<float[]> logits = new ArrayList<>();
    for (int from = 0; from < sequence.tokens.length; from += chunk) {
      int to = Math.min(sequence.tokens.length, from + chunk);
      logits.addAll(Arrays.asList(step(List.of(new Piece(sequence, from, to)))));
    }
    return logits.toArray(float[][]::new);
  }

  int steps() {
    return steps;
  }

  /** Bit for bit, and says where not. */
  static void assertSame(float[][] expected, float[][] actual, String what) {
    if (expected.length != actual.length) {
      throw new AssertionError(what + ": " + actual.length + " rows, not " + expected.length);
    }
    for (int row = 0; row < expected.length; row++) {
      for (int i = 0; i < expected[row].length; i++) {
        int e = Float.floatToRawIntBits(expected[row][i]);
        if (e != Float.floatToRawIntBits(actual[row][i]) || !Float.isFinite(expected[row][i])) {
          throw new AssertionError(
              "%s: row %d, logit %d: %s instead of %s"
                  .formatted(what, row, i, actual[row][i], expected[row][i]));
        }
      }
    }
  }

  @Override
  public void close() {
    backend.close();
  }
}
