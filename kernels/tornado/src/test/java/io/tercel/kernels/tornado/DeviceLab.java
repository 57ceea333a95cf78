package io.tercel.kernels.tornado;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Two backends of the same weights, and sequences that are computed on either. */
final class DeviceLab implements AutoCloseable {
  static final int BLOCKS = 160;

  final Backend vector;
  final TornadoBackend tornado;
  final int vocab;

  DeviceLab(WeightStore weights, KvType type) {
    KvLayout layout = KvLayout.of(weights.config(), type);
    vector = new CpuBackend(weights, new VectorOps(1), layout, BLOCKS);
    tornado = (TornadoBackend) new TornadoBackends().open(weights, layout, BLOCKS, 0);
    vocab = weights.config().vocabSize();
  }

  static WeightStore load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  /** Random tokens, blocks {@code firstBlock, firstBlock + stride, ..}. */
  record Sequence(List<Integer> tokens, List<Integer> blocks) {
    static Sequence random(long seed, int vocab, int length, int firstBlock, int stride) {
      Random random = new Random(seed);
      List<Integer> tokens = new ArrayList<>();
      for (int i = 0; i < length; i++) {
        tokens.add(random.nextInt(vocab));
      }
      List<Integer> blocks = new ArrayList<>();
      for (int b = 0; b < Math.ceilDiv(length, KvLayout.BLOCK_SIZE); b++) {
        blocks.add((firstBlock + b * stride) % BLOCKS);
      }
      return new Sequence(tokens, blocks);
    }

    int[] table() {
      return blocks.stream().mapToInt(Integer::intValue).toArray();
    }
  }

  /** Tokens [from, to) of a sequence, in one step with others. */
  record Piece(Sequence sequence, int from, int to) {}

  /** Scores every row's next token: its log-prob and rank. */
  static List<TokenResult> score(Backend backend, List<Piece> pieces) {
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    for (Piece piece : pieces) {
      batch.beginSequence(piece.sequence.table());
      for (int p = piece.from; p < piece.to; p++) {
        int row = batch.addToken(piece.sequence.tokens.get(p), p);
        int next = piece.sequence.tokens.get((p + 1) % piece.sequence.tokens.size());
        plan.add(SamplingRow.score(row, next, 0));
      }
    }
    return backend.step(batch, plan);
  }

  /** A sequence on its own, in chunks. */
  static List<TokenResult> alone(Backend backend, Sequence sequence, int chunk) {
    List<TokenResult> results = new ArrayList<>();
    for (int from = 0; from < sequence.tokens.size(); from += chunk) {
      int to = Math.min(sequence.tokens.size(), from + chunk);
      results.addAll(score(backend, List.of(new Piece(sequence, from, to))));
    }
    return results;
  }

  /** What generates: temperature 0 is greedy. */
  static SamplingRow sample(int row, int position, float temperature, float topP, int topK) {
    return SamplingRow.sample(row)
        .temperature(temperature)
        .topP(topP)
        .topK(topK)
        .seed(17)
        .position(position)
        .build();
  }

  /** All prompts at once, greedy, until each has ended or is as long as allowed. */
  static List<List<TokenResult>> generate(
      Backend backend, List<List<Integer>> prompts, int limit, int stop) {
    List<List<TokenResult>> texts = new ArrayList<>();
    int[][] tables = new int[prompts.size()][];
    int block = 0;
    for (int i = 0; i < prompts.size(); i++) {
      texts.add(new ArrayList<>());
      tables[i] = new int[Math.ceilDiv(prompts.get(i).size() + limit, KvLayout.BLOCK_SIZE)];
      for (int b = 0; b < tables[i].length; b++) {
        tables[i][b] = block++;
      }
    }
    StepBatch batch = new StepBatch();
    SamplingPlan plan = new SamplingPlan();
    while (true) {
      batch.clear();
      plan.clear();
      List<Integer> running = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        List<TokenResult> text = texts.get(i);
        if (text.size() == limit || (!text.isEmpty() && text.getLast().tokenId() == stop)) {
          continue;
        }
        running.add(i);
        batch.beginSequence(tables[i]);
        int size = prompts.get(i).size();
        int row = 0;
        for (int p = text.isEmpty() ? 0 : size + text.size() - 1; p < size + text.size(); p++) {
          int token = p < size ? prompts.get(i).get(p) : text.get(p - size).tokenId();
          row = batch.addToken(token, p);
        }
        plan.add(sample(row, size + text.size(), 0, 1, 0));
      }
      if (running.isEmpty()) {
        return texts;
      }
      List<TokenResult> results = backend.step(batch, plan);
      for (int i = 0; i < running.size(); i++) {
        texts.get(running.get(i)).add(results.get(i));
      }
    }
  }

  static int[] range(int count) {
    int[] numbers = new int[count];
    Arrays.setAll(numbers, i -> i);
    return numbers;
  }

  @Override
  public void close() {
    tornado.close();
    vector.close();
  }
}
