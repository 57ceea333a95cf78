package io.tercel.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import io.tercel.server.call.ApiException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client's connection: takes requests off it one at a time, in order, and hands each to a
 * virtual thread once its body is complete; what the head alone refuses is answered here.
 * Everything here runs on the channel's event loop and never blocks.
 *
 * <p>While a request runs, reading goes on: without it NIO would not report that the client has
 * left, and its sequence would be computed for nobody. What a pipelining client sends meanwhile
 * waits in a queue; only past {@link #MAX_PIPELINED} bytes reading stops, and such a client's
 * leaving is seen by the next write instead.
 */
final class HttpConnection extends ChannelInboundHandlerAdapter {
  private static final Logger log = LoggerFactory.getLogger(HttpConnection.class);
  static final int MAX_PIPELINED = 256 << 10;
  private static final Duration LINGER = Duration.ofSeconds(2);

  /** A refused request's body is read to its end, so that the connection goes on, up to so much. */
  static final int MAX_SKIPPED = 64 << 10;

  private enum State {
    /** Waits for a request's head. */
    HEAD,
    /** Waits for the rest of a request's body. */
    BODY,
    /** A request is refused; the rest of its small body is thrown away. */
    SKIPPING,
    /** A request runs. */
    RUNNING,
    /** The last answer is on its way; what comes in is thrown away. */
    CLOSING
  }

  private final ServerContext server;
  private final Deque<Object> pipelined = new ArrayDeque<>();
  private int pipelinedBytes;
  private State state = State.HEAD;
  private @Nullable Exchange exchange;
  private Handler handler = e -> {};
  private RequestBody body;
  private @Nullable ScheduledFuture<?> deadline;

  HttpConnection(ServerContext server) {
    this.server = server;
    this.body = new RequestBody(server.budget());
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    closeAfter(ctx, server.limits().idleTimeout());
    ctx.fireChannelActive();
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (state == State.RUNNING) {
      pipelined.add(message);
      pipelinedBytes += size(message);
      if (pipelinedBytes > MAX_PIPELINED) {
        ctx.channel().config().setAutoRead(false);
      }
    } else {
      process(ctx, message);
    }
  }

  private void process(ChannelHandlerContext ctx, Object message) {
    try {
      // one object can be a head, a part of a body or the last part, or several of these
      if (message instanceof HttpRequest request && state == State.HEAD) {
        begin(ctx, request);
      }
      if (message instanceof HttpContent content && state == State.BODY) {
        receive(ctx, content);
      } else if (message instanceof HttpContent content && state == State.SKIPPING) {
        skip(ctx, content);
      }
    } finally {
      ReferenceCountUtil.release(message);
    }
  }

  private void begin(ChannelHandlerContext ctx, HttpRequest request) {
    RequestHead head = RequestGate.head(request);
    body = new RequestBody(server.budget());
    Exchange current = new Exchange(ctx.channel(), head, body, server);
    exchange = current;
    state = State.BODY;
    boolean expects = HttpUtil.is100ContinueExpected(request);
    try {
      handler = server.gate().check(request, head, current.record());
    } catch (ApiException e) {
      refuse(ctx, current, request, e);
      return;
    }
    closeAfterTimeout(ctx, current);
    if (expects) {
      ctx.writeAndFlush(
          new DefaultFullHttpResponse(
              HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE, Unpooled.EMPTY_BUFFER));
    }
  }

  /**
   * Answers from the head alone, at once: nobody's memory is for a body that nobody will read. What
   * is long, of unknown length or may never come ends the connection.
   */
  private void refuse(
      ChannelHandlerContext ctx, Exchange current, HttpRequest request, ApiException e) {
    boolean small =
        !HttpUtil.isTransferEncodingChunked(request)
            && HttpUtil.getContentLength(request, 0L) <= MAX_SKIPPED;
    if (request.decoderResult().isFailure() || HttpUtil.is100ContinueExpected(request) || !small) {
      reject(ctx, current, e);
      return;
    }
    if (server.draining()) {
      current.closeAfterwards();
    }
    current.fail(e);
    current.record().end();
    state = State.SKIPPING;
    closeAfter(ctx, server.limits().idleTimeout());
  }

  private void skip(ChannelHandlerContext ctx, HttpContent content) {
    if (content.decoderResult().isFailure()) {
      close(ctx);
    } else if (content instanceof LastHttpContent) {
      reopen(ctx, running()); // whoever calls goes on with what is pipelined
    }
  }

  private void receive(ChannelHandlerContext ctx, HttpContent content) {
    Exchange current = running();
    if (content.decoderResult().isFailure()) {
      reject(ctx, current, ApiException.badHead(400, "The request's body is not valid HTTP."));
      return;
    }
    ByteBuf part = content.content();
    if (body.size() + (long) part.readableBytes() > server.limits().maxBodyBytes()) {
      reject(ctx, current, ApiException.tooLarge(server.limits().maxBodyBytes()));
      return;
    }
    if (!body.append(part)) {
      reject(ctx, current, ApiException.unavailable("Too many request bodies are in flight."));
      return;
    }
    if (content instanceof LastHttpContent) {
      run(ctx, current);
    }
  }

  private void run(ChannelHandlerContext ctx, Exchange current) {
    state = State.RUNNING;
    cancelDeadline();
    if (server.draining()) {
      current.closeAfterwards();
    }
    Handler chosen = handler;
    server.requests().begin(0); // bodies have their own budget
    Thread.ofVirtual()
        .name("request " + current.head().id())
        .start(
            () -> {
              try {
                current.run(chosen);
              } finally {
                answered(ctx, current);
              }
            });
  }

  /** On the request's thread: lets the connection go on, behind the answer's last write. */
  private void answered(ChannelHandlerContext ctx, Exchange done) {
    try {
      ctx.executor().execute(() -> next(ctx, done));
    } finally {
      server.requests().end(0); // not before: the event loops live until no request runs
    }
  }

  private void next(ChannelHandlerContext ctx, Exchange done) {
    if (!ctx.channel().isActive()) {
      return;
    }
    reopen(ctx, done);
    while (state != State.RUNNING && !pipelined.isEmpty()) {
      Object next = pipelined.remove();
      pipelinedBytes -= size(next);
      process(ctx, next);
    }
    if (pipelinedBytes <= MAX_PIPELINED) {
      ctx.channel().config().setAutoRead(true);
    }
  }

  /** Makes the connection ready for another request, or ends it. */
  private void reopen(ChannelHandlerContext ctx, Exchange done) {
    exchange = null;
    if (!done.keepAlive()) {
      close(ctx);
      return;
    }
    state = State.HEAD;
    closeAfter(ctx, server.limits().idleTimeout());
  }

  /** Answers before the request is complete, which ends the connection. */
  private void reject(ChannelHandlerContext ctx, Exchange current, ApiException e) {
    body.release();
    exchange = null;
    current.closeAfterwards();
    current.fail(e);
    current.record().end();
    state = State.CLOSING;
    // A close with unread bytes in the socket is a reset, which can take the answer with it: so end
    // our side only, and go on reading for a while.
    ctx.writeAndFlush(Unpooled.EMPTY_BUFFER)
        .addListener(
            flushed -> {
              if (ctx.channel() instanceof SocketChannel socket) {
                socket.shutdownOutput();
              }
            });
    closeAfter(ctx, LINGER);
  }

  private void close(ChannelHandlerContext ctx) {
    state = State.CLOSING;
    releasePipelined();
    ctx.channel().config().setAutoRead(true);
    ctx.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
    closeAfter(ctx, server.limits().writeTimeout());
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    cancelDeadline();
    releasePipelined();
    Exchange left = exchange;
    if (left != null) {
      left.disconnected();
    }
    if (state != State.RUNNING) { // else its own thread does
      body.release();
      if (left != null) {
        left.record().end();
      }
    }
    ctx.fireChannelInactive();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (!(cause instanceof IOException)) { // a reset is a client's way to leave
      log.warn("connection failed", cause);
    }
    ctx.close();
  }

  private void closeAfterTimeout(ChannelHandlerContext ctx, Exchange current) {
    schedule(
        ctx,
        server.limits().bodyTimeout(),
        () -> reject(ctx, current, ApiException.timeout("The request's body did not arrive.")));
  }

  private void closeAfter(ChannelHandlerContext ctx, Duration delay) {
    schedule(ctx, delay, ctx::close);
  }

  private void schedule(ChannelHandlerContext ctx, Duration delay, Runnable action) {
    cancelDeadline();
    deadline =
        ctx.executor().schedule(action, TimeUnit.NANOSECONDS.convert(delay), TimeUnit.NANOSECONDS);
  }

  private void cancelDeadline() {
    if (deadline != null) {
      deadline.cancel(false);
      deadline = null;
    }
  }

  private void releasePipelined() {
    pipelined.forEach(ReferenceCountUtil::release);
    pipelined.clear();
    pipelinedBytes = 0;
  }

  private Exchange running() {
    Exchange current = exchange;
    if (current == null) {
      throw new IllegalStateException("no request in state " + state);
    }
    return current;
  }

  /** A head's bytes are not known here; it is bounded by the decoder. */
  private static int size(Object message) {
    return message instanceof HttpContent content ? content.content().readableBytes() : 512;
  }
}
