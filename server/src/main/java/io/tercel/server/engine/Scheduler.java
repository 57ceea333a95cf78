package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

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
 * <p><b>Admission.</b> A free place goes to the class whose dominant share is the smallest: what it
 * has of its share of places or of blocks, whichever is more; the earlier class among equals. There
 * it goes to the first in rank, if all its tokens find room. If they don't, nobody is admitted:
 * small ones must not eat what a large one waits for. (With fewer places than classes, the classes
 * take turns.)
 *
 * <p><b>Making way.</b> For want of a place or of blocks, who is next to be admitted sets back, in
 * this order: those whose clients don't read; those of its own class with a higher priority number;
 * and if its class has less than its share of what it lacks, those of later classes that have more
 * than theirs, the last class first. Nobody is set back in vain, when it would not make room
 * enough.
 *
 * <p><b>Growing.</b> A running sequence that needs a block when none can be had sets back the last
 * one: of those whose clients don't read; else, the first of each class excepted, of the last class
 * that holds more than its share of the blocks; else of the last class. If that is itself, or all
 * others are the first of their class, it goes.
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
  /** A sequence's part of a step: tokens [numComputedTokens, numComputedTokens + count). */
  record Chunk(Sequence sequence, int count) {}

  private final BlockManager blocks;
  private final int maxNumSeqs;
  private final int maxNumBatchedTokens;
  private final ClassShares shares;
  private final List<ClassQueue> queues =
      Arrays.stream(ServiceClass.values()).map(ClassQueue::new).toList();
  private final SharedPrompt.Registry prompts = new SharedPrompt.Registry();
  private long weightVersion;
  private long turn;
  private long brokenKv;
  private long brokenKvTokens;

  // of the step that is being made
  private final List<Sequence> step = new ArrayList<>();
  private final List<Sequence> turns = new ArrayList<>();
  private int numFirst; // of the turns, those that are the first of their class
  private int budget;
  private int setAside; // for running decodes still to be placed, a token each

  Scheduler(BlockManager blocks, EngineConfig config, long weightVersion) {
    this.blocks = blocks;
    this.maxNumSeqs = config.maxNumSeqs();
    this.maxNumBatchedTokens = config.maxNumBatchedTokens();
    this.weightVersion = weightVersion;
    this.shares = new ClassShares(config, blocks.numBlocks());
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
    putInTurn();
    fill(true);
    fill(false);
    return step.stream().map(s -> new Chunk(s, s.numScheduled())).toList();
  }

  /**
   * Who has their turn when, and yields in the reverse order: the first of each class, then the
   * others, the classes that hold more than their share of the blocks last.
   */
  private void putInTurn() {
    turns.clear();
    queues.stream().map(ClassQueue::first).filter(Objects::nonNull).forEach(turns::add);
    numFirst = turns.size();
    List<ClassQueue> order = new ArrayList<>(queues);
    order.sort(Comparator.comparing(this::holdsMoreThanItsShare)); // stable: else as they are
    for (ClassQueue queue : order) {
      Sequence first = queue.first();
      queue.running().stream().filter(s -> s != first).forEach(turns::add);
    }
  }

  private void fill(boolean withinShares) {
    turns.stream().filter(s -> !isOutranked(s)).forEach(s -> scheduleRunning(s, withinShares));
    admit(withinShares);
    turns.forEach(s -> scheduleRunning(s, withinShares));
  }

  /** Whether it is catching up while one of higher priority waits in its class. */
  private boolean isOutranked(Sequence s) {
    Sequence waits = queue(s).next();
    return waits != null && waits.priority() < s.priority() && s.numNewTokens() > 1;
  }

  private boolean holdsMoreThanItsShare(ClassQueue queue) {
    return blocks.numHeld(queue.serviceClass) > shares.blocks(queue.serviceClass);
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
      Sequence stalled = lastStalled();
      Sequence victim = stalled == null ? last(s) : stalled;
      preempt(victim);
      if (victim == s) {
        return false;
      }
    }
    return true;
  }

  private @Nullable Sequence lastStalled() {
    for (ClassQueue queue : queues.reversed()) {
      for (Sequence r : queue.running().reversed()) {
        if (r.stalled()) {
          return r;
        }
      }
    }
    return null;
  }

  /** Who goes for {@code s}: the last who may be set back and is not in the step; or itself. */
  private Sequence last(Sequence s) {
    for (Sequence r : turns.subList(numFirst, turns.size()).reversed()) {
      if (r == s || (r.state() == State.RUNNING && r.numScheduled() == 0)) {
        return r;
      }
    }
    return s;
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
    ClassQueue queue = neediest(_ -> true);
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
    for (Sequence r : yieldingTo(s, queue, noPlace, lacking > 0)) {
      leaving.add(r);
      if (numRunning() - leaving.size() < maxNumSeqs && blocks.wouldFree(leaving, s) >= lacking) {
        leaving.forEach(this::preempt);
        start(queue, s, Math.max(1, left(queue, true))); // before others grow into the room
        return;
      }
    }
  }

  /** Who may be set back for one who waits, in this order. */
  private List<Sequence> yieldingTo(
      Sequence s, ClassQueue queue, boolean noPlace, boolean noBlocks) {
    List<Sequence> yielding = new ArrayList<>();
    for (ClassQueue other : queues.reversed()) {
      other.running().reversed().stream().filter(Sequence::stalled).forEach(yielding::add);
    }
    for (Sequence r : queue.running().reversed()) {
      if (!r.stalled() && r.priority() > s.priority()) {
        yielding.add(r);
      }
    }
    ServiceClass c = queue.serviceClass;
    boolean takesPlaces = noPlace && queue.numRunning() < shares.places(c);
    boolean takesBlocks = noBlocks && blocks.numHeld(c) < shares.blocks(c);
    for (ClassQueue later : queues.subList(c.ordinal() + 1, queues.size()).reversed()) {
      addSurplus(later, takesPlaces, takesBlocks, yielding);
    }
    return yielding;
  }

  /** Adds those by whom a class is above its share of places, or of blocks. */
  private void addSurplus(
      ClassQueue queue, boolean ofPlaces, boolean ofBlocks, List<Sequence> surplus) {
    int places = ofPlaces ? queue.numRunning() - shares.places(queue.serviceClass) : 0;
    int held =
        ofBlocks ? blocks.numHeld(queue.serviceClass) - shares.blocks(queue.serviceClass) : 0;
    Sequence first = queue.first();
    for (Sequence r : queue.running().reversed()) {
      if (places <= 0 && held <= 0) {
        return;
      }
      if (!r.stalled() && r != first) {
        surplus.add(r);
        places--;
        held -= blocks.numHeldAlone(r);
      }
    }
  }

  /** Of these classes the one that a free place goes to; null if nobody waits who could start. */
  private @Nullable ClassQueue neediest(Predicate<ClassQueue> among) {
    ClassQueue neediest = null;
    for (ClassQueue queue : queues) {
      boolean waits = queue.next() != null && among.test(queue);
      if (waits && (neediest == null || needsMore(queue, neediest))) {
        neediest = queue;
      }
    }
    return neediest;
  }

  private boolean needsMore(ClassQueue a, ClassQueue b) {
    if (shares.places(a.serviceClass) == 0) { // fewer places than classes: in turn
      return a.lastAdmission() < b.lastAdmission();
    }
    return dominantShare(a) < dominantShare(b);
  }

  /** What it has of its share of places or of blocks, whichever is more: 1 is its whole share. */
  private double dominantShare(ClassQueue queue) {
    ServiceClass c = queue.serviceClass;
    return Math.max(
        (double) queue.numRunning() / shares.places(c),
        (double) blocks.numHeld(c) / Math.max(1, shares.blocks(c)));
  }

  private void admit(boolean withinShares) {
    while (numRunning() < maxNumSeqs) {
      ClassQueue queue = neediest(q -> left(q, withinShares) > 0);
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
    noteBrokenKv(s);
    turns.add(s); // for what is left
    take(queue, s, count);
    return true;
  }

  private void noteBrokenKv(Sequence s) {
    int lost = s.noteBrokenKv(weightVersion);
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
   */
  void weightsChanged(long version) {
    weightVersion = version;
    blocks.clearCache();
    for (Sequence s : all()) {
      if (s.staleKv() == StaleKv.DROP) {
        if (s.state() == State.RUNNING) {
          setBack(s);
        }
        s.forgetScores();
      } else if (s.numComputedTokens() > 0) {
        s.mixWeights();
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
