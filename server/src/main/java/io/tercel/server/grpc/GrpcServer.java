package io.tercel.server.grpc;

import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslProvider;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.call.RunningCalls;
import io.tercel.server.control.ServerControl;
import io.tercel.server.http.HttpLimits;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.http.Tls;
import io.tercel.server.openai.InferenceApi;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The gRPC endpoint of one served model, beside {@link io.tercel.server.http.HttpServer} on the
 * same {@link InferenceApi}: Inference, Control, what its caller adds, health and reflection. Plain
 * text or TLS, as HTTP's.
 */
public final class GrpcServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(GrpcServer.class);

  /** gRPC's own log goes to the console as it is; held here, since a logger may be collected. */
  private static final java.util.logging.Logger LIBRARY_LOG =
      java.util.logging.Logger.getLogger("io.grpc");

  static {
    LIBRARY_LOG.setLevel(java.util.logging.Level.WARNING);
  }

  private static final int LOOPS = Math.min(4, Runtime.getRuntime().availableProcessors());
  private static final int STREAMS_PER_CONNECTION = 1024;

  /** As gRPC has it unless told otherwise: what arrives is in memory before anybody counts it. */
  private static final int MAX_MESSAGE_BYTES = 4 << 20;

  private static final Duration HEALTH_PERIOD = Duration.ofMillis(250);
  private final HttpServerConfig config;
  private final int port;
  private final InferenceApi api;
  private final RunningCalls calls;
  private final List<String> names = new ArrayList<>();
  private final HealthStatusManager health = new HealthStatusManager();
  private final EventLoopGroup loops =
      new NioEventLoopGroup(LOOPS, new DefaultThreadFactory("grpc", true));
  private final ExecutorService callbacks =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("grpc-", 0).factory());
  private final Server server;

  /**
   * Binds nothing yet.
   *
   * @param config host, keys, limits and TLS, as of HTTP
   * @param port 0 picks a free one
   * @param more services besides
   */
  public GrpcServer(
      InferenceApi api,
      HttpServerConfig config,
      int port,
      ServerControl control,
      List<GrpcService> more) {
    this.api = api;
    this.config = config;
    this.port = port;
    HttpLimits limits = config.limits();
    this.calls = new RunningCalls(limits.maxConnections(), limits.maxBufferedBytes());
    GrpcCalls grpcCalls = new GrpcCalls(calls, limits.writeTimeout());
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(new InetSocketAddress(config.host(), port))
            .channelType(NioServerSocketChannel.class)
            .bossEventLoopGroup(loops)
            .workerEventLoopGroup(loops)
            .executor(callbacks)
            .maxInboundMessageSize(maxMessageBytes(limits))
            .maxInboundMetadataSize(limits.maxHeaderBytes())
            .maxConcurrentCallsPerConnection(STREAMS_PER_CONNECTION)
            .keepAliveTime(2, TimeUnit.MINUTES) // a dead peer's sequences shall not run on
            .keepAliveTimeout(20, TimeUnit.SECONDS)
            .permitKeepAliveTime(10, TimeUnit.SECONDS)
            .permitKeepAliveWithoutCalls(true)
            .intercept(new KeyInterceptor(config, adminMethods(more)))
            .addService(new InferenceService(api, grpcCalls))
            .addService(new ControlService(control, maxMessageBytes(limits), this::reportHealth))
            .addService(health.getHealthService())
            .addService(ProtoReflectionServiceV1.newInstance());
    names.add(HealthStatusManager.SERVICE_NAME_ALL_SERVICES);
    names.add(InferenceGrpc.SERVICE_NAME);
    names.add(ControlGrpc.SERVICE_NAME);
    for (GrpcService service : more) {
      builder.addService(service.bind(grpcCalls));
      names.add(service.name());
    }
    if (config.tls() != null) {
      builder.sslContext(sslContext(config.tls()));
    }
    this.server = builder.build();
  }

  private static Set<String> adminMethods(List<GrpcService> services) {
    Set<String> methods = new HashSet<>();
    for (GrpcService service : services) {
      service
          .adminMethods()
          .forEach(
              method ->
                  methods.add(MethodDescriptor.generateFullMethodName(service.name(), method)));
    }
    return methods;
  }

  private static SslContext sslContext(Tls tls) {
    try {
      return GrpcSslContexts.configure(tls.builder(), SslProvider.JDK).build();
    } catch (SSLException e) {
      throw new IllegalStateException(e); // the files were good for HTTP
    }
  }

  /** Of one message to the server. */
  static int maxMessageBytes(HttpLimits limits) {
    return Math.min(MAX_MESSAGE_BYTES, limits.maxBodyBytes());
  }

  /**
   * Binds and begins to answer.
   *
   * @throws IOException if the address can't be had; the message says why and what to do
   */
  public void start() throws IOException {
    try {
      server.start();
    } catch (IOException e) {
      close();
      throw explain(e);
    }
    reportHealth();
    var unused =
        loops
            .next()
            .scheduleWithFixedDelay(
                this::reportHealth,
                HEALTH_PERIOD.toMillis(),
                HEALTH_PERIOD.toMillis(),
                TimeUnit.MILLISECONDS);
    log.info("gRPC on {}:{}", config.host(), port());
  }

  private IOException explain(IOException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof BindException && String.valueOf(cause.getMessage()).contains("in use")) {
        return new IOException(
            "gRPC port %d is in use on %s: stop what listens there, or choose another port"
                .formatted(port, config.host()),
            e);
      }
    }
    return new IOException(
        "gRPC can't listen on %s:%d: %s".formatted(config.host(), port, e.getMessage()), e);
  }

  /** The bound port. */
  public int port() {
    return server.getPort();
  }

  /** An engine may die by itself, or be drained by HTTP: its readiness is all that counts. */
  private void reportHealth() {
    ServingStatus status = api.ready() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    names.forEach(service -> health.setStatus(service, status));
  }

  /**
   * Stops admissions, of HTTP too, and tells those who watch health; what runs goes on, and
   * refusals are still answered.
   */
  public void drain() {
    api.drain();
    reportHealth();
  }

  /**
   * Waits for running calls; one runs until its end is on the wire.
   *
   * @return whether every call for tokens, and of services that were added, has finished
   */
  public boolean awaitIdle(Duration timeout) throws InterruptedException {
    return calls.awaitIdle(timeout);
  }

  /** Calls for tokens, and of services that were added, that run now. */
  public int runningCalls() {
    return calls.running();
  }

  /** Closes the port and every connection, which cancels what still runs. The engine stays open. */
  @Override
  public void close() {
    server.shutdown();
    try {
      if (!server.awaitTermination(100, TimeUnit.MILLISECONDS)) { // for answers on their way
        server.shutdownNow();
        server.awaitTermination(5, TimeUnit.SECONDS);
      }
      calls.awaitIdle(Duration.ofSeconds(5));
    } catch (InterruptedException e) {
      server.shutdownNow();
      Thread.currentThread().interrupt();
    }
    callbacks.shutdown();
    loops.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
  }
}
