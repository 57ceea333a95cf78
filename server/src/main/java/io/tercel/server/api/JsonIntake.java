package io.tercel.server.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/**
 * Where bodies become requests. A tree of JSON nodes takes up to twenty times the memory of its
 * text, and a tokenizer takes its share too; so of large bodies only so many bytes are read at
 * once, in the order in which they came, and small ones pass by.
 */
final class JsonIntake {
  /** Ordinary chats; a thousand of their trees are no trouble. */
  private static final int SMALL = 16 << 10;

  /** Bytes of large bodies that are read at once; a larger one is read alone. */
  private static final int ROOM = 8 << 20;

  private final Semaphore room = new Semaphore(ROOM, true);

  /**
   * Parses a body and makes a request of it; the tree should not outlive the reader.
   *
   * @throws ApiException if the body isn't one JSON object, or by the reader
   */
  <T> T read(byte[] json, Function<ObjectNode, T> reader) throws InterruptedException {
    int bytes = json.length <= SMALL ? 0 : Math.min(json.length, ROOM);
    if (bytes == 0) { // a fair semaphore would let it wait behind the large ones
      return reader.apply(Json.parseObject(json));
    }
    room.acquire(bytes);
    try {
      return reader.apply(Json.parseObject(json));
    } finally {
      room.release(bytes);
    }
  }
}
