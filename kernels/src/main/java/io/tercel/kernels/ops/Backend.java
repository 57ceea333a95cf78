package io.tercel.kernels.ops;

import java.util.List;

/**
 * Runs whole steps of one model: the forward pass over a batch, then sampling. It owns the KV
 * storage; its caller knows block numbers only.
 *
 * <p>Within a backend the logits of a row are bit-identical whatever else is in the batch, however
 * the sequence was cut into chunks, and whatever the number of threads. One thread calls it at a
 * time.
 */
public interface Backend extends AutoCloseable {

  /** Its name on the command line: {@code vector}, {@code scalar}. */
  String name();

  /** Tokens in a KV block. */
  int blockSize();

  /** KV blocks, numbered from 0. */
  int numBlocks();

  /** Version of the weights that the next step computes with. */
  long weightVersion();

  /**
   * The version since which keys are transformed as they are now: what older weights have cached
   * can't be read, whoever would keep it.
   */
  long keyVersion();

  /**
   * Computes every row of the batch, writing its K and V, and answers the plan's rows in order.
   *
   * @throws IllegalArgumentException if a token id or a block number is out of range; nothing is
   *     computed then
   * @throws RuntimeException likewise if the weights are not finite, naming what is not
   */
  List<TokenResult> step(StepBatch batch, SamplingPlan plan);

  @Override
  void close();
}
