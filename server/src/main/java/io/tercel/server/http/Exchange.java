package io.tercel.server.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Call;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.ClientWatch;
import io.tercel.server.call.Json;
import io.tercel.server.call.JsonIntake;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One request and the way to answer it.
 *
 * <p>A handler uses it from the request's virtual thread. Writing waits while the client doesn't
 * read, and the request is over when the socket has taken the last byte; so a slow client holds up
 * itself only, however large its answer. One that reads nothing for the write timeout, or has
 * closed, is gone: its callbacks run (on the event loop, so they must not block) and writing throws
 * {@link ClientGoneException}.
 */
public final class Exchange implements Call {
  /** Bytes of a command's fields. */
  private static final int MAX_FIELDS = 64 << 10;

  private static final Logger log = LoggerFactory.getLogger(Exchange.class);

  private final Channel channel;
  private final RequestHead head;
  private final RequestBody body;
  private final HttpLimits limits;
  private final ErrorFormat errors;
  private final Cors cors;
  private final AnswerHeads heads;
  private final ClientWatch client;
  private final Outgoing outgoing;
  private final CallRecord record;
  private volatile boolean begun;
  private @Nullable SseWriter stream; // of its own thread
  private volatile boolean ended;
  private volatile boolean keepAlive;

  Exchange(Channel channel, RequestHead head, RequestBody body, ServerContext server) {
    this.channel = channel;
    this.head = head;
    this.body = body;
    this.limits = server.limits();
    this.errors = server.errors(head);
    this.cors = server.cors();
    this.heads = new AnswerHeads(head, server.cors(), this::holder);
    this.client = new ClientWatch(server.limits().writeTimeout());
    this.outgoing = new Outgoing(channel, client);
    this.keepAlive = head.keepAlive();
    this.record = new CallRecord("http", head.id(), server.observer());
    record.traceParent(head.headers().get("traceparent"));
  }

  RequestHead head() {
    return head;
  }

  /**
   * What the path has below a prefix, percent-decoded.
   *
   * @throws ApiException if it isn't encoded as it should be
   */
  public String pathBelow(String prefix) {
    try {
      return QueryStringDecoder.decodeComponent(
          head.path().substring(prefix.length()).replace("+", "%2B"));
    } catch (IllegalArgumentException e) {
      throw ApiException.malformed("The path is not percent-encoded as it should be.");
    }
  }

  /**
   * A field of the query; null where it hasn't that one.
   *
   * @throws ApiException if it isn't encoded as it should be
   */
  public @Nullable String query(String name) {
    try {
      List<String> values =
          new QueryStringDecoder(head.query(), StandardCharsets.UTF_8, false)
              .parameters()
              .getOrDefault(name, List.of());
      return values.isEmpty() ? null : values.getFirst();
    } catch (IllegalArgumentException e) {
      throw ApiException.malformed("The query is not percent-encoded as it should be.");
    }
  }

  /** A header of the request; null where it hasn't that one. */
  public @Nullable String header(String name) {
    return head.headers().get(name);
  }

  /** Of the request: the client's own where it sent a usable one. */
  public String id() {
    return head.id();
  }

  /** What goes wrong, as the request's route writes it. */
  public Object error(ApiException e) {
    return errors.body(e, head.id());
  }

  HttpLimits limits() {
    return limits;
  }

  Channel channel() {
    return channel;
  }

  /**
   * Makes a request of the body, once; its bytes are forgotten then.
   *
   * @throws ApiException if it isn't one JSON object, or by the reader
   */
  public <T> T read(JsonIntake intake, Function<ObjectNode, T> reader) throws InterruptedException {
    try {
      record.requireActive(); // the body may have taken its time
      byte[] bytes = body.take();
      return intake.read(bytes.length, () -> parsed(bytes), reader);
    } finally {
      body.release();
    }
  }

  /** Others wait while this one is read, so nothing is read for who has left. */
  private ObjectNode parsed(byte[] bytes) {
    if (client.gone()) {
      throw new ClientGoneException("the client has left");
    }
    return Json.parseObject(bytes);
  }

