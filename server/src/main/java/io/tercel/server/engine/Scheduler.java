package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Decides who computes what in the next step.
 *
 * <p><b>Classes.</b> Each request is of a {@link ServiceClass}, and each class has a share of the
 * running places, of the KV blocks and of the step's tokens ({@link ClassShares}). Shares are
 * counted among the classes that have something to do: what one does not use is the others', so a
 * lone class has everything. A class may be above its share as long as nobody else wants what it
 * has.
 *
 * <p><b>Rank.</b> Within a class the lower {@code priority} comes first, then the earlier request,
 * then the lower choice. The first who runs in a class is set back for nobody: so each class gets
 * on, one sequence after the other, whatever the others ask.
 *
 * <p><b>A step.</b> Every running decode's token is set aside first, so a long prompt delays others
 * by at most one budget's worth of computing. Then, up to its share of the tokens, each class
 * computes chunks of its running sequences by rank and admits waiting ones (before a chunk of
 * higher priority number is computed); what is left goes round once more without shares.
 *
 * <p><b>Admission.</b> A free place goes to the class with the least of its share ({@link
 * AdmissionOrder}), and there to the first in rank, if all its tokens find room. If they don't,
 * nobody is admitted: small ones must not eat what a large one waits for.
 *
 * <p><b>Preemption.</b> Who is next to be admitted may set others back, and so may a running
 * sequence that grows when no block can be had; {@link PreemptionOrder} says whom. Nobody is set
 * back for a newcomer in vain, when it would not make room enough.
 *
 * <p>Who is set back gives all its blocks back, waits at its rank and is computed again, prompt and
 * output alike, with the same results (the backend's logits don't depend on how a sequence was
 * cut). Mostly it finds its own blocks in the prefix cache. Sequences whose clients don't read
 * ("stalled") keep their blocks until somebody needs them, but compute nothing, and nobody waits
 * for them. Who shares a prompt waits until one of them has computed it ({@link SharedPrompt}).
 *
 * <p>Owned by the engine thread; no model in sight.
 */
final class Scheduler {
  /**
   * A sequence's part of a step: tokens [numComputedTokens, numComputedTokens + count).
   *
   * @param draft tokens computed behind them, in case they come next
   */
  record Chunk(Sequence sequence, int count, int[] draft) {
    private static final int[] NONE = {};

    Chunk(Sequence sequence, int count) {
      this(sequence, count, NONE);
    }

    /** Whether the sequence's next token is drawn. */
    boolean samples() {
      return count == sequence.numNewTokens();
    }
  }

  private final BlockManager blocks;
  private final int maxNumSeqs;
  private final int maxNumBatchedTokens;
  private final ClassShares shares;
  private final List<ClassQueue> queues =
      Arrays.stream(ServiceClass.values()).map(ClassQueue::new).toList();
  private final AdmissionOrder admissions;
  private final PreemptionOrder order;
  private final SharedPrompt.Registry prompts = new SharedPrompt.Registry();
  private long weightVersion;
  private long turn;
  private long brokenKv;
  private long brokenKvTokens;

  // of the step that is being made
  private final List<Sequence> step = new ArrayList<>();
  private int budget;
  private int setAside; // for running decodes still to be placed, a token each

  Scheduler(BlockManager blocks, EngineConfig config, long weightVersion) {
    this.blocks = blocks;
    this.maxNumSeqs = config.maxNumSeqs();
    this.maxNumBatchedTokens = config.maxNumBatchedTokens();
    this.weightVersion = weightVersion;
    this.shares = new ClassShares(config, blocks.numBlocks());
    this.admissions = new AdmissionOrder(queues, blocks, shares);
    this.order = new PreemptionOrder(queues, blocks, shares);
  }

  /** Queues the choices of a new request. */
  void add(List<Sequence> choices) {
    if (blocks.caching()) {
      prompts.add(choices);
    }
    choices.forEach(s -> queue(s).await(s));
  }

  private ClassQueue queue(Sequence s) {
    return queues.get(s.serviceClass().ordinal());
  }

