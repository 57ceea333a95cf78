package io.tercel.server.kvevents;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;

/** One message's events: {@code [seconds since 1970, [event, ...], data-parallel rank 0]}. */
final class KvEventBatch {
  private KvEventBatch() {}

  static byte[] pack(double seconds, List<KvEvent> events) {
    try (MessageBufferPacker out = MessagePack.newDefaultBufferPacker()) {
      out.packArrayHeader(3).packDouble(seconds).packArrayHeader(events.size());
      for (KvEvent event : events) {
        event.pack(out);
      }
      out.packInt(0);
      return out.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // into memory: can't be
    }
  }
}
