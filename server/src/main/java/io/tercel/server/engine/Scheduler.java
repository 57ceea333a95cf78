package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/**
 * Decides who computes what in the next step.
 *
 * <p>Running sequences come first, in order of arrival, each with as many of its new tokens as the
 * step's budget still allows: one when it decodes, a chunk when it catches up. What is left of the
 * budget admits waiting ones, in order of arrival. Because decodes are counted before any chunk, a
 * long prompt delays others by at most one budget's worth of computing, and because order is by
 * arrival, nobody starves.
 *
 * <p>A sequence that needs a block when none is free makes the youngest running one give all of its
 * own back; that one waits at its place in order of arrival and is computed again, prompt and
 * output alike, with the same results (the backend's logits don't depend on how a sequence was
 * cut). If the youngest is the one that asks, it goes itself.
 *
 * <p>A sequence whose client does not read is paused: it keeps its blocks but computes nothing, and
 * is the first to be preempted.
 *
 * <p>Owned by the engine thread; no model in sight.
 */
final class Scheduler {
  /** A sequence's part of a step: tokens [numComputedTokens, numComputedTokens + count). */
  record Chunk(Sequence sequence, int count) {}

  private final BlockManager blocks;
  private final int maxNumSeqs;
  private final int maxNumBatchedTokens;
  private final List<Sequence> running = new ArrayList<>();
  private final ArrayDeque<Sequence> waiting = new ArrayDeque<>();
  private final List<Chunk> step = new ArrayList<>();
  private long preemptions;

  Scheduler(BlockManager blocks, int maxNumSeqs, int maxNumBatchedTokens) {
    this.blocks = blocks;
    this.maxNumSeqs = maxNumSeqs;
    this.maxNumBatchedTokens = maxNumBatchedTokens;
  }

  /** Queues a new sequence. */
  void add(Sequence sequence) {
    waiting.addLast(sequence);
  }

  /** Fills the next step; empty when nobody can run. The list is reused. */
  List<Chunk> schedule() {
    step.clear();
    int budget = scheduleRunning(maxNumBatchedTokens);
    scheduleWaiting(budget);
    return step;
  }

  private int scheduleRunning(int budget) {
    int left = budget;
    // decodes are counted before chunks: their tokens are set aside first
    int decodes = 0;
    for (Sequence s : running) {
      decodes += s.numNewTokens() == 1 && !s.generation().full(s.choice()) ? 1 : 0;
    }
    for (int i = 0; i < running.size(); i++) {
      Sequence s = running.get(i);
      if (s.generation().full(s.choice())) {
        continue;
      }
      boolean decode = s.numNewTokens() == 1;
      decodes -= decode ? 1 : 0;
      int count = Math.min(s.numNewTokens(), decode ? left : left - decodes);
      if (count <= 0) {
        continue;
      }
      if (!makeRoom(s, s.numComputedTokens() + count)) {
        i--; // it preempted itself
        continue;
      }
      i = running.indexOf(s);
      step.add(new Chunk(s, count));
      left -= count;
    }
    return left;
  }

  /**
   * Gives the sequence blocks for so many tokens, preempting others; false when it had to go
   * itself.
   */
  private boolean makeRoom(Sequence s, int tokens) {
    while (!blocks.allocate(s, tokens)) {
      Sequence victim = victim();
      preempt(victim);
      if (victim == s) {
        return false;
      }
    }
    return true;
  }

  private Sequence victim() {
    Sequence youngest = running.getLast();
    for (int i = running.size() - 1; i >= 0; i--) {
      Sequence s = running.get(i);
      if (s.generation().full(s.choice()) && !scheduled(s)) {
        return s;
      }
    }
    return youngest;
  }

  private boolean scheduled(Sequence s) {
    return step.stream().anyMatch(c -> c.sequence() == s);
  }

  private void preempt(Sequence s) {
    if (scheduled(s)) {
      throw new IllegalStateException("a sequence of this step was to be preempted");
    }
    running.remove(s);
    blocks.release(s);
    s.recompute();
    preemptions++;
    insertByArrival(s);
  }

  private void insertByArrival(Sequence s) {
    List<Sequence> all = new ArrayList<>(waiting);
    all.add(s);
    all.sort(Comparator.comparingLong(Sequence::arrival));
    waiting.clear();
    waiting.addAll(all);
  }

  private void scheduleWaiting(int budget) {
    int left = budget;
    Iterator<Sequence> queue = waiting.iterator();
    while (left > 0 && running.size() < maxNumSeqs && queue.hasNext()) {
      Sequence s = queue.next();
      if (s.generation().full(s.choice())) {
        continue; // its client must read first; it keeps its place, but nobody waits for it
      }
      int count = Math.min(s.numNewTokens(), left);
      // room for all its tokens, not only the chunk: else half-computed prompts would preempt one
      // another
      if (blocks.blocksFor(s.numTokens()) > blocks.numFree()
          || !blocks.allocate(s, s.numComputedTokens() + count)) {
        return;
      }
      queue.remove();
      s.state(State.RUNNING);
      insertRunning(s);
      step.add(new Chunk(s, count));
      left -= count;
    }
  }

  private void insertRunning(Sequence s) {
    int at = running.size();
    while (at > 0 && running.get(at - 1).arrival() > s.arrival()) {
      at--;
    }
    running.add(at, s);
  }

  /** Takes a sequence out, wherever it is, and its blocks with it. */
  void remove(Sequence s) {
    if (s.state() == State.RUNNING) {
      running.remove(s);
    } else {
      waiting.remove(s);
    }
    blocks.release(s);
    s.state(State.FINISHED);
  }

  int numRunning() {
    return running.size();
  }

  int numWaiting() {
    return waiting.size();
  }

  boolean isEmpty() {
    return running.isEmpty() && waiting.isEmpty();
  }

  long preemptions() {
    return preemptions;
  }

  /** Every sequence that is not finished. */
  List<Sequence> all() {
    List<Sequence> all = new ArrayList<>(running);
    all.addAll(waiting);
    return all;
  }

  /** free + held = all, and a block has one holder. */
  void checkInvariants() {
    boolean[] seen = new boolean[blocks.numBlocks()];
    int held = 0;
    for (Sequence s : all()) {
      for (int i = 0; i < s.numBlocks(); i++) {
        if (seen[s.block(i)]) {
          throw new IllegalStateException("block " + s.block(i) + " has two holders");
        }
        seen[s.block(i)] = true;
        held++;
      }
    }
    if (held + blocks.numFree() != blocks.numBlocks()) {
      throw new IllegalStateException(
          "%d blocks held and %d free of %d".formatted(held, blocks.numFree(), blocks.numBlocks()));
    }
  }
}
