package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.ClientWatch;
import java.util.concurrent.atomic.AtomicLong;

/**
 * One answer's way to its client. Only so much of it is on its way at once, and it goes in small
 * parts: each that the socket has taken counts as reading, so that a slow client is told from a
 * silent one.
 */
final class Outgoing {
  /** Of a part; a slow modem takes one in a few seconds. */
  private static final int PART = 8 << 10;

  /** What may be on its way: as much as a fast client takes at once. */
  private static final int ROOM = 64 << 10;

  private final Channel channel;
  private final ClientWatch client;
  private final AtomicLong onTheWay = new AtomicLong();
  private final AtomicLong untaken = new AtomicLong();
  private volatile boolean whole;

  Outgoing(Channel channel, ClientWatch client) {
    this.channel = channel;
    this.client = client;
  }

  /**
   * Sends a part of a body, which it releases, once there is room.
   *
   * @throws ClientGoneException if nobody reads any more; the channel is closed then
   */
  void content(ByteBuf bytes) {
    untaken.addAndGet(bytes.readableBytes());
    sendParts(bytes);
  }

  /**
   * The same with the last part of a body.
   *
   * @throws ClientGoneException as {@link #content}
   */
  void lastContent(ByteBuf bytes) {
    untaken.addAndGet(bytes.readableBytes());
    whole = true; // as soon as it is taken, before this thread goes on
    sendParts(bytes);
  }

  private void sendParts(ByteBuf bytes) {
    try {
      while (bytes.readableBytes() > PART) {
        await(ROOM);
        send(new DefaultHttpContent(bytes.readRetainedSlice(PART)), PART, PART);
      }
      await(ROOM);
      // small answers and events go out at once, with what is queued before them
      int rest = bytes.readableBytes();
      send(new DefaultHttpContent(bytes.retainedSlice()), rest, rest);
    } finally {
      bytes.release();
    }
  }

  /** Puts a head before what is sent next. */
  void queue(HttpObject head) {
    channel.write(head);
  }

  /**
   * Sends at once, whatever is on its way.
   *
   * @param bytes that it has, as far as they count
   */
  void send(HttpObject part, int bytes) {
    send(part, bytes, 0);
  }

  private void send(HttpObject part, int bytes, int ofBody) {
    onTheWay.addAndGet(bytes + 1L);
    ChannelPromise taken = channel.newPromise();
    // before it is written: else the client's leaving may be seen before its taking
    taken.addListener(
        done -> {
          untaken.addAndGet(done.isSuccess() ? -ofBody : 0);
          onTheWay.addAndGet(-(bytes + 1L));
          client.moved();
        });
    channel.writeAndFlush(part, taken);
  }

  /**
   * Waits until the socket has taken everything.
   *
   * @throws ClientGoneException as {@link #content}
   */
  void flush() {
    await(0);
  }

  boolean idle() {
    return onTheWay.get() == 0;
  }

  /** Whether the socket has taken all of a body to its last byte. */
  boolean taken() {
    return whole && untaken.get() == 0;
  }

  private void await(long most) {
    try {
      client.await(() -> onTheWay.get() <= most);
    } catch (ClientGoneException e) {
      channel.close();
      throw e;
    }
  }
}
