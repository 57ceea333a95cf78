package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufOutputStream;
import io.tercel.server.call.Json;
import java.io.IOException;
import java.io.OutputStream;

/** JSON written straight into Netty's buffers. */
final class JsonBuffer {
  private static final byte[] NOTHING = {};

  private JsonBuffer() {}

  static ByteBuf of(ByteBufAllocator alloc, Object value) {
    return of(alloc, NOTHING, value, NOTHING);
  }

  /** The value's JSON between a prefix and a suffix, in a buffer that the caller owns. */
  static ByteBuf of(ByteBufAllocator alloc, byte[] prefix, Object value, byte[] suffix) {
    ByteBuf buffer = alloc.buffer();
    try (OutputStream stream = new ByteBufOutputStream(buffer)) {
      buffer.writeBytes(prefix);
      Json.MAPPER.writeValue(stream, value);
      return buffer.writeBytes(suffix);
    } catch (IOException | RuntimeException e) {
      buffer.release();
      throw e instanceof RuntimeException r ? r : new IllegalStateException("not JSON", e);
    }
  }
}