  /** Fills the next step; empty when nobody can run. */
  List<Chunk> schedule() {
    step.clear();
    budget = maxNumBatchedTokens;
    setAside = 0;
    Set<ServiceClass> busy = EnumSet.noneOf(ServiceClass.class);
    for (ClassQueue queue : queues) {
      queue.begin();
      if (!queue.isEmpty()) {
        busy.add(queue.serviceClass);
      }
    }
    if (busy.isEmpty()) {
      return List.of();
    }
    shares.among(busy);
    setAsideDecodes();
    makeWay();
    order.begin();
    fill(true);
    fill(false);
    return step.stream().map(s -> new Chunk(s, s.numScheduled())).toList();
  }

  private void fill(boolean withinShares) {
    order.turns().stream()
        .filter(s -> !isOutranked(s))
        .forEach(s -> scheduleRunning(s, withinShares));
    admit(withinShares);
    order.turns().forEach(s -> scheduleRunning(s, withinShares));
  }

  /** Whether it is catching up while one of higher priority waits in its class. */
  private boolean isOutranked(Sequence s) {
    Sequence waits = queue(s).next();
    return waits != null && waits.priority() < s.priority() && s.numNewTokens() > 1;
  }

  private void setAsideDecodes() {
    for (ClassQueue queue : queues) {
      int decodes = (int) queue.running().stream().filter(Scheduler::isDecode).count();
      queue.addTokens(decodes);
      setAside += decodes;
    }
  }

  private static boolean isDecode(Sequence s) {
    return s.numNewTokens() == 1 && !s.stalled();
  }

  /** Tokens that the class may still have in this step, beside those set aside. */
  private int left(ClassQueue queue, boolean withinShares) {
    int free = budget - setAside;
    int share = shares.tokens(queue.serviceClass) - queue.numTokens();
    return withinShares ? Math.min(free, share) : free;
  }

  private void scheduleRunning(Sequence s, boolean withinShares) {
    int wanted = s.numNewTokens() - s.numScheduled();
    if (s.state() != State.RUNNING || s.stalled() || wanted == 0) {
      return;
    }
    ClassQueue queue = queue(s);
    boolean decode = s.numNewTokens() == 1;
    int count = decode ? 1 : Math.min(wanted, left(queue, withinShares));
    if (count <= 0) {
      return;
    }
    int tokens = s.numComputedTokens() + s.numScheduled() + count;
    // one that has a chunk already takes more only where nobody must go for it
    if (s.numScheduled() > 0 ? blocks.allocate(s, tokens) : makeRoom(s, tokens)) {
      if (decode) {
        putBackDecode(queue);
      }
      take(queue, s, count);
    }
  }

  private void putBackDecode(ClassQueue queue) {
    setAside--;
    queue.addTokens(-1);
  }

  private void take(ClassQueue queue, Sequence s, int count) {
    if (s.numScheduled() == 0) {
      step.add(s);
    }
    s.schedule(count);
    queue.addTokens(count);
    budget -= count;
  }

  /**
   * Gives the sequence blocks for so many tokens, setting others back; false when it had to go
   * itself.
   */
  private boolean makeRoom(Sequence s, int tokens) {
    while (!blocks.allocate(s, tokens)) {
      Sequence victim = order.victimFor(s);
      preempt(victim);
      if (victim == s) {
        return false;
      }
    }
    return true;
  }

  private void preempt(Sequence s) {
    if (s.numScheduled() > 0) {
      throw new IllegalStateException("a sequence of this step was to be preempted");
    }
    if (isDecode(s)) {
      putBackDecode(queue(s));
    }
    queue(s).countPreemption();
    setBack(s);
  }

  private void setBack(Sequence s) {
    queue(s).remove(s);
    blocks.release(s);
    s.recompute(weightVersion);
    queue(s).await(s);
  }

