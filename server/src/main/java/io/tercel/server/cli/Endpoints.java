package io.tercel.server.cli;

import io.tercel.server.api.PublicRoutes;
import io.tercel.server.control.AdminRoutes;
import io.tercel.server.control.ServerControl;
import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.RunningModel;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.page.PageRoutes;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.sglang.GenerateRoutes;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The ports of one served model: HTTP, and gRPC and the admin's where there are such. */
final class Endpoints implements AutoCloseable {
  /** What clients have to read that their requests have ended. */
  private static final Duration LAST_WORDS = Duration.ofSeconds(5);

  private final InferenceApi api;
  private final HttpServerConfig config;
  private final HttpServer http;
  private final @Nullable GrpcServer grpc;
  private final @Nullable HttpServer admin;

  /**
   * Binds nothing yet.
   *
   * @param grpcPort null for none
   * @param admin null for none
   * @param page whether browsers find something to look at
   * @param services of gRPC, besides its own
   */
  Endpoints(
      InferenceApi api,
      ServerControl control,
      HttpServerConfig config,
      @Nullable Integer grpcPort,
      @Nullable HttpServerConfig admin,
      boolean page,
      List<GrpcService> services) {
    this.api = api;
    this.config = config;
    api.metrics().keys(config.keys());
    this.http =
        new HttpServer(
            config, page ? new PublicRoutes(api, new PageRoutes()) : new PublicRoutes(api));
    this.grpc = grpcPort == null ? null : new GrpcServer(api, config, grpcPort, control, services);
    this.admin =
        admin == null
            ? null
            : new HttpServer(
                admin, new AdminRoutes(api, control, new GenerateRoutes(api.context())));
  }

  /**
   * Of a model that runs and that outlives them; binds nothing yet.
   *
   * @param served what it is called, and what is kept for its clients
   * @param grpcPort null for none
   * @param admin null for none
   * @param page whether browsers find something to look at
   * @param services of gRPC, besides its own
   */
  static Endpoints of(
      RunningModel model,
      ApiConfig served,
      HttpServerConfig config,
      @Nullable Integer grpcPort,
      @Nullable HttpServerConfig admin,
      boolean page,
      List<GrpcService> services) {
    InferenceApi api = new InferenceApi(served, model.served());
    ServerControl control = new ServerControl(api, model.info(), model.servedWeights());
    return new Endpoints(api, control, config, grpcPort, admin, page, services);
  }

  /** What they answer with. */
  InferenceApi api() {
    return api;
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

  /**
   * All stop admitting at once, and what runs has the drain timeout to be answered to the last
   * byte. What is left then is ended with an error that its client is told.
   *
   * @return what was done, in one line
   */
  String drain() throws InterruptedException {
    long start = System.nanoTime();
    if (grpc != null) {
      grpc.drain();
    }
    if (http.drain() && awaitGrpc(config.drainTimeout().toNanos() - (System.nanoTime() - start))) {
      return "Drained: every request was answered, after %.1f s."
          .formatted((System.nanoTime() - start) / 1e9);
    }
    int ended = running();
    api.end();
    start = System.nanoTime();
    boolean http = this.http.awaitIdle(LAST_WORDS);
    boolean both = awaitGrpc(LAST_WORDS.toNanos() - (System.nanoTime() - start)) && http;
    return "Drain timeout: requests ended with an error: %d%s."
        .formatted(ended, both ? "" : "; clients that did not read it: %d".formatted(running()));
  }

  private boolean awaitGrpc(long nanos) throws InterruptedException {
    return grpc == null || grpc.awaitIdle(Duration.ofNanos(Math.max(0, nanos)));
  }

  private int running() {
    return http.runningRequests() + (grpc == null ? 0 : grpc.runningCalls());
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
