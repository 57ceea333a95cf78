package io.tercel.kernels.tornado;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.Sampler;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.StepCheck;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.ArrayList;
import java.util.List;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A {@link Backend} on a device of TornadoVM. The whole step runs there: what comes back for a row
 * is a token and two floats, or, where a row asks for a mask, a bias, penalties or the likeliest
 * ids, its logits, which the host then treats as the CPU's backends do.
 *
 * <p>A step of more rows than the device has room for is cut into passes. The bits of a row don't
 * depend on that, nor on its mates: every sum has one order. On one thread.
 */
public final class TornadoBackend implements Backend {
  /** Most rows of a pass. */
  static final int ROWS = 64;

  /** Most bytes of what the splits of a pass give, unless one row's take more. */
  private static final long PART_BYTES = 1L << 28;

  private final WeightStore weights;
  private final int numBlocks;
  private final int vocab;
  private final LayerPlan plan;
  private final Sampler sampler;
  private final float[] logits;
  private long version;
  private long fetched;
  private int resent;

  /**
   * Allocates on the device, sends the weights and compiles all kernels, which takes a while.
   *
   * @param weights not closed by this backend
   * @param captured rows of passes, ascending and at most {@link #ROWS}, whose graphs have grids
   *     that never change, so that a device with CUDA graphs can replay them
   */
  TornadoBackend(
      WeightStore weights,
      KvLayout layout,
      int numBlocks,
      TornadoDevice device,
      List<Integer> captured) {
    this.weights = weights;
    this.numBlocks = numBlocks;
    this.vocab = weights.config().vocabSize();
    this.version = weights.version();
    ModelConfig config = weights.config();
    this.plan =
        new LayerPlan(
            weights, layout, numBlocks, one(config), many(config, numBlocks), device, captured);
    this.sampler = new Sampler(new ScalarOps(), vocab);
    this.logits = new float[vocab];
  }

  /** A row of the largest context. */
  private static StepLayout one(ModelConfig config) {
    int positions = config.maxPositionEmbeddings();
    int blocks = Math.ceilDiv(positions, KvLayout.BLOCK_SIZE);
    return new StepLayout(1, Attention.splits(positions), blocks);
  }

  /**
   * Rows of the largest contexts, as far as there are blocks for them. All of it is sent at each
   * pass; a step that doesn't fit takes several.
   */
  private static StepLayout many(ModelConfig config, int numBlocks) {
    StepLayout one = one(config);
    long slotBytes = (long) config.numHeads() * (config.headDim() + 2) * Float.BYTES;
    int slots = (int) Math.min((long) ROWS * one.slots(), PART_BYTES / slotBytes);
    long blocks = one.tableInts() + (long) Math.max(ROWS, numBlocks);
    int tables = (int) Math.min((long) ROWS * one.tableInts(), blocks);
    return new StepLayout(ROWS, Math.max(one.slots(), slots), tables);
  }

  @Override
  public String name() {
    return "tornado";
  }

  @Override
  public int blockSize() {
    return KvLayout.BLOCK_SIZE;
  }

  @Override
  public int numBlocks() {
    return numBlocks;
  }

  @Override
  public long keyVersion() {
    return weights.keyVersion();
  }

  @Override
  public long weightVersion() {
    return weights.version();
  }

  @Override
  public List<TokenResult> step(StepBatch batch, SamplingPlan sampling) {
    StepCheck.check(batch, sampling, vocab, numBlocks);
    weights.requireFinite();
    if (version != weights.version()) {
      resent += plan.refresh();
      version = weights.version();
    }
    List<TokenResult> results = new ArrayList<>(sampling.size());
    StepInputs inputs = plan.inputs(batch);
    inputs.begin();
    int first = 0; // of the pass
    int next = 0; // of the sampling plan
    for (int s = 0; s < batch.numSequences(); s++) {
      int end = batch.queryStart(s + 1);
      int from = batch.queryStart(s);
      while (from < end) {
        int fitting = inputs.fitting(batch, s, from, end);
        if (fitting == 0 && first == from) {
          throw new IllegalArgumentException(
              "position %d is beyond the model's %d"
                  .formatted(batch.position(from), weights.config().maxPositionEmbeddings()));
        }
        if (fitting == 0) {
          next = pass(inputs, sampling, first, from, next, results);
          first = from;
          inputs.begin();
          continue;
        }
        inputs.add(batch, s, from, from + fitting);
        from += fitting;
      }
    }
    pass(inputs, sampling, first, batch.numTokens(), next, results);
    return results;
  }

  /** Rows [first, end) of the step, which the inputs hold; returns the next row to be sampled. */
  private int pass(
      StepInputs inputs,
      SamplingPlan sampling,
      int first,
      int end,
      int next,
      List<TokenResult> results) {
    if (first == end) {
      return next;
    }
    inputs.end();
    int at = answer(sampling, first, end, next, plan.answered(), plan::forward, results);
    while (at < sampling.size() && sampling.get(at).row() < end) {
      at = answer(sampling, first, end, at, ROWS, plan::answer, results);
    }
    return at;
  }

  /** Asks for as many rows of a pass as are left, and as can be; returns the next to be sampled. */
  private int answer(
      SamplingPlan sampling,
      int first,
      int end,
      int next,
      int most,
      Runnable run,
      List<TokenResult> results) {
    SamplingBuffers asked = plan.sampling();
    asked.clear();
    int at = next;
    while (at < sampling.size() && sampling.get(at).row() < end && asked.count() < most) {
      asked.add(sampling.get(at), sampling.get(at).row() - first);
      at++;
    }
    run.run();
    for (int i = 0; i < asked.count(); i++) {
      results.add(result(sampling.get(next + i), i));
    }
    return at;
  }

  private TokenResult result(SamplingRow row, int wanted) {
    SamplingBuffers answers = plan.sampling();
    boolean undecided = answers.tokens.get(4 * wanted + 1) != 0;
    if (undecided || SamplingBuffers.onHost(row)) {
      fetched++;
      fetch(wanted);
      return sampler.sample(logits, 0, row);
    }
    int token = answers.tokens.get(4 * wanted);
    float logit = answers.values.get(2 * wanted);
    float max = answers.values.get(2 * wanted + 1);
    double logSum = StrictMath.log(answers.totals.get(wanted)) + max;
    int rank = row.samples() ? 0 : answers.tokens.get(4 * wanted + 2);
    return new TokenResult(token, (float) (logit - logSum), rank, List.of());
  }

  private void fetch(int wanted) {
    FloatArray row = plan.logits(wanted);
    for (int i = 0; i < vocab; i++) {
      logits[i] = row.get(i);
    }
  }

  /** How many rows of logits have come to the host since the start. */
  public long fetchedLogits() {
    return fetched;
  }

  /** How many layers' weights, or embeddings and heads, have been sent again since the start. */
  int resentWeights() {
    return resent;
  }

  LayerPlan plan() {
    return plan;
  }

  @Override
  public void close() {
    plan.close();
  }
}