  /** Sets back those who must yield to whoever is next, if that makes room enough. */
  private void makeWay() {
    ClassQueue queue = admissions.neediest(_ -> true);
    Sequence s = queue == null ? null : queue.next();
    if (queue == null || s == null) {
      return;
    }
    boolean noPlace = numRunning() >= maxNumSeqs;
    int lacking = blocks.lacking(s);
    if (!noPlace && lacking <= 0) {
      return;
    }
    List<Sequence> leaving = new ArrayList<>();
    for (Sequence r : order.yieldingTo(s, queue, noPlace, lacking > 0)) {
      leaving.add(r);
      if (numRunning() - leaving.size() < maxNumSeqs && blocks.wouldFree(leaving, s) >= lacking) {
        leaving.forEach(this::preempt);
        start(queue, s, Math.max(1, left(queue, true))); // before others grow into the room
        return;
      }
    }
  }

  private void admit(boolean withinShares) {
    while (numRunning() < maxNumSeqs) {
      ClassQueue queue = admissions.neediest(q -> left(q, withinShares) > 0);
      Sequence s = queue == null ? null : queue.next();
      if (queue == null || s == null || !start(queue, s, left(queue, withinShares))) {
        return;
      }
    }
  }

  /** Has one who waits run, with so many tokens at most; false if they find no room. */
  private boolean start(ClassQueue queue, Sequence s, int most) {
    if (most <= 0 || budget <= setAside || !blocks.start(s)) {
      return false;
    }
    int count = Math.min(s.numNewTokens(), most);
    blocks.allocate(s, s.numComputedTokens() + count); // start() has seen that there is room
    queue.admit(s, ++turn);
    s.state(State.RUNNING);
    countBrokenKv(s.noteBrokenKv(weightVersion));
    order.add(s); // for what is left
    take(queue, s, count);
    return true;
  }

  private void countBrokenKv(int lost) {
    if (lost > 0) {
      brokenKv++;
      brokenKvTokens += lost;
    }
  }

  /** Enters what a step has computed of a sequence. */
  void computed(Sequence s, int count) {
    s.computed(count);
    blocks.cacheFull(s);
  }

  /**
   * The backend has new weights: what the older ones computed is never found again, and each
   * running sequence drops its own or keeps it, as its request says.
   *
   * @param keysStay whether what is kept can still be read: else it is lost as to a preemption
   */
  void weightsChanged(long version, boolean keysStay) {
    for (Sequence s : keysStay ? List.<Sequence>of() : all()) {
      if (s.staleKv() == StaleKv.KEEP && s.state() == State.RUNNING) {
        setBack(s); // while the version is the one that made what it loses
      }
    }
    weightVersion = version;
    blocks.clearCache();
    for (Sequence s : all()) {
      if (s.staleKv() == StaleKv.DROP) {
        if (s.state() == State.RUNNING) {
          setBack(s);
        }
        s.forgetScores();
      } else if (s.numComputedTokens() > 0) {
        countBrokenKv(s.mixWeights(version));
      }
    }
  }

  /** Takes a sequence out, wherever it is, and its blocks with it. */
  void remove(Sequence s) {
    queue(s).remove(s);
    prompts.remove(s);
    blocks.release(s);
    s.state(State.FINISHED);
  }

  int numRunning() {
    return queues.stream().mapToInt(ClassQueue::numRunning).sum();
  }

  int numWaiting() {
    return queues.stream().mapToInt(ClassQueue::numWaiting).sum();
  }

  boolean isEmpty() {
    return queues.stream().allMatch(ClassQueue::isEmpty);
  }

  ClassQueue queue(ServiceClass c) {
    return queues.get(c.ordinal());
  }

  long preemptions() {
    return queues.stream().mapToLong(ClassQueue::preemptions).sum();
  }

  /** How often kept keys were lost, and of how many tokens. */
  EngineStats.BrokenKv brokenKv() {
    return new EngineStats.BrokenKv(brokenKv, brokenKvTokens);
  }

  /** Every sequence that is not finished. */
  List<Sequence> all() {
    List<Sequence> all = new ArrayList<>();
    queues.forEach(queue -> all.addAll(queue.running()));
    queues.forEach(queue -> queue.waiting().forEach(all::add));
    return all;
  }

  /** Blocks add up, and so does what each class holds. */
  void checkInvariants() {
    blocks.checkInvariants(all());
    prompts.checkInvariants();
    queues.forEach(queue -> queue.checkInvariants(blocks.blockSize()));
  }
}
