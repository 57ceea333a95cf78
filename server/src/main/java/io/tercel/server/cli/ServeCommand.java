package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.http.Tls;
import io.tercel.server.kvevents.KvEventPublisher;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.BundledModel;
import io.tercel.server.model.ByteSize;
import io.tercel.server.model.Miniature;
import io.tercel.server.model.ModelLocator;
import io.tercel.server.model.Release;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.model.ServingPlan;
import io.tercel.server.request.ApiConfig;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tercel serve}: one model over the OpenAI HTTP API, and gRPC, until SIGTERM. */
@CommandLine.Command(
    name = "serve",
    description = "Serves a model over the OpenAI HTTP API, and over gRPC if asked to.",
    mixinStandardHelpOptions = true)
public final class ServeCommand implements Command {
  /** The exit code after an error in the engine: EX_SOFTWARE of sysexits.h. */
  static final int ENGINE_FAILED = 70;

  private static final Duration CLOSING = Duration.ofSeconds(10);

  /** Of the real weights, behind the miniature's warm-up. */
  private static final Duration FIRST_STEPS = Duration.ofMillis(1200);

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description =
          "a directory with a Hugging Face checkpoint (Qwen2 or Qwen3; 16 or 32 bit, or 3-bit of GPTQ or compressed-tensors)")
  private @Nullable String model;

  @Option(
      names = "--served-model-name",
      paramLabel = "NAME",
      split = ",",
      description =
          "what clients call it (default: the directory's name); several, separated by commas")
  private List<String> names = List.of();

  @Option(
      names = "--response-store",
      paramLabel = "SIZE",
      converter = ByteSizeConverter.class,
      description =
          "memory for responses that clients may read again and go on from, such as 64M; the least recently used leave first (default: none are stored)")
  private long responseStore;

  @Option(
      names = "--host",
      description = "address to bind (default: ${DEFAULT-VALUE}, this machine alone)")
  private String host = "127.0.0.1";

  @Option(names = "--port", description = "port; 0 picks a free one (default: ${DEFAULT-VALUE})")
  private int port = 8000;

  @Option(
      names = "--grpc-port",
      paramLabel = "PORT",
      description = "serve gRPC too, on this port; 0 picks a free one (default: no gRPC)")
  private @Nullable Integer grpcPort;

  @Option(
      names = "--tls-certificate",
      paramLabel = "FILE",
      description = "PEM certificates, the server's own first: serve TLS, HTTP and gRPC alike")
  private @Nullable Path tlsCertificate;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "the certificate's private key: PEM, PKCS #8, unencrypted")
  private @Nullable Path tlsKey;

  @Option(
      names = "--chat-template",
      paramLabel = "FILE",
      description = "used in place of the model's own")
  private @Nullable Path chatTemplate;

  @Option(
      names = "--drain-timeout",
      paramLabel = "SECONDS",
      description = "how long running requests may go on after SIGTERM (default: ${DEFAULT-VALUE})")
  private int drainTimeout = 30;

  @Option(
      names = "--warm-up",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "have the JVM compile what serving uses before the server is ready, which takes up to 8 s"
              + " (default: on)")
  private boolean warmUp = true;

  @Option(
      names = "--packed-cache",
      paramLabel = "auto|off|DIR",
      description =
          "where packed weights are kept for the next start: auto is .tercel in the model's directory,"
              + " if it can be written and the weights take 64 MiB or more (default: ${DEFAULT-VALUE})")
  private String packedCache = "auto";

  @Option(names = "--plan", description = "print what it will take, and stop")
  private boolean planOnly;

  @Mixin private final AccessOptions access = new AccessOptions();

  @Mixin private final KvEventOptions kvEvents = new KvEventOptions();

  @Mixin private final ModelOptions options = new ModelOptions();

  @Override
  public Integer call() throws InterruptedException {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    requirePort("--port", port);
    if (grpcPort != null) {
      requirePort("--grpc-port", grpcPort);
    }
    if ((tlsCertificate == null) != (tlsKey == null)) {
      throw new UserException("--tls-certificate and --tls-key belong together; pass both");
    }
    Integer adminPort = access.adminPort();
    if (adminPort != null) {
      requirePort("--admin-port", adminPort);
    }
    extensions().forEach(extension -> extension.check(grpcPort != null));
    ServingOptions serving = options.serving().packedCache(packedCache);
    serving.check();
    Path directory = model == null ? bundled() : ModelLocator.locate(model, TerminalProgress::hub);
    if (planOnly) {
      out.print(RunningModel.plan(directory, serving).table());
      out.flush();
      return 0;
    }
    return serve(directory, serving, out);
  }

  /** Those that were mixed into the command line. */
  private List<ServeExtension> extensions() {
    return spec == null
        ? List.of()
        : spec.mixins().values().stream()
            .map(CommandSpec::userObject)
            .filter(ServeExtension.class::isInstance)
            .map(ServeExtension.class::cast)
            .toList();
  }

  private static void requirePort(String option, int port) {
    if (port < 0 || port > 65_535) {
      throw new UserException(option + ": " + port + " is no port; 0 to 65535");
    }
  }

  private Path bundled() {
    names = names.isEmpty() ? List.of(BundledModel.NAME) : names;
    return BundledModel.find()
        .orElseThrow(
            () ->
                new UserException(
                    "pass --model DIR, a folder with a Hugging Face checkpoint, or --model ORG/NAME of the hub"));
  }

  /** Serves until the process is told to end, or the engine fails; the exit code. */
  private int serve(Path directory, ServingOptions serving, PrintWriter out)
      throws InterruptedException {
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    try {
      int code = serve(directory, serving, out, stop, stopped);
      out.println("Stopped.");
      out.flush();
      return code;
    } finally {
      stopped.countDown();
    }
  }

  private int serve(
      Path directory,
      ServingOptions serving,
      PrintWriter out,
      CountDownLatch stop,
      CountDownLatch stopped)
      throws InterruptedException {
    long start = System.nanoTime();
    HttpServerConfig http = httpConfig(); // before anything is loaded
    HttpServerConfig admin = adminConfig(http);
    List<String> called = names.isEmpty() ? List.of(RunningModel.nameOf(directory)) : names;
    try (KvEventPublisher events = kvEvents.open(called.getFirst(), serving.prefixCaching());
        RunningModel running =
            RunningModel.open(
                directory,
                events == null ? serving : serving.prefixCacheListener(events),
                chatTemplate,
                new LoadBar(System.err))) {
      AtomicReference<ServerMetrics> metrics = new AtomicReference<>();
      List<GrpcService> services = new ArrayList<>();
      extensions().forEach(e -> services.addAll(e.services(running, metrics::get)));
      ApiConfig api =
          new ApiConfig(called, Release.VERSION, running::systemFingerprint)
              .storingResponses(responseStore);
      boolean page = access.page();
      try (Endpoints endpoints =
          Endpoints.of(running, api, http, grpcPort, admin, page, services)) {
        metrics.set(endpoints.api().metrics());
        warmUp(running, serving);
        endpoints.start();
        Runtime.getRuntime()
            .addShutdownHook(Thread.ofPlatform().unstarted(() -> await(stop, stopped)));
        announce(out, called.getFirst(), running, endpoints, (System.nanoTime() - start) / 1e9);
        if (events != null) {
          KvEventOptions.announce(out, events);
        }
        if (awaitEnd(running.served().engine(), stop) == ENGINE_FAILED) {
          return failed(running.served().engine(), out);
        }
        for (ServeExtension extension : extensions()) {
          extension.end();
        }
        out.println("Draining: no new requests, running ones have " + drainTimeout + " s.");
        out.flush();
        out.println(endpoints.drain());
        return 0;
      } catch (IOException e) {
        throw new UserException(String.valueOf(e.getMessage()), e);
      }
    }
  }

  /** Waits until the process is told to end, or the engine fails; with which exit code it ends. */
  static int awaitEnd(Engine engine, CountDownLatch stop) throws InterruptedException {
    var unused = engine.failure().whenComplete((_, _) -> stop.countDown());
    stop.await();
    return engine.failed() ? ENGINE_FAILED : 0;
  }

  /**
   * Nothing can be computed any more: ends the process with a code that has it restarted, and by
   * force where closing takes too long, since an error may be want of memory.
   */
  private int failed(Engine engine, PrintWriter out) {
    out.println("The engine has failed, so the process ends: " + engine.failure().resultNow());
    out.flush();
    Thread.ofPlatform()
        .daemon()
        .name("end-by-force")
        .start(
            () -> {
              LockSupport.parkNanos(CLOSING.toNanos());
              Runtime.getRuntime().halt(ENGINE_FAILED);
            });
    return ENGINE_FAILED;
  }

  private void warmUp(RunningModel running, ServingOptions serving) throws InterruptedException {
    if (warmUp && Miniature.fits(serving)) {
      try (Miniature miniature = running.miniature()) {
        new WarmUp(miniature, System.err).run();
      }
      running.takeFirstSteps(FIRST_STEPS);
    }
  }

  private @Nullable Tls tls() {
    if (tlsCertificate == null || tlsKey == null) {
      return null;
    }
    try {
      return Tls.load(tlsCertificate, tlsKey);
    } catch (IOException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private HttpServerConfig httpConfig() {
    try {
      return HttpServerConfig.builder(host, port)
          .keys(access.keys())
          .drainTimeout(Duration.ofSeconds(drainTimeout))
          .tls(tls())
          .allowOrigins(access.corsOrigins())
          .allowHosts(access.allowedHosts())
          .build();
    } catch (IllegalArgumentException e) {
      throw new UserException("--cors-allow-origin: " + e.getMessage(), e);
    }
  }

  /** Control is small talk; no web page has business there. */
  private @Nullable HttpServerConfig adminConfig(HttpServerConfig http) {
    Integer adminPort = access.adminPort();
    if (adminPort == null) {
      return null;
    }
    HttpServerConfig admin =
        http.toBuilder()
            .host(access.adminHost())
            .port(adminPort)
            .limits(http.limits().toBuilder().maxBodyBytes(64 << 10).maxConnections(64).build())
            .allowOrigins(List.of())
            .build();
    if (!http.keys().guardControl() && (http.keys().guardClients() || !admin.loopback())) {
      throw new UserException(
          "--admin-port needs --admin-key (or TERCEL_ADMIN_KEY) when there is an API key or"
              + " --admin-host is not loopback");
    }
    return admin;
  }

  /** The JVM ends when its hooks have: this one waits until everything is closed. */
  private static void await(CountDownLatch stop, CountDownLatch stopped) {
    stop.countDown();
    try {
      stopped.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void announce(
      PrintWriter out, String name, RunningModel running, Endpoints endpoints, double seconds) {
    ServingPlan plan = running.plan();
    boolean guarded = access.keys().guardClients();
    out.printf(
        "Serving %s on %s://%s:%d/v1 (%s backend, %s weights, %s KV for %d tokens, context %d), ready in %.1f s.%n",
        name,
        scheme(),
        host,
        endpoints.http().port(),
        running.backendName(),
        ByteSize.format(plan.weights().offHeapBytes()),
        plan.kv().type().label(),
        plan.kvTokens(),
        plan.maxModelLen(),
        seconds);
    out.printf(
        "Try: curl %s://%s:%d/v1/chat/completions -H 'content-type: application/json'%s -d"
            + " '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}'%n",
        scheme(),
        host,
        endpoints.http().port(),
        guarded ? " -H \"authorization: Bearer $TERCEL_API_KEY\"" : "",
        name,
        "What is 412 + 358?");
    if (access.page()) {
      out.printf("Page: %s://%s:%d/ (chat), /dashboard%n", scheme(), host, endpoints.http().port());
    }
    GrpcServer grpc = endpoints.grpc();
    if (grpc != null) {
      out.printf("gRPC on %s:%d (tercel.v1, health, reflection).%n", host, grpc.port());
    }
    HttpServer admin = endpoints.admin();
    if (admin != null) {
      out.printf(
          "Admin on %s://%s:%d (control, probes, metrics).%n",
          scheme(), access.adminHost(), admin.port());
    }
    if (!guarded && !endpoints.http().config().loopback()) {
      out.println(
          "Warning: bound to " + host + " without --api-key; everyone who reaches it may use it.");
    }
    out.flush();
  }

  private String scheme() {
    return tlsCertificate == null ? "http" : "https";
  }
}
