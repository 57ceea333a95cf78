package io.tercel.server.engine.speculation;

import org.jspecify.annotations.Nullable;

/**
 * What followed most often behind the longest suffix of the sequence that any sequence has said
 * lately (SuffixDecoding: Oliaro et al., 2024), or, where that promises more, what followed in its
 * own text ({@link NgramDraft}). Enters what the sequence says into the common memory; of its
 * prompt the last tokens alone, what answers begin behind.
 */
final class SuffixDraft implements Drafter {
  private final SuffixMemory memory;
  private final Acceptance acceptance;
  private final NgramDraft own = new NgramDraft();
  private final Draft other = new Draft();
  private int seen;
  private @Nullable SuffixTree growing;
  private int generation;
  private int node; // in the growing tree: the last tokens
  private @Nullable SuffixTree full;
  private int fullGeneration;
  private int fullNode; // in the full tree: the longest suffix that it has

  SuffixDraft(SuffixMemory memory, Acceptance acceptance, int promptLength) {
    this.memory = memory;
    this.acceptance = acceptance;
    this.seen = Math.max(0, promptLength - SuffixTree.DEPTH);
  }

  @Override
  public void draft(int[] tokens, int length, int most, double least, Draft into) {
    SuffixTree tree = enter(tokens, length);
    own.draft(tokens, length, most, least, into);
    double worth = acceptance.expected(into);
    other.clear();
    walk(tree, node, most, least, other);
    worth = takeBetter(into, worth);
    other.clear();
    walk(memory.full(), fullNode, most, least, other);
    takeBetter(into, worth);
  }

  private double takeBetter(Draft into, double worth) {
    double others = acceptance.expected(other);
    if (others > worth) {
      into.copy(other);
      return others;
    }
    return worth;
  }

  @Override
  public void end(int[] tokens, int length) {
    enter(tokens, length);
  }

  /** Enters what is new, and finds its place in both trees. */
  private SuffixTree enter(int[] tokens, int length) {
    for (; seen < length; seen++) {
      place();
      node = memory.growing().enter(node, tokens[seen]);
      fullNode = memory.full().follow(fullNode, tokens[seen]);
    }
    return place();
  }

  /** Begins anew in a tree that is another one now. */
  private SuffixTree place() {
    SuffixTree tree = memory.growing();
    if (tree != growing || tree.generation() != generation) {
      growing = tree;
      generation = tree.generation();
      node = SuffixTree.ROOT;
    }
    if (memory.full() != full || memory.full().generation() != fullGeneration) {
      full = memory.full();
      fullGeneration = full.generation();
      fullNode = SuffixTree.ROOT;
    }
    return tree;
  }

  /**
   * Token by token, that which is the likeliest of those that were there most often behind the last
   * ten, nine, ... tokens.
   */
  private void walk(SuffixTree tree, int from, int most, double least, Draft into) {
    int at = from;
    double chance = 1;
    while (into.size() < most && chance >= least) {
      double likeliest = 0;
      int next = SuffixTree.ROOT;
      int kind = 0;
      for (int n = at; n != SuffixTree.ROOT; n = tree.link(n)) {
        int best = tree.best(n);
        if (best == SuffixTree.ROOT) {
          continue;
        }
        int k = Kind.counted(tree.depth(n), tree.times(best), tree.followed(n));
        double rate = acceptance.rate(k);
        if (rate > likeliest) {
          likeliest = rate;
          next = best;
          kind = k;
        }
      }
      if (next == SuffixTree.ROOT) {
        return; // what is said most often anywhere is no guess
      }
      into.add(tree.token(next), kind);
      chance *= likeliest;
      at = tree.follow(at, tree.token(next));
    }
  }
}
