package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import java.io.ByteArrayOutputStream;

/** A request's body as it arrives, counted against the server's budget until it is read. */
final class RequestBody {
  private final BodyBudget budget;
  private ByteArrayOutputStream bytes = new ByteArrayOutputStream(0);
  private int reserved;

  RequestBody(BodyBudget budget) {
    this.budget = budget;
  }

  int size() {
    return reserved;
  }

  /** Appends; false if the server has no room for it. */
  boolean append(ByteBuf part) {
    int length = part.readableBytes();
    if (!budget.reserve(length)) {
      return false;
    }
    reserved += length;
    byte[] copy = new byte[length];
    part.readBytes(copy);
    bytes.write(copy, 0, length);
    return true;
  }

  /** The whole body, which still counts until it is released. */
  byte[] take() {
    byte[] all = bytes.toByteArray();
    bytes = new ByteArrayOutputStream(0);
    return all;
  }

  /** Idempotent. */
  void release() {
    budget.release(reserved);
    reserved = 0;
    bytes = new ByteArrayOutputStream(0);
  }
}
