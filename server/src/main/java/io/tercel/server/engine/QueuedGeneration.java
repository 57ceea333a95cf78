package io.tercel.server.engine;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.Consumer;
import java.util.function.ObjIntConsumer;

/**
 * The engine's side of a {@link Generation}: a queue of events and, for each choice, how many of
 * them are unread. The engine never waits on it: it computes nothing for a choice whose queue is
 * {@link #full}, so that a client that doesn't read holds up itself alone.
 */
final class QueuedGeneration implements Generation {
  /** Unread events of one choice at which it is paused. */
  static final int CAPACITY = 256;

  private final String id;
  private final LinkedBlockingQueue<EngineEvent> events = new LinkedBlockingQueue<>();
  private final AtomicIntegerArray unread;
  private final Runnable onRoom;
  private final ObjIntConsumer<QueuedGeneration> onCancelChoice;
  private final Consumer<QueuedGeneration> onCancel;

  /**
   * @param onRoom called when a full choice has room again
   */
  QueuedGeneration(
      String id,
      int choices,
      Runnable onRoom,
      ObjIntConsumer<QueuedGeneration> onCancelChoice,
      Consumer<QueuedGeneration> onCancel) {
    this.id = id;
    this.unread = new AtomicIntegerArray(choices);
    this.onRoom = onRoom;
    this.onCancelChoice = onCancelChoice;
    this.onCancel = onCancel;
  }

  @Override
  public String id() {
    return id;
  }

  /** Whether the choice must wait for its client. */
  boolean full(int choice) {
    return unread.get(choice) >= CAPACITY;
  }

  /** Adds an event; from the engine thread, except before the engine knows of it. */
  void post(EngineEvent event) {
    if (event instanceof EngineEvent.Token token) {
      unread.incrementAndGet(token.choice());
    }
    events.add(event);
  }

  @Override
  public EngineEvent take() throws InterruptedException {
    EngineEvent event = events.take();
    if (event instanceof EngineEvent.Token token
        && unread.getAndDecrement(token.choice()) == CAPACITY) {
      onRoom.run();
    }
    return event;
  }

  @Override
  public void cancel(int choice) {
    onCancelChoice.accept(this, choice);
  }

  @Override
  public void cancel() {
    onCancel.accept(this);
  }
}
