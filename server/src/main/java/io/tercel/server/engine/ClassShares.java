package io.tercel.server.engine;

import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.function.ToIntFunction;

/**
 * How many places, blocks and tokens each class is entitled to now: one each, and of the rest a
 * part by its weight among the classes that have something to do. The parts are rounded down, so
 * together they are never more than there is; where there is less than one for each, none has a
 * claim.
 */
final class ClassShares {
  private final EngineConfig config;
  private final int allBlocks;
  private final Map<ServiceClass, Integer> places = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> blocks = new EnumMap<>(ServiceClass.class);
  private final Map<ServiceClass, Integer> tokens = new EnumMap<>(ServiceClass.class);
  private Set<ServiceClass> present = EnumSet.noneOf(ServiceClass.class);

  ClassShares(EngineConfig config, int allBlocks) {
    this.config = config;
    this.allBlocks = allBlocks;
  }

  /** Shares everything among these. */
  void among(Set<ServiceClass> classes) {
    if (classes.equals(present)) {
      return;
    }
    present = EnumSet.copyOf(classes);
    share(places, config.maxNumSeqs(), ClassQuota::placeShare);
    share(blocks, allBlocks, ClassQuota::placeShare);
    share(tokens, config.maxNumBatchedTokens(), ClassQuota::tokenShare);
  }

  private void share(Map<ServiceClass, Integer> parts, int all, ToIntFunction<ClassQuota> weight) {
    parts.clear();
    long rest = all - present.size();
    long weights = present.stream().mapToLong(c -> weight.applyAsInt(config.quota(c))).sum();
    for (ServiceClass c : present) {
      parts.put(c, rest < 0 ? 0 : 1 + (int) (rest * weight.applyAsInt(config.quota(c)) / weights));
    }
  }

  /** Running places; 0 of a class that has nothing to do. */
  int places(ServiceClass c) {
    return places.getOrDefault(c, 0);
  }

  int blocks(ServiceClass c) {
    return blocks.getOrDefault(c, 0);
  }

  /** Tokens of a step. */
  int tokens(ServiceClass c) {
    return tokens.getOrDefault(c, 0);
  }
}
