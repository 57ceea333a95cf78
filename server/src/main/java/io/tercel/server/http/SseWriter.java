package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.util.concurrent.ScheduledFuture;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.EventStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A stream of server-sent events: {@code data: {json}}, an empty line, and {@code data: [DONE]} at
 * the end. Silence is broken, by comments unless the API has something else, from the event loop,
 * so that proxies and clients know the request still waits. Several threads may write.
 */
public final class SseWriter implements EventStream {
  private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] END = "\n\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.US_ASCII);

  /** What breaks a silence where the API has nothing of its own for that. */
  static final String COMMENT = ": keep-alive\n\n";

  private final Exchange exchange;
  private final byte[] silence;
  private final ReentrantLock lock = new ReentrantLock();
  private final ScheduledFuture<?> timer;
  private @Nullable HttpResponse head; // until it is sent; guarded by the lock
  private volatile boolean ended;
  private volatile long lastWrite = System.nanoTime();

  SseWriter(Exchange exchange, HttpResponse head, String silence) {
    this.exchange = exchange;
    this.head = head;
    this.silence = silence.getBytes(StandardCharsets.UTF_8);
    long period = Math.max(1, exchange.keepAliveNanos() / 4);
    this.timer =
        exchange
            .channel()
            .eventLoop()
            .scheduleWithFixedDelay(this::breakSilence, period, period, TimeUnit.NANOSECONDS);
    exchange.whenGone(this::stopTimer);
  }

  @Override
  public void event(Object json) {
    write(encode(DATA, json));
  }

  private void write(ByteBuf event) {
    lock.lock();
    try {
      if (ended) {
        event.release();
        return;
      }
      sendHead();
      exchange.write(event);
      lastWrite = System.nanoTime();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Sends one event that has a name besides, as OpenAI's Responses and Anthropic's Messages have.
   */
  public void event(String name, Object json) {
    write(encode(("event: " + name + "\ndata: ").getBytes(StandardCharsets.US_ASCII), json));
  }

  /** Ends the stream without a word. */
  public void end() {
    end(Unpooled.EMPTY_BUFFER);
  }

  @Override
  public void done() {
    end(Unpooled.wrappedBuffer(DONE));
  }

  /** An answer of its own where nothing was sent yet, so that proxies ask another server. */
  @Override
  public void fail(ApiException e) {
    exchange.record().error(e.code());
    if (!failUnsent(e)) {
      end(encode(DATA, exchange.error(e)));
    }
  }

  /** Ends with an event that has a name, or as the other does where nothing was sent yet. */
  public void fail(String name, Object json, ApiException e) {
    exchange.record().error(e.code());
    if (!failUnsent(e)) {
      event(name, json);
      end();
    }
  }

  private boolean failUnsent(ApiException e) {
    lock.lock();
    try {
      if (ended || head == null) {
        return false;
      }
      ended = true;
      stopTimer();
      head = null;
      exchange.fail(e);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Nothing comes any more, not even a comment; what was sent stays. */
  void abandon() {
    lock.lock();
    try {
      ended = true;
      stopTimer();
    } finally {
      lock.unlock();
    }
  }

  private void end(ByteBuf last) {
    lock.lock();
    try {
      if (ended) {
        last.release();
        return;
      }
      ended = true;
      stopTimer();
      sendHead();
      exchange.end(last);
    } finally {
      lock.unlock();
    }
  }

  private void sendHead() {
    if (head != null) {
      exchange.head(head);
      head = null;
    }
  }

  private void stopTimer() {
    timer.cancel(false);
  }

  /**
   * On the event loop, where it can't fall between the end and what follows it, nor into an event:
   * who writes one holds the lock.
   */
  private void breakSilence() {
    if (!lock.tryLock()) {
      return;
    }
    try {
      boolean quiet = System.nanoTime() - lastWrite >= exchange.keepAliveNanos();
      if (!ended && quiet && exchange.comment(head, Unpooled.wrappedBuffer(silence))) {
        head = null;
        lastWrite = System.nanoTime();
      }
    } finally {
      lock.unlock();
    }
  }

  private ByteBuf encode(byte[] prefix, Object json) {
    return JsonBuffer.of(exchange.alloc(), prefix, json, END);
  }
}
