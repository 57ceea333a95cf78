package io.tercel.server.engine;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * The engine's side of a {@link Generation}: a queue of events and, for each choice, how many of
 * them are unread. The engine never waits on it: it computes nothing for a choice whose queue is
 * {@link #full}, so that a client that doesn't read holds up itself alone.
 */
final class QueuedGeneration implements Generation {
  /** Unread events of one choice at which it is stalled: it computes nothing more. */
  static final int CAPACITY = 256;

  /** Unread events down to which a client must read before a preempted choice comes back. */
  static final int RESUME = CAPACITY / 2;

  /** What a client asks of the engine; called from any thread. */
  interface Owner {
    /** A stalled choice may go on. */
    void onRoom();

    /** Ends a choice, or all when it is negative, for this reason. */
    void onEnd(QueuedGeneration generation, int choice, EngineEvent.FinishReason reason);
  }

  private final String id;
  private final LinkedBlockingQueue<EngineEvent> events = new LinkedBlockingQueue<>();
  private final AtomicIntegerArray unread;
  private final Owner owner;
  private volatile long lastRead = System.nanoTime();

  QueuedGeneration(String id, int choices, Owner owner) {
    this.id = id;
    this.unread = new AtomicIntegerArray(choices);
    this.owner = owner;
  }

  @Override
  public String id() {
    return id;
  }

  /** Whether the choice must wait for its client. */
  boolean full(int choice) {
    return unread.get(choice) >= CAPACITY;
  }

  /** Whether there is room enough that starting the choice again is worth it. */
  boolean roomy(int choice) {
    return unread.get(choice) <= RESUME;
  }

  /** When the client last took something, or filled its queue, by {@link System#nanoTime}. */
  long lastRead() {
    return lastRead;
  }

  /** Adds an event; from the engine thread, except before the engine knows of it. */
  void post(EngineEvent event) {
    if (event instanceof EngineEvent.Token token
        && unread.incrementAndGet(token.choice()) == CAPACITY) {
      lastRead = System.nanoTime(); // the stall begins
    }
    events.add(event);
  }

  @Override
  public EngineEvent take() throws InterruptedException {
    EngineEvent event = events.take();
    lastRead = System.nanoTime();
    if (event instanceof EngineEvent.Token token) {
      int before = unread.getAndDecrement(token.choice());
      if (before == CAPACITY || before == RESUME + 1) {
        owner.onRoom();
      }
    }
    return event;
  }

  @Override
  public void cancel(int choice) {
    owner.onEnd(this, choice, EngineEvent.FinishReason.ABORT);
  }

  @Override
  public void stop(int choice) {
    owner.onEnd(this, choice, EngineEvent.FinishReason.STOP);
  }

  @Override
  public void cancel() {
    owner.onEnd(this, -1, EngineEvent.FinishReason.ABORT);
  }
}
