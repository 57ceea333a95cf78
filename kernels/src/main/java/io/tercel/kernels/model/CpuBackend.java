package io.tercel.kernels.model;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.Sampler;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.StepCheck;
import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A {@link Backend} of a {@link Transformer} on CPU operations. It owns the KV pool and the
 * operations' threads.
 */
public final class CpuBackend implements Backend {
  /** Rows of logits held at a time: all of a scored prompt's would be gigabytes. */
  private static final int LOGIT_ROWS = Transformer.MAX_LOGIT_ROWS;

  private final WeightStore weights;
  private final Ops ops;
  private final KvPool kv;
  private final Transformer transformer;
  private final int vocab;
  private final Sampler[] samplers;
  private float[] logits = new float[0];
  private int[] rows = new int[16];

  /**
   * @param weights not closed by this backend
   * @param ops closed by this backend
   */
  public CpuBackend(WeightStore weights, Ops ops, KvLayout layout, int numBlocks) {
    this.weights = weights;
    this.ops = ops;
    this.kv = new KvPool(layout, numBlocks);
    this.transformer = new Transformer(weights, ops, kv);
    this.vocab = weights.config().vocabSize();
    this.samplers = new Sampler[ops.workers()];
    Arrays.setAll(samplers, i -> new Sampler(ops, vocab));
  }

  @Override
  public String name() {
    return ops.name();
  }

  @Override
  public int blockSize() {
    return KvLayout.BLOCK_SIZE;
  }

  @Override
  public int numBlocks() {
    return kv.numBlocks();
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
  public List<TokenResult> step(StepBatch batch, SamplingPlan plan) {
    StepCheck.check(batch, plan, vocab, kv.numBlocks());
    weights.requireFinite();
    transformer.forward(batch);
    int count = plan.size();
    if (rows.length < count) {
      rows = new int[count];
    }
    for (int i = 0; i < count; i++) {
      rows[i] = plan.get(i).row();
    }
    List<TokenResult> results = new ArrayList<>(count);
    for (int from = 0; from < count; from += LOGIT_ROWS) {
      answer(plan, from, Math.min(LOGIT_ROWS, count - from), results);
    }
    return results;
  }

  private void answer(SamplingPlan plan, int from, int count, List<TokenResult> results) {
    if (logits.length < count * vocab) {
      logits = new float[count * vocab];
    }
    transformer.logits(rows, from, count, logits);
    TokenResult[] answers = new TokenResult[count];
    ops.forEach(
        count,
        (i, worker) -> answers[i] = samplers[worker].sample(logits, i * vocab, plan.get(from + i)));
    results.addAll(Arrays.asList(answers));
  }

  /** For tests that look at raw logits: the rows of the last step are still there. */
  Transformer transformer() {
    return transformer;
  }

  /** Makes one block of the KV pool equal to another, between two steps. */
  public void copyBlock(int from, int to) {
    kv.copyBlock(from, to);
  }

  /** Bytes of the KV pool. */
  public long kvBytes() {
    return kv.bytes();
  }

  @Override
  public void close() {
    ops.close();
    kv.close();
  }
}
