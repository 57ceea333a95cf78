package io.tercel.server.model;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightPlan;
import io.tercel.kernels.model.Transformer;
import io.tercel.server.UserException;
import io.tercel.server.engine.speculation.Speculator;
import java.util.Locale;

/**
 * What serving a model takes, decided before anything is allocated; {@code --plan} prints it, and
 * what is allocated has exactly these bytes.
 *
 * @param weights every matrix
 * @param kv how a block lies
 * @param numBlocks blocks of the KV pool
 * @param maxModelLen tokens of one sequence
 * @param activationBytes heap floats of the largest step
 * @param draftBytes what speculation remembers of all answers; 0 without
 * @param available memory that was free when this was made
 */
public record ServingPlan(
    ModelConfig config,
    WeightPlan weights,
    KvLayout kv,
    int numBlocks,
    int maxModelLen,
    long activationBytes,
    long draftBytes,
    long available) {
  /**
   * Models made for more are served with this much unless told otherwise: a cache for 131k tokens
   * surprises.
   */
  private static final int DEFAULT_MAX_LEN = 32_768;

  private static final double KV_SHARE = 0.8;

  /**
   * For a checkpoint on this machine; nothing of it is loaded.
   *
   * @throws UserException if the model and one sequence don't fit, saying what does
   */
  public static ServingPlan of(Checkpoint checkpoint, ServingOptions options) {
    return of(
        checkpoint.config(),
        WeightPlan.of(checkpoint, options.lmHeadType()),
        options,
        Backends.available(options));
  }

  /**
   * @throws UserException if the model and one sequence don't fit, saying what does
   */
  public static ServingPlan of(
      ModelConfig config, WeightPlan weights, ServingOptions options, long available) {
    options.check();
    KvLayout kv = kvLayout(config, weights, options);
    long logits = (long) Transformer.MAX_LOGIT_ROWS * config.vocabSize();
    long samplers = 2L * options.threads() * config.vocabSize();
    boolean integers = weights.matrices().stream().anyMatch(m -> m.format() instanceof Grouped);
    long activations =
        Transformer.activationBytes(config, options.maxNumBatchedTokens(), integers)
            + Float.BYTES * (logits + samplers);
    int maxLen = maxModelLen(config, options);
    long drafts = Speculator.bytes(options.speculation());
    long left = available - weights.offHeapBytes() - weights.heapBytes() - activations - drafts;
    long pool = poolBytes(kv, options, maxLen, left);
    int blocks = (int) Math.min(pool / kv.blockBytes(), Integer.MAX_VALUE / KvLayout.BLOCK_SIZE);
    int fits = blocks * KvLayout.BLOCK_SIZE;
    if (fits < maxLen && (options.maxModelLen() != null || fits < 64)) {
      throw new UserException(
          ("--max-model-len: one sequence of %d tokens needs %s of KV cache, but the pool has %s (%d tokens);"
                  + " lower it, or raise --kv-cache-memory")
              .formatted(
                  maxLen,
                  ByteSize.format(Math.ceilDiv(maxLen, KvLayout.BLOCK_SIZE) * kv.blockBytes()),
                  ByteSize.format(KvPool.bytes(kv, Math.max(0, blocks))),
                  Math.max(0, fits)));
    }
    return new ServingPlan(
        config, weights, kv, blocks, Math.min(maxLen, fits), activations, drafts, available);
  }

  private static KvLayout kvLayout(ModelConfig config, WeightPlan weights, ServingOptions options) {
    KvType chosen = options.kvType();
    try {
      return KvLayout.of(config, chosen == null ? KvType.automatic(config, weights) : chosen);
    } catch (IllegalArgumentException e) {
      throw new UserException("--kv-cache-dtype: " + e.getMessage());
    }
  }

  private static int maxModelLen(ModelConfig config, ServingOptions options) {
    int made = config.maxPositionEmbeddings();
    if (options.maxModelLen() == null) {
      return Math.min(made, DEFAULT_MAX_LEN);
    }
    if (options.maxModelLen() > made) {
      throw new UserException(
          "--max-model-len: %d, but the model was made for %d positions"
              .formatted(options.maxModelLen(), made));
    }
    return options.maxModelLen();
  }

  private static long poolBytes(KvLayout kv, ServingOptions options, int maxLen, long left) {
    long useful =
        (long) options.maxNumSeqs() * Math.ceilDiv(maxLen, KvLayout.BLOCK_SIZE) * kv.blockBytes();
    if (options.kvCacheMemory() == null) {
      return Math.min(useful, (long) (Math.max(0, left) * KV_SHARE));
    }
    if (options.kvCacheMemory() > left) {
      throw new UserException(
          "--kv-cache-memory: %s, but only %s are free beside the weights"
              .formatted(
                  ByteSize.format(options.kvCacheMemory()), ByteSize.format(Math.max(0, left))));
    }
    return options.kvCacheMemory();
  }

  /** Bytes of the KV pool. */
  long kvBytes() {
    return KvPool.bytes(kv, numBlocks);
  }

  /** Tokens that the KV pool holds. */
  public long kvTokens() {
    return (long) numBlocks * KvLayout.BLOCK_SIZE;
  }

  /** The table that {@code --plan} prints. */
  public String table() {
    StringBuilder s = new StringBuilder();
    line(s, "region", "bytes", "what");
    line(s, "weights", weights.offHeapBytes(), weights.matrices().size() + " matrices, off heap");
    line(s, "norms, biases", weights.heapBytes(), "on heap");
    line(
        s,
        "KV pool",
        kvBytes(),
        "%d blocks of %d tokens x %d B a token (%s), off heap"
            .formatted(numBlocks, KvLayout.BLOCK_SIZE, kv.tokenBytes(), kv.type().label()));
    line(s, "activations", activationBytes, "one step at most, on heap");
    if (draftBytes > 0) {
      line(s, "drafts", draftBytes, "what was said lately, on heap");
    }
    long sum =
        weights.offHeapBytes() + weights.heapBytes() + kvBytes() + activationBytes + draftBytes;
    line(s, "sum", sum, ByteSize.format(sum) + " of " + ByteSize.format(available) + " free");
    s.append(
        String.format(
            Locale.ROOT,
            "%nContext: %d tokens a sequence; %d of that length fit at a time, %d tokens in all.%n",
            maxModelLen,
            kvTokens() / maxModelLen,
            kvTokens()));
    return s.toString();
  }

  private static void line(StringBuilder s, String region, Object bytes, String what) {
    s.append(String.format(Locale.ROOT, "%-14s %15s  %s%n", region, bytes, what));
  }
}
