package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Decides who computes what in the next step.
 *
 * <p><b>Rank.</b> The lower {@code priority} comes first, then the earlier request, then the lower
 * choice. Everything below goes by rank, so nobody starves among equals: only more important
 * requests come in between.
 *
 * <p><b>A step.</b> Each priority in turn: its running sequences with as many of their new tokens
 * as the step's budget still allows (one when they decode, a chunk when they catch up), then its
 * waiting ones, while all their tokens find room. Every running decode's token is set aside before
 * any chunk, so a long prompt, important or not, delays others by at most one budget's worth of
 * computing. Where a waiting sequence finds no room, none behind it is admitted: small ones must
 * not eat what a large one waits for.
 *
 * <p><b>Preemption.</b> A running sequence that needs a block when none can be had sets back
 * another, and if it ranks last itself, itself. A waiting sequence sets back only those of a higher
 * priority number, for room or for a place. Either way sequences go first whose clients do not read
 * (they are paused: they keep their blocks but compute nothing, and whoever waits behind them does
 * not wait for them); among the others the last in rank. Who is set back gives all its blocks back,
 * waits at its rank and is computed again, prompt and output alike, with the same results (the
 * backend's logits don't depend on how a sequence was cut). Mostly it finds its own blocks in the
 * prefix cache.
 *
 * <p><b>n samples.</b> Choice 0 computes the prompt; the others wait until it has, and take its
 * full blocks from the prefix cache.
 *
 * <p>Owned by the engine thread; no model in sight.
 */
final class Scheduler {
  /** A sequence's part of a step: tokens [numComputedTokens, numComputedTokens + count). */
  record Chunk(Sequence sequence, int count) {}

  private final BlockManager blocks;
  private final int maxNumSeqs;
  private final int maxNumBatchedTokens;
  private final List<Sequence> running = new ArrayList<>(); // by rank
  private final TreeSet<Sequence> waiting = new TreeSet<>(Sequence.BY_RANK);
  private long preemptions;

  // of the step that is being made
  private final List<Chunk> step = new ArrayList<>();
  private int budget;
  private int decodes; // running ones still to be placed, a token each
  private boolean admitting;

  Scheduler(BlockManager blocks, int maxNumSeqs, int maxNumBatchedTokens) {
    this.blocks = blocks;
    this.maxNumSeqs = maxNumSeqs;
    this.maxNumBatchedTokens = maxNumBatchedTokens;
  }

  /** Queues a new sequence. */
  void add(Sequence sequence) {
    waiting.add(sequence);
  }

  /** Fills the next step; empty when nobody can run. The list is reused. */
  List<Chunk> schedule() {
    step.clear();
    makeWay();
    budget = maxNumBatchedTokens;
    decodes = (int) running.stream().filter(s -> s.numNewTokens() == 1 && !s.paused()).count();
    admitting = true;
    for (int priority : priorities()) {
      scheduleRunning(priority);
      scheduleWaiting(priority);
    }
    return step;
  }

  private TreeSet<Integer> priorities() {
    TreeSet<Integer> all = new TreeSet<>();
    running.forEach(s -> all.add(s.priority()));
    waiting.forEach(s -> all.add(s.priority()));
    return all;
  }

  private void scheduleRunning(int priority) {
    for (int i = 0; i < running.size(); i++) {
      Sequence s = running.get(i);
      if (s.priority() != priority || s.paused()) {
        continue;
      }
      boolean decode = s.numNewTokens() == 1;
      decodes -= decode ? 1 : 0;
      int count = Math.min(s.numNewTokens(), budget - decodes);
      if (count <= 0) {
        continue;
      }
      if (!makeRoom(s, s.numComputedTokens() + count)) {
        return; // it has set itself back, as the last in rank
      }
      i = running.indexOf(s);
      step.add(new Chunk(s, count));
      budget -= count;
    }
  }

  /**
   * Gives the sequence blocks for so many tokens, setting others back; false when it had to go
   * itself.
   */
  private boolean makeRoom(Sequence s, int tokens) {
    while (!blocks.allocate(s, tokens)) {
      Sequence paused = lastPaused();
      Sequence victim = paused == null ? running.getLast() : paused;
      preempt(victim);
      if (victim == s) {
        return false;
      }
    }
    return true;
  }

