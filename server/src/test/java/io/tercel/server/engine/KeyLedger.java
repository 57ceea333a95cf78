package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the blocks would hold if there were a model: for each slot the token and all before it, and
 * the weights that made it; and beside that, what each sequence should find there. A block that is
 * stale, shared wrongly or written by two is seen at once, and so is a kept cache that was dropped.
 */
final class KeyLedger {
  private final BlockManager blocks;
  private final long[] contents;
  private final long[] versions;
  private final Map<Sequence, List<Long>> expected = new IdentityHashMap<>();
  private final Map<Sequence, Integer> lost = new IdentityHashMap<>();
  private final Map<Sequence, Gone> gone = new IdentityHashMap<>();
  private final Map<Sequence, Integer> most = new IdentityHashMap<>();
  private long version;
  int brokenWaiting;
  int brokenCatchingUp;
  int keptPositions;
  int brokenKv;

  /** The weights of each of a sequence's keys when it was set back, and those of that time. */
  private record Gone(List<Long> own, long version) {}

  KeyLedger(BlockManager blocks) {
    this.blocks = blocks;
    this.contents = new long[blocks.numBlocks() * blocks.blockSize()];
    this.versions = new long[contents.length];
  }

  /** New weights: who was catching up makes the rest of what it had with these. */
  void newWeights(long newVersion, List<Sequence> all) {
    version = newVersion;
    for (Sequence s : all) {
      int computed = expected.getOrDefault(s, List.of()).size();
      int before = most.getOrDefault(s, 0);
      boolean runs = s.state() == Sequence.State.RUNNING;
      if (runs && s.staleKv() == StaleKv.KEEP && computed > 0 && computed < before) {
        brokenKv++;
        brokenCatchingUp++;
        lost.merge(s, before - computed, Integer::sum);
      }
    }
    follow(all);
  }

  private int slot(Sequence s, int position) {
    return s.block(position / blocks.blockSize()) * blocks.blockSize()
        + position % blocks.blockSize();
  }

  /** Looks who was set back, and who found a prefix; after each schedule and change of weights. */
  void follow(List<Sequence> all) {
    for (Sequence s : all) {
      List<Long> own = expected.computeIfAbsent(s, _ -> new ArrayList<>());
      boolean hadOlder = own.stream().anyMatch(v -> v < version);
      boolean waits = s.state() == Sequence.State.WAITING;
      boolean fewer = own.size() > s.numComputedTokens(); // set back and back again in one step
      if (!own.isEmpty()
          && (waits || fewer || (hadOlder && !s.mixesWeights()))) { // it was set back
        gone.put(s, new Gone(List.copyOf(own), version));
        most.merge(s, own.size(), Math::max);
        own.clear();
      }
      Gone before = waits ? null : gone.remove(s);
      if (before != null && s.staleKv() == StaleKv.KEEP) { // it is back
        int older =
            version > before.version()
                ? most.getOrDefault(s, 0)
                : (int) before.own().stream().filter(v -> v < version).count();
        brokenKv += older > 0 ? 1 : 0;
        brokenWaiting += older > 0 && version > before.version() ? 1 : 0;
        lost.merge(s, older, Integer::sum);
      }
      while (own.size() > s.numComputedTokens()) {
        own.removeLast();
      }
      while (own.size() < s.numComputedTokens()) {
        own.add(version); // found in the prefix cache, which has present ones only
      }
    }
  }

  /** Writes a chunk's slots. */
  void compute(Sequence s, int count) {
    List<Long> own = expected.computeIfAbsent(s, _ -> new ArrayList<>());
    long h = 17;
    for (int i = 0; i < s.numComputedTokens() + count; i++) {
      h = h * 1_000_003 + s.token(i) + 1;
      if (i >= s.numComputedTokens()) {
        contents[slot(s, i)] = h;
        versions[slot(s, i)] = version;
        own.add(version);
      }
    }
  }

  /** Every sequence would read its own tokens, made by the weights that it should have. */
  void check(List<Sequence> all) {
    keptPositions = 0;
    for (Sequence s : all) {
      List<Long> own = expected.getOrDefault(s, List.of());
      long h = 17;
      for (int i = 0; i < s.numComputedTokens(); i++) {
        h = h * 1_000_003 + s.token(i) + 1;
        assertEquals(h, contents[slot(s, i)], "content of position " + i);
        assertEquals(own.get(i), versions[slot(s, i)], "weights of position " + i);
        keptPositions += own.get(i) < version ? 1 : 0;
        if (s.staleKv() == StaleKv.DROP) {
          assertEquals(version, own.get(i), "older weights' keys in one that drops them");
        }
      }
      if (s.state() == Sequence.State.RUNNING) {
        int told = s.brokenKv().stream().mapToInt(EngineEvent.BrokenKv::tokens).sum();
        assertEquals(lost.getOrDefault(s, 0), told, "tokens whose kept keys were lost");
      }
    }
  }
}
