package io.tercel.server.http;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Guard;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An HTTP endpoint: sockets, limits, the key. What is asked and answered there is its {@link
 * HttpService}'s.
 *
 * <p>A request lives like this: Netty's event loop decodes it ({@link HttpConnection}), a virtual
 * thread reads it, renders the template, tokenizes and submits it to the engine, then takes events,
 * detokenizes and writes until the end. Back goes the leaving: the channel closes, the {@link
 * Exchange} runs its callbacks, the generation is cancelled, the thread takes its last event.
 */
public final class HttpServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(HttpServer.class);

  /**
   * Bytes that the system may hold of a connection's answer. Left to itself it takes megabytes, and
   * says that there is room again only once a third is gone: a slow client would look like a silent
   * one for as long.
   */
  private static final int SEND_BUFFER = 128 << 10;

  /** Event loops copy bytes only. */
  private static final int LOOPS = Math.min(4, Runtime.getRuntime().availableProcessors());

  private final HttpServerConfig config;
  private final HttpService service;
  private final boolean open;
  private final ServerContext context;
  private final ConnectionInitializer connections;
  private final EventLoopGroup loops =
      new NioEventLoopGroup(LOOPS, new DefaultThreadFactory("http", true));
  private @Nullable Channel listener;

  /** Binds nothing yet. */
  public HttpServer(HttpServerConfig config, HttpService service) {
    this.config = config;
    this.service = service;
    Router router = new Router();
    Guard guard = service.guard(config.keys(), config.loopback());
    this.open = !guard.asksForKey();
    PageGuard pages = new PageGuard(config, open || service.tellsStrangers());
    RequestGate gate = new RequestGate(router, guard, pages, config.limits().maxBodyBytes());
    this.context = new ServerContext(gate, router, config, service.errors());
    this.connections = new ConnectionInitializer(context, config.tls());
    service.addTo(router, this);
  }

  /**
   * Binds and begins to answer.
   *
   * @throws IOException if the address can't be had; the message says why and what to do
   */
  public void start() throws IOException {
    ChannelFuture bind =
        new ServerBootstrap()
            .group(loops)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, 1024)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.SO_KEEPALIVE, true)
            .childOption(ChannelOption.SO_SNDBUF, SEND_BUFFER)
            .childHandler(connections)
            .bind(new InetSocketAddress(config.host(), config.port()))
            .awaitUninterruptibly();
    if (!bind.isSuccess()) {
      close();
      throw explain(bind.cause());
    }
    listener = bind.channel();
    boolean local = ((InetSocketAddress) listener.localAddress()).getAddress().isLoopbackAddress();
    if (!local && open) {
      log.warn("anyone who reaches {} may use this server: it has no API key", config.host());
    }
    log.info("listening on {}://{}:{}", config.scheme(), config.host(), port());
  }

  private IOException explain(Throwable cause) {
    String at = config.host() + ":" + config.port();
    return switch (cause) {
      case BindException e when String.valueOf(e.getMessage()).contains("in use") ->
          new IOException(
              "port %d is in use on %s: stop what listens there, or choose another port"
                  .formatted(config.port(), config.host()),
              e);
      case UnresolvedAddressException e -> new IOException("no such host: " + config.host(), e);
      default -> new IOException("can't listen on " + at + ": " + cause.getMessage(), cause);
    };
  }

  /** The bound port. */
  public int port() {
    Channel bound = listener;
    if (bound == null) {
      throw new IllegalStateException("not started");
    }
    return ((InetSocketAddress) bound.localAddress()).getPort();
  }

  public HttpServerConfig config() {
    return config;
  }

  /** Whether requests for tokens are admitted. */
  public boolean ready() {
    return listener != null && !context.draining() && service.ready();
  }

  /** Answers by the handler while requests are admitted, and refuses afterwards. */
  public Handler whenReady(Handler handler) {
    return exchange -> {
      if (!ready()) {
        throw ApiException.unavailable("The server is not ready, or shutting down.");
      }
      handler.handle(exchange);
    };
  }

  /**
   * Stops admissions and waits for running requests, at most for the drain timeout. Health, metrics
   * and refusals are still answered; {@link #close} ends what is left.
   *
   * @return whether every request has finished
   */
  public boolean drain() throws InterruptedException {
    context.drain();
    service.drain();
    return awaitIdle(config.drainTimeout());
  }

  /**
   * Waits for running requests; one runs until its client has the last byte.
   *
   * @return whether every request has finished
   */
  public boolean awaitIdle(Duration timeout) throws InterruptedException {
    return context.requests().awaitIdle(timeout);
  }

  /** Closes the port and every connection, which cancels what still runs. The engine stays open. */
  @Override
  public void close() {
    context.drain();
    if (listener != null) {
      listener.close().awaitUninterruptibly();
    }
    connections.closeAll();
    try {
      context.requests().awaitIdle(config.limits().keepAlive());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
  }

  /** Connections open now; for tests. */
  public int openConnections() {
    return connections.open();
  }

  /** Connections that are not read from, because too much is pipelined behind their request. */
  int unreadConnections() {
    return connections.unread();
  }

  /** Requests that have a thread now. */
  public int runningRequests() {
    return context.requests().running();
  }

  /** Bytes of unread bodies now; for tests. */
  public long bufferedBytes() {
    return context.budget().used();
  }
}
