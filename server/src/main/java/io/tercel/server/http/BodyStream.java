package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.OutputStream;
import java.util.function.Consumer;

/**
 * A whole answer's body as it is written: kept while it is small, since then it can go out with its
 * length, and handed on in parts once it isn't.
 */
final class BodyStream extends OutputStream {
  /** Above it a body goes out as it is made. */
  static final int SMALL = 32 << 10;

  private final ByteBufAllocator alloc;
  private final Consumer<ByteBuf> parts;
  private ByteBuf buffer;
  private boolean large;

  /**
   * Empty.
   *
   * @param parts gets those of a large body, and releases them
   */
  BodyStream(ByteBufAllocator alloc, Consumer<ByteBuf> parts) {
    this.alloc = alloc;
    this.parts = parts;
    this.buffer = alloc.buffer();
  }

  @Override
  public void write(int b) {
    buffer.writeByte(b);
    handOn();
  }

  @Override
  public void write(byte[] bytes, int from, int length) {
    buffer.writeBytes(bytes, from, length);
    handOn();
  }

  private void handOn() {
    if (buffer.readableBytes() >= SMALL) {
      large = true;
      ByteBuf part = buffer;
      buffer = alloc.buffer();
      parts.accept(part);
    }
  }

  /** Whether parts were handed on. */
  boolean large() {
    return large;
  }

  /** What has not been handed on, which the caller releases; nothing may be written afterwards. */
  ByteBuf rest() {
    return buffer;
  }
}
