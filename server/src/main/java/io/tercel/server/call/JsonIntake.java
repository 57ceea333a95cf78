package io.tercel.server.call;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.Semaphore;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Where bodies become requests. A tree of JSON nodes takes up to twenty times the memory of its
 * text, and a tokenizer takes its share too; so of large bodies only so many bytes are read at
 * once, in the order in which they came, and small ones pass by.
 */
public final class JsonIntake {
  /** Ordinary chats; a thousand of their trees are no trouble. */
  private static final int SMALL = 16 << 10;

  /**
   * Bytes of large bodies that are read at once; a larger one is read alone. Twenty times as much
   * is a third of the heap.
   */
  private static final int ROOM =
      (int) Math.clamp(Runtime.getRuntime().maxMemory() / 64, 1 << 20, 8 << 20);

  private final Semaphore room = new Semaphore(ROOM, true);

  /**
   * Parses a body and makes a request of it; the tree should not outlive the reader.
   *
   * @throws ApiException if the body isn't one JSON object, or by the reader
   */
  public <T> T read(byte[] json, Function<ObjectNode, T> reader) throws InterruptedException {
    return read(json.length, () -> Json.parseObject(json), reader);
  }

  /**
   * Makes a tree of what came in another form, and a request of that.
   *
   * @param length of what came, in bytes
   * @throws ApiException by either
   */
  public <T> T read(int length, Supplier<ObjectNode> tree, Function<ObjectNode, T> reader)
      throws InterruptedException {
    int bytes = length <= SMALL ? 0 : Math.min(length, ROOM);
    if (bytes == 0) { // a fair semaphore would let it wait behind the large ones
      return reader.apply(tree.get());
    }
    room.acquire(bytes);
    try {
      return reader.apply(tree.get());
    } finally {
      room.release(bytes);
    }
  }
}
