package io.tercel.loadtests.data;

import java.util.List;
import java.util.SplittableRandom;

/**
 * Random prompts, whose lengths (and those of the answers) are uniform in [⌊n·(1−r)⌋, ⌈n·(1+r)⌉],
 * as in {@code vllm bench serve --dataset-name random}.
 */
public final class RandomDataset implements Dataset {
  private final PromptMaker maker;
  private final long seed;
  private final int inputLen;
  private final int outputLen;
  private final double rangeRatio;

  /**
   * A workload of random prompts.
   *
   * @param inputLen tokens of a prompt, at least 1
   * @param outputLen tokens of an answer, at least 1
   * @param rangeRatio 0 to below 1
   */
  public RandomDataset(
      PromptMaker maker, long seed, int inputLen, int outputLen, double rangeRatio) {
    this.maker = maker;
    this.seed = seed;
    this.inputLen = inputLen;
    this.outputLen = outputLen;
    this.rangeRatio = rangeRatio;
  }

  @Override
  public LoadRequest request(long index) {
    SplittableRandom random = Seeds.stream(seed, "random", index);
    int input = length(random, inputLen);
    int output = length(random, outputLen);
    Prompt prompt = maker.make(List.of(new PromptMaker.Segment(random.nextLong(), input)));
    return new LoadRequest(index, prompt, output, random.nextLong() >>> 1);
  }

  private int length(SplittableRandom random, int mean) {
    int low = Math.max(1, (int) Math.floor(mean * (1 - rangeRatio)));
    int high = Math.max(low, (int) Math.ceil(mean * (1 + rangeRatio)));
    return low + random.nextInt(high - low + 1);
  }
}
