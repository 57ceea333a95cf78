package io.tercel.server.openai;

import java.io.ByteArrayOutputStream;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Responses that clients may come back to, and what was said until each: in memory, for as long as
 * there is room and the process lives. Those that nobody has asked for the longest make room for
 * new ones. What is still being answered holds its place from the beginning, so that what waits is
 * bounded too. Whoever knows an id may have its response: ids can't be guessed. Thread-safe.
 */
final class ResponseStore {
  /** One response may take an eighth: a larger one would drive out all others. */
  private static final int SHARE = 8;

  /** What the map and the arrays take besides. */
  private static final int ENTRY_BYTES = 512;

  private final long limit;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<String, Stored> all = new LinkedHashMap<>(16, 0.75f, true);
  private long used;

  /**
   * One without responses.
   *
   * @param limit bytes that it may hold; 0 keeps nothing
   */
  ResponseStore(long limit) {
    this.limit = limit;
  }

  /**
   * A response's JSON, and the items of its conversation as a JSON array, the answer's included.
   */
  private static final class Stored {
    private final byte[] response;
    private final byte[] conversation;

    Stored(byte[] response, byte[] conversation) {
      this.response = response;
      this.conversation = conversation;
    }

    long bytes() {
      return ENTRY_BYTES + (long) response.length + conversation.length;
    }
  }

  /** Whether it keeps any. */
  boolean keeps() {
    return limit > 0;
  }

  /** Bytes that it holds, those of answers on their way included. */
  long used() {
    lock.lock();
    try {
      return used;
    } finally {
      lock.unlock();
    }
  }

  /** A response's JSON; null if there is none of that id. */
  byte @Nullable [] response(String id) {
    Stored stored = get(id);
    return stored == null ? null : stored.response;
  }

  /**
   * What was said until a response and in it, as a JSON array; null if there is none of that id.
   */
  byte @Nullable [] conversation(String id) {
    Stored stored = get(id);
    return stored == null ? null : stored.conversation;
  }

  private @Nullable Stored get(String id) {
    lock.lock();
    try {
      return all.get(id);
    } finally {
      lock.unlock();
    }
  }

  /** Forgets a response; false if there is none of that id. */
  boolean remove(String id) {
    lock.lock();
    try {
      Stored removed = all.remove(id);
      used -= removed == null ? 0 : removed.bytes();
      return removed != null;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Makes room for an answer that begins.
   *
   * @param conversation as a JSON array, without the answer; null keeps nothing of it
   */
  Draft draft(byte @Nullable [] conversation) {
    boolean fits = conversation != null && take(ENTRY_BYTES + (long) conversation.length);
    return new Draft(fits ? conversation : null);
  }

  /** Takes bytes, from the eldest where there are too few; false if there aren't enough so. */
  private boolean take(long bytes) {
    if (bytes > limit / SHARE) {
      return false;
    }
    lock.lock();
    try {
      Iterator<Stored> eldest = all.values().iterator();
      while (used + bytes > limit && eldest.hasNext()) {
        used -= eldest.next().bytes();
        eldest.remove();
      }
      if (used + bytes > limit) {
        return false; // all of it is held by answers on their way
      }
      used += bytes;
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void giveBack(long bytes) {
    lock.lock();
    try {
      used -= bytes;
    } finally {
      lock.unlock();
    }
  }

  /** An answer on its way, which is forgotten if it isn't kept until it is closed. */
  final class Draft implements AutoCloseable {
    private byte @Nullable [] conversation;

    private Draft(byte @Nullable [] conversation) {
      this.conversation = conversation;
    }

    /** Whether it is to be kept, as far as one can say. */
    boolean open() {
      return conversation != null;
    }

    /**
     * Keeps the answer.
     *
     * @param output its items as a JSON array
     * @return whether there was room for it
     */
    boolean keep(String id, byte[] response, byte[] output) {
      byte[] before = conversation;
      if (before == null) {
        return false;
      }
      byte[] whole = joined(before, output);
      long more = (long) response.length + whole.length - before.length;
      Stored stored = new Stored(response, whole);
      if (stored.bytes() > limit / SHARE || !take(more)) {
        return false;
      }
      conversation = null; // its place is the response's now
      lock.lock();
      try {
        all.put(id, stored);
      } finally {
        lock.unlock();
      }
      return true;
    }

    @Override
    public void close() {
      if (conversation != null) {
        giveBack(ENTRY_BYTES + (long) conversation.length);
        conversation = null;
      }
    }
  }

  /** Two JSON arrays as one. */
  private static byte[] joined(byte[] first, byte[] second) {
    boolean apart = first.length > 2 && second.length > 2;
    ByteArrayOutputStream all = new ByteArrayOutputStream(first.length + second.length);
    all.write(first, 0, first.length - 1);
    if (apart) {
      all.write(',');
    }
    all.write(second, 1, second.length - 1);
    return all.toByteArray();
  }
}
