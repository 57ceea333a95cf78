package io.tercel.server.cli;

import io.tercel.server.control.AdminRoutes;
import io.tercel.server.control.ServerControl;
import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Routes;
import java.io.IOException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** The ports of one served model: HTTP, and gRPC and the admin's where there are such. */
final class Endpoints implements AutoCloseable {
  private final HttpServerConfig config;
  private final HttpServer http;
  private final @Nullable GrpcServer grpc;
  private final @Nullable HttpServer admin;

  /**
   * Binds nothing yet.
   *
   * @param grpcPort null for none
   * @param admin null for none
   */
  Endpoints(
      InferenceApi api,
      ServerControl control,
      HttpServerConfig config,
      @Nullable Integer grpcPort,
      @Nullable HttpServerConfig admin) {
    this.config = config;
    this.http = new HttpServer(config, new Routes(api));
    this.grpc = grpcPort == null ? null : new GrpcServer(api, config, grpcPort, control);
    this.admin = admin == null ? null : new HttpServer(admin, new AdminRoutes(api, control));
  }

  /**
   * Binds them all.
   *
   * @throws IOException if an address can't be had; the message says why and what to do
   */
  void start() throws IOException {
    if (admin != null) {
      admin.start();
    }
    if (grpc != null) {
      grpc.start();
    }
    http.start();
  }

  HttpServer http() {
    return http;
  }

  @Nullable GrpcServer grpc() {
    return grpc;
  }

  @Nullable HttpServer admin() {
    return admin;
  }

  /** All stop admitting at once and share the time. */
  void drain() throws InterruptedException {
    long deadline = System.nanoTime() + config.drainTimeout().toNanos();
    if (grpc == null) {
      http.drain();
      return;
    }
    grpc.drain();
    http.drain();
    grpc.awaitIdle(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
  }

  /** The admin's last: somebody may want to see how it ends. */
  @Override
  public void close() {
    if (grpc != null) {
      grpc.close();
    }
    http.close();
    if (admin != null) {
      admin.close();
    }
  }
}
