package io.tercel.loadtests.data;

import java.util.Map;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;

/**
 * A workload of several service classes, whose rollouts may come in groups as GRPO asks them: a
 * number of samples of one prompt with one group id, sent together.
 *
 * <p>Requests lie in blocks of a group's size. A block is of one class, drawn by its share: of
 * rollouts it is one group, of others as many different prompts. So the shares are those of
 * requests.
 */
public final class MixedDataset implements Dataset {
  /** The class whose requests come in groups. */
  public static final String ROLLOUT = "rollout";

  private final Dataset base;
  private final SortedMap<String, Double> shares;
  private final int groupSize;
  private final long seed;

  /**
   * A mix.
   *
   * @param base its prompts
   * @param shares by class, above 0; only their relation counts
   * @param groupSize samples of a rollout's prompt, at least 1
   */
  public MixedDataset(Dataset base, Map<String, Double> shares, int groupSize, long seed) {
    if (shares.isEmpty() || groupSize < 1) {
      throw new IllegalArgumentException(shares + ", groups of " + groupSize);
    }
    this.base = base;
    this.shares = new TreeMap<>(shares);
    this.groupSize = groupSize;
    this.seed = seed;
  }

  @Override
  public LoadRequest request(long index) {
    long block = index / groupSize;
    String serviceClass = classOf(block);
    if (!inGroups(serviceClass)) {
      return tagged(base.request(index), serviceClass, "");
    }
    LoadRequest first = base.request(block * groupSize);
    LoadRequest sample =
        new LoadRequest(
            index,
            first.prompt(),
            first.maxTokens(),
            Seeds.derive(first.seed(), "sample", index % groupSize) >>> 1);
    String group = Long.toHexString(Seeds.derive(seed, "group", block));
    return tagged(sample, serviceClass, "bench-" + group);
  }

  @Override
  public long sentWith(long index) {
    return inGroups(classOf(index / groupSize)) ? index - index % groupSize : base.sentWith(index);
  }

  private boolean inGroups(String serviceClass) {
    return groupSize > 1 && serviceClass.equals(ROLLOUT);
  }

  private static LoadRequest tagged(LoadRequest request, String serviceClass, String group) {
    return new LoadRequest(
        request.index(),
        request.prompt(),
        request.maxTokens(),
        request.seed(),
        new LoadRequest.Tags(serviceClass, group, request.tags().turn()));
  }

  private String classOf(long block) {
    SplittableRandom random = Seeds.stream(seed, "class", block);
    double all = shares.values().stream().mapToDouble(Double::doubleValue).sum();
    double left = random.nextDouble() * all;
    for (Map.Entry<String, Double> share : shares.entrySet()) {
      left -= share.getValue();
      if (left < 0) {
        return share.getKey();
      }
    }
    return shares.lastKey(); // by rounding
  }
}
