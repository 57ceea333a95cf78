package io.tercel.server.http;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.util.concurrent.GlobalEventExecutor;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Sets up each accepted connection, as long as there are not too many.
 *
 * <p>Decoder and encoder are apart, not an {@code HttpServerCodec}: that one pairs answers with
 * requests to treat HEAD, and counts an interim 100 as an answer. {@link Exchange} treats HEAD
 * itself.
 */
final class ConnectionInitializer extends ChannelInitializer<SocketChannel> {
  private static final int MAX_REQUEST_LINE = 8 << 10;
  private static final int CHUNK = 64 << 10;
  private final ServerContext server;
  private final @Nullable Tls tls;
  private final byte[] full;
  private final ChannelGroup open = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);

  ConnectionInitializer(ServerContext server, @Nullable Tls tls) {
    this.server = server;
    this.tls = tls;
    this.full = refusal(ApiException.unavailable("Too many connections are open."));
  }

  private byte[] refusal(ApiException e) {
    byte[] body = Json.bytes(server.errors().body(e, UUID.randomUUID().toString()));
    String head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: %d\r\n"
                .formatted(e.retryAfterSeconds())
            + "connection: close\r\ncontent-length: %d\r\n\r\n".formatted(body.length);
    ByteArrayOutputStream answer = new ByteArrayOutputStream();
    answer.writeBytes(head.getBytes(StandardCharsets.US_ASCII));
    answer.writeBytes(body);
    return answer.toByteArray();
  }

  @Override
  protected void initChannel(SocketChannel channel) {
    if (open.size() >= server.limits().maxConnections()) {
      channel.writeAndFlush(Unpooled.wrappedBuffer(full)).addListener(ChannelFutureListener.CLOSE);
      return;
    }
    open.add(channel);
    if (tls != null) {
      channel.pipeline().addLast(tls.http().newHandler(channel.alloc()));
    }
    channel
        .pipeline()
        .addLast(
            new HttpRequestDecoder(
                new HttpDecoderConfig()
                    .setMaxInitialLineLength(MAX_REQUEST_LINE)
                    .setMaxHeaderSize(server.limits().maxHeaderBytes())
                    .setMaxChunkSize(CHUNK)),
            new HttpResponseEncoder(),
            new HttpConnection(server));
  }

  int open() {
    return open.size();
  }

  int unread() {
    return (int) open.stream().filter(channel -> !channel.config().isAutoRead()).count();
  }

  void closeAll() {
    open.close().awaitUninterruptibly();
  }
}
