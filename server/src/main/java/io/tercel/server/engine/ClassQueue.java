package io.tercel.server.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The sequences of one class of service that run or wait, by rank. Owned by the scheduler. */
final class ClassQueue {
  final ServiceClass serviceClass;
  private final List<Sequence> running = new ArrayList<>();
  private final TreeSet<Sequence> waiting = new TreeSet<>(Sequence.BY_RANK);
  private long preemptions;
  private long lastAdmission;

  // of the step that is being made
  private int numTokens;
  private @Nullable Sequence next;
  private boolean nextIsKnown;

  ClassQueue(ServiceClass serviceClass) {
    this.serviceClass = serviceClass;
  }

  /** A new step is made: looks once at every client. */
  void begin() {
    numTokens = 0;
    nextIsKnown = false;
    running.forEach(Sequence::lookAtClient);
    waiting.forEach(Sequence::lookAtClient);
    running.forEach(Sequence::clearScheduled);
    waiting.forEach(Sequence::clearScheduled);
  }

  List<Sequence> running() {
    return running;
  }

  Iterable<Sequence> waiting() {
    return waiting;
  }

  int numRunning() {
    return running.size();
  }

  int numWaiting() {
    return waiting.size();
  }

  /** Those, running or waiting, whose clients had fallen behind when the last step was made. */
  int numStalled() {
    return (int)
        (running.stream().filter(Sequence::stalled).count()
            + waiting.stream().filter(Sequence::stalled).count());
  }

  boolean isEmpty() {
    return running.isEmpty() && waiting.isEmpty();
  }

  /** The first in rank who runs and whose client reads: not to be set back for another class. */
  @Nullable Sequence first() {
    for (Sequence s : running) {
      if (!s.stalled()) {
        return s;
      }
    }
    return null;
  }

  /** The first who waits for room alone: for no client, and for nobody's prompt. */
  @Nullable Sequence next() {
    if (!nextIsKnown) {
      next = null;
      for (Sequence s : waiting) {
        if (!s.stalled() && !s.awaitsPrompt()) {
          next = s;
          break;
        }
      }
      nextIsKnown = true;
    }
    return next;
  }

  void await(Sequence s) {
    waiting.add(s);
    nextIsKnown = false;
  }

  /**
   * It leaves the queue and runs.
   *
   * @param turn rises from admission to admission, of whatever class
   */
  void admit(Sequence s, long turn) {
    remove(s);
    int at = Collections.binarySearch(running, s, Sequence.BY_RANK);
    running.add(-at - 1, s);
    lastAdmission = turn;
  }

  /** Takes it out, wherever it is. */
  void remove(Sequence s) {
    if (s.state() == Sequence.State.RUNNING) {
      running.remove(s);
    } else {
      waiting.remove(s);
      nextIsKnown = false;
    }
  }

  /** Of its class, the turn of the last one admitted. */
  long lastAdmission() {
    return lastAdmission;
  }

  /** Tokens of the step that are the class's, those set aside included. */
  int numTokens() {
    return numTokens;
  }

  void addTokens(int count) {
    numTokens += count;
  }

  long preemptions() {
    return preemptions;
  }

  void countPreemption() {
    preemptions++;
  }

  /** Who waits holds nothing, and who runs has a block for every computed token. */
  void checkInvariants(int blockSize) {
    for (Sequence s : waiting) {
      if (s.numBlocks() > 0 || s.numComputedTokens() > 0 || s.state() != Sequence.State.WAITING) {
        throw new IllegalStateException("a waiting sequence holds blocks");
      }
    }
    for (int i = 0; i < running.size(); i++) {
      Sequence s = running.get(i);
      boolean ranked = i == 0 || Sequence.BY_RANK.compare(running.get(i - 1), s) < 0;
      boolean housed = s.numBlocks() * blockSize >= s.numComputedTokens();
      if (!ranked || !housed || s.state() != Sequence.State.RUNNING) {
        throw new IllegalStateException("running sequence %d is out of order".formatted(i));
      }
    }
  }
}
