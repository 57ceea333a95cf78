package io.tercel.server.engine;

import io.tercel.server.engine.Sequence.State;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Who has their turn when in a step, and who is set back for whom.
 *
 * <p><b>Making way.</b> For want of a place or of blocks, who is next to be admitted sets back, in
 * this order: those whose clients don't read; those of its own class with a higher priority number;
 * and if its class has less than its share of what it lacks, those of later classes that have more
 * than theirs, the last class first.
 *
 * <p><b>Growing.</b> A running sequence that needs a block when none can be had sets back the last
 * one: of those whose clients don't read; else, the first of each class excepted, of the last class
 * that holds more than its share of the blocks; else of the last class. If that is itself, or all
 * others are the first of their class, it goes.
 *
 * <p>Says who, and changes nothing but its own list of turns. Owned by the scheduler.
 */
final class PreemptionOrder {
  private final List<ClassQueue> queues;
  private final BlockManager blocks;
  private final ClassShares shares;
  private final List<Sequence> turns = new ArrayList<>();
  private int numFirst; // of the turns, those that are the first of their class

  PreemptionOrder(List<ClassQueue> queues, BlockManager blocks, ClassShares shares) {
    this.queues = queues;
    this.blocks = blocks;
    this.shares = shares;
  }

  /**
   * A new step is made: the first of each class has its turn, then the others, the classes that
   * hold more than their share of the blocks last. They yield in the reverse order.
   */
  void begin() {
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

  private boolean holdsMoreThanItsShare(ClassQueue queue) {
    return blocks.numHeld(queue.serviceClass) > shares.blocks(queue.serviceClass);
  }

  /** Those who run, in turn; some may have been set back since. */
  List<Sequence> turns() {
    return turns;
  }

  /** One who was just admitted has its turn after all others. */
  void add(Sequence s) {
    turns.add(s);
  }

  /**
   * Who goes so that {@code s} can grow: the last whose client doesn't read; else the last who may
   * be set back and is not in the step; or itself.
   */
  Sequence victimFor(Sequence s) {
    Sequence stalled = lastStalled();
    if (stalled != null) {
      return stalled;
    }
    for (Sequence r : turns.subList(numFirst, turns.size()).reversed()) {
      if (r == s || (r.state() == State.RUNNING && r.numScheduled() == 0)) {
        return r;
      }
    }
    return s;
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

  /**
   * Who may be set back for one who waits, in this order.
   *
   * @param queue its class
   * @param noPlace whether it lacks a running place
   * @param noBlocks whether it lacks blocks
   */
  List<Sequence> yieldingTo(Sequence s, ClassQueue queue, boolean noPlace, boolean noBlocks) {
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
}