  /**
   * The body's fields, once, where it is small; none where there is no body.
   *
   * @throws ApiException if it is anything but one JSON object, or not small
   */
  public ObjectNode fields() {
    byte[] bytes = body.take();
    body.release();
    if (bytes.length > MAX_FIELDS) {
      throw ApiException.tooLarge(MAX_FIELDS);
    }
    return bytes.length == 0 ? Json.MAPPER.createObjectNode() : Json.parseObject(bytes);
  }

  /** Answers with one JSON value, which goes out as it is written where it is large. */
  @Override
  public void json(int status, Object value) {
    whole(status, "application/json", body -> Json.MAPPER.writeValue(body, value));
  }

  /** Answers with a text of the given type. */
  public void text(int status, String contentType, String text) {
    whole(status, contentType, body -> body.write(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** Answers with bytes that are at hand, which must not change any more. */
  public void bytes(int status, Map<String, String> headers, byte[] bytes) {
    HttpResponse response = heads.bounded(status, bytes.length, null);
    headers.forEach(response.headers()::set);
    answer(response, Unpooled.wrappedBuffer(bytes));
  }

  /** Answers that the client has it already, with the headers of what it has. */
  public void notModified(Map<String, String> headers) {
    HttpResponse response = heads.bounded(304, 0, null);
    headers.forEach(response.headers()::set);
    response.headers().remove(HttpHeaderNames.CONTENT_LENGTH); // would be that of what it has
    answer(response, Unpooled.EMPTY_BUFFER);
  }

  /** Writes a body. */
  private interface Writer {
    void to(OutputStream body) throws IOException;
  }

  private void whole(int status, String contentType, Writer writer) {
    requireUnanswered();
    BodyStream body =
        new BodyStream(
            channel.alloc(),
            part -> {
              if (!begun) {
                head(unbounded(status, contentType));
              }
              part(part);
            });
    try {
      writer.to(body);
    } catch (IOException e) { // what goes wrong within a value is wrapped by who writes it
      body.rest().release();
      throw e.getCause() instanceof ClientGoneException gone ? gone : new UncheckedIOException(e);
    } catch (RuntimeException e) {
      body.rest().release();
      throw e;
    }
    if (!body.large()) {
      answer(heads.bounded(status, body.rest().readableBytes(), contentType), body.rest());
      return;
    }
    lastPart(body.rest());
  }

  private void part(ByteBuf bytes) {
    if (head.method().equals("HEAD")) {
      bytes.release();
    } else {
      outgoing.content(bytes);
    }
  }

  private void lastPart(ByteBuf bytes) {
    if (head.method().equals("HEAD")) { // the headers of a GET, and nothing else
      bytes.release();
    } else {
      outgoing.lastContent(bytes);
    }
    last();
  }

  private void last() {
    ended = true;
    outgoing.send(LastHttpContent.EMPTY_LAST_CONTENT, 0);
  }

  /** Answers a preflight, or any OPTIONS. */
  void options(Router.Route route) {
    HttpResponse response = heads.bounded(204, 0, null);
    response.headers().set(HttpHeaderNames.ALLOW, route.allow());
    response.headers().remove(HttpHeaderNames.CONTENT_LENGTH);
    cors.applyPreflight(response.headers(), head.headers(), route.allow());
    answer(response, Unpooled.EMPTY_BUFFER);
  }

  void fail(ApiException e) {
    record.error(e.code());
    ByteBuf buffer = JsonBuffer.of(alloc(), errors.body(e, head.id()));
    HttpResponse response =
        heads.bounded(errors.status(e), buffer.readableBytes(), "application/json");
    HttpHeaders headers = response.headers();
    if (e.allow() != null) {
      headers.set(HttpHeaderNames.ALLOW, e.allow());
    }
    if (e.retryAfterSeconds() > 0) {
      headers.set(HttpHeaderNames.RETRY_AFTER, e.retryAfterSeconds());
    }
    if (e.status() == 401) {
      headers.set(HttpHeaderNames.WWW_AUTHENTICATE, "Bearer");
    }
    answer(response, buffer);
  }

  /** Begins an answer of server-sent events. */
  @Override
  public SseWriter stream() {
    return stream(SseWriter.COMMENT);
  }

  /**
   * Begins an answer of server-sent events. Nothing is sent before the first of them, or a silence
   * is broken: until then a proxy may give the request to another server if this one dies.
   *
   * @param silence what breaks a silence, with the empty line that ends it
   */
  public SseWriter stream(String silence) {
    requireUnanswered();
    HttpResponse response = unbounded(200, "text/event-stream; charset=utf-8");
    response.headers().set("x-accel-buffering", "no");
    stream = new SseWriter(this, response, silence);
    return stream;
  }

  private HttpResponse unbounded(int status, String contentType) {
    if (!head.chunkable()) {
      closeAfterwards(); // the end of the connection is the end of the answer
    }
    return heads.unbounded(status, contentType);
  }

  private void begins(HttpResponse response) {
    heads.connection(response, keepAlive);
    record.status(Integer.toString(response.status().code()));
    begun = true;
  }

  /** Writes a part of a stream, which it releases; waits while the client doesn't read. */
  void write(ByteBuf part) {
    outgoing.content(part);
  }

  /** Ends a stream with its last part. */
  void end(ByteBuf part) {
    outgoing.lastContent(part);
    last();
  }

  /** Sends the head of a stream. */
  void head(HttpResponse response) {
    begins(response);
    outgoing.send(response, 0);
  }

  /**
   * Breaks a stream's silence if nothing is on its way; on the event loop.
   *
   * @param head of the stream, if it has not been sent
   */
  boolean comment(@Nullable HttpResponse head, ByteBuf comment) {
    if (!outgoing.idle()) {
      comment.release();
      return false;
    }
    if (head != null) {
      head(head);
    }
    outgoing.send(new DefaultHttpContent(comment), comment.readableBytes());
    return true;
  }

  @Override
  public void whenGone(Runnable callback) {
    client.whenGone(callback);
  }

  @Override
  public boolean gone() {
    return client.gone();
  }

  @Override
  public CallRecord record() {
    return record;
  }

  /** Whether the connection can be used again after the answer. */
  boolean keepAlive() {
    return keepAlive;
  }

  /** The connection shall not be used again; to be said before answering. */
  void closeAfterwards() {
    keepAlive = false;
  }

  /** Runs the handler and sees to it that there is an answer; never throws. */
  void run(Handler handler) {
    try {
      handler.handle(this);
      if (!begun) {
        throw new IllegalStateException("no answer to " + head.method() + " " + head.path());
      }
      outgoing.flush(); // only then the request is over
    } catch (ClientGoneException e) {
      log.debug("request {}: {}", head.id(), e.getMessage());
      noteLeaving();
    } catch (Throwable e) { // a virtual thread has nobody above it
      failed(e);
    } finally {
      body.release();
      if (!ended) {
        channel.close(); // a half-written answer can't be told from a whole one otherwise
      }
      record.end();
    }
  }

  private void failed(Throwable e) {
    ApiException answer = ApiException.of(e);
    if (!(e instanceof ApiException) && answer.status() == 500) {
      log.error("request {} failed", head.id(), e);
    }
    if (stream != null) {
      stream.abandon(); // no comment may follow, nor a head
    }
    if (!begun && !client.gone()) {
      try {
        fail(answer);
        outgoing.flush();
      } catch (RuntimeException again) {
        log.debug("request {}: no answer possible", head.id(), again);
      }
    }
  }

  /** The connection's channel closed. On the event loop. */
  void disconnected() {
    noteLeaving();
    client.left();
  }

  /** One that has all of its answer may leave. */
  private void noteLeaving() {
    if (!outgoing.taken()) {
      record.clientGone();
    }
  }

  private void requireUnanswered() {
    if (begun) {
      throw new IllegalStateException("a second answer");
    }
  }

  private void answer(HttpResponse response, ByteBuf content) {
    if (begun) {
      content.release();
      throw new IllegalStateException("a second answer");
    }
    begins(response);
    outgoing.queue(response);
    lastPart(content);
  }

  ByteBufAllocator alloc() {
    return channel.alloc();
  }

  /** Nanoseconds of silence after which a stream gets a comment. */
  long keepAliveNanos() {
    return TimeUnit.NANOSECONDS.convert(limits.keepAlive());
  }
}
