package io.tercel.loadtests.data;

import java.util.List;
import java.util.SplittableRandom;

/**
 * Random prompts that begin with one of a few shared prefixes, drawn uniformly: what a prefix cache
 * is for. As {@code vllm bench serve --dataset-name prefix_repetition}.
 */
public final class PrefixRepetitionDataset implements Dataset {
  private final PromptMaker maker;
  private final long seed;
  private final int prefixLen;
  private final int suffixLen;
  private final int numPrefixes;
  private final int outputLen;

  /** A workload; lengths in tokens, all at least 1. */
  public PrefixRepetitionDataset(
      PromptMaker maker, long seed, int prefixLen, int suffixLen, int numPrefixes, int outputLen) {
    this.maker = maker;
    this.seed = seed;
    this.prefixLen = prefixLen;
    this.suffixLen = suffixLen;
    this.numPrefixes = numPrefixes;
    this.outputLen = outputLen;
  }

  @Override
  public LoadRequest request(long index) {
    SplittableRandom random = Seeds.stream(seed, "suffix", index);
    long prefix = Seeds.derive(seed, "prefix", random.nextInt(numPrefixes));
    Prompt prompt =
        maker.make(
            List.of(
                new PromptMaker.Segment(prefix, prefixLen),
                new PromptMaker.Segment(random.nextLong(), suffixLen)));
    return new LoadRequest(index, prompt, outputLen, random.nextLong() >>> 1);
  }
}