  private @Nullable Sequence lastPaused() {
    for (Sequence s : running.reversed()) {
      if (s.paused() && !scheduled(s)) {
        return s;
      }
    }
    return null;
  }

  private boolean scheduled(Sequence s) {
    return step.stream().anyMatch(c -> c.sequence() == s);
  }

  private void preempt(Sequence s) {
    if (scheduled(s)) {
      throw new IllegalStateException("a sequence of this step was to be preempted");
    }
    setBack(s);
    preemptions++;
  }

  private void setBack(Sequence s) {
    running.remove(s);
    blocks.release(s);
    s.recompute();
    waiting.add(s);
  }

  /** Sets back those who must yield to the first who waits, if that makes room enough. */
  private void makeWay() {
    Sequence first = firstWaiting();
    if (first == null) {
      return;
    }
    List<Sequence> yielding = yieldingTo(first);
    if (yielding.isEmpty()) {
      return;
    }
    int lacking = blocks.lacking(first);
    if (lacking > yielding.stream().mapToInt(Sequence::numBlocks).sum()) {
      return;
    }
    for (Sequence s : yielding) {
      if (running.size() < maxNumSeqs && blocks.lacking(first) <= 0) {
        return;
      }
      preempt(s);
    }
  }

  private @Nullable Sequence firstWaiting() {
    for (Sequence s : waiting) {
      if (mayStart(s)) {
        return s;
      }
    }
    return null;
  }

  private static boolean mayStart(Sequence s) {
    return !s.paused() && !s.awaitsLeader();
  }

  /** Paused ones, then those of a higher priority number; the last in rank first. */
  private List<Sequence> yieldingTo(Sequence s) {
    List<Sequence> yielding = new ArrayList<>();
    for (Sequence r : running.reversed()) {
      if (r.paused()) {
        yielding.add(r);
      }
    }
    for (Sequence r : running.reversed()) {
      if (!r.paused() && r.priority() > s.priority()) {
        yielding.add(r);
      }
    }
    return yielding;
  }

  private void scheduleWaiting(int priority) {
    Iterator<Sequence> queue = waiting.iterator();
    while (admitting && queue.hasNext()) {
      Sequence s = queue.next();
      if (s.priority() != priority || !mayStart(s)) {
        continue; // its client or its leader is waited for; it keeps its place, nobody waits for it
      }
      if (budget - decodes <= 0 || running.size() >= maxNumSeqs || !blocks.start(s)) {
        admitting = false;
        return;
      }
      queue.remove();
      int count = Math.min(s.numNewTokens(), budget - decodes);
      blocks.allocate(s, s.numComputedTokens() + count); // start() has seen that there is room
      s.state(State.RUNNING);
      insertRunning(s);
      step.add(new Chunk(s, count));
      budget -= count;
    }
  }

  private void insertRunning(Sequence s) {
    int at = Collections.binarySearch(running, s, Sequence.BY_RANK);
    running.add(-at - 1, s);
  }

  /** Enters what a step has computed of a sequence. */
  void computed(Sequence s, int count) {
    s.computed(count);
    blocks.cacheFull(s);
  }

  /** The backend has new weights: what the older ones computed is dropped, or never shared. */
  void weightsChanged(StaleKv stale) {
    blocks.clearCache();
    for (Sequence s : List.copyOf(running)) {
      switch (stale) {
        case KEEP -> s.mixWeights();
        case DROP -> setBack(s);
      }
    }
    if (stale == StaleKv.DROP) {
      waiting.forEach(Sequence::forgetScores);
    }
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

  /** Blocks add up, who waits holds none, and who runs has a block for every computed token. */
  void checkInvariants() {
    blocks.checkInvariants(all());
    for (Sequence s : waiting) {
      if (s.numBlocks() > 0 || s.numComputedTokens() > 0 || s.state() != State.WAITING) {
        throw new IllegalStateException("a waiting sequence holds blocks");
      }
    }
    for (int i = 0; i < running.size(); i++) {
      Sequence s = running.get(i);
      boolean ranked = i == 0 || Sequence.BY_RANK.compare(running.get(i - 1), s) < 0;
      boolean housed = s.numBlocks() * blocks.blockSize() >= s.numComputedTokens();
      if (!ranked || !housed || s.state() != State.RUNNING) {
        throw new IllegalStateException("running sequence %d is out of order".formatted(i));
      }
    }
  }
}
