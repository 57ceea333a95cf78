package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.kvevents.KvEventPublisher;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.BundledModel;
import io.tercel.server.model.Miniature;
import io.tercel.server.model.ModelLocator;
import io.tercel.server.model.Release;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
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
    name = ServeCommand.NAME,
    description = "Serves a model over the OpenAI HTTP API, and over gRPC if asked to.",
    footer = {
      "",
      "Options also come from the environment, in capitals behind TERCEL_, such as"
          + " TERCEL_MAX_MODEL_LEN=4096, and from the file of --config, such as max-model-len: 4096;"
          + " the command line goes before the environment, that before the file."
    },
    mixinStandardHelpOptions = true)
public final class ServeCommand implements Command {
  static final String NAME = "serve";

  private static final String CONFIG = "--config";

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
      names = "--chat-template",
      paramLabel = "FILE",
      description = "used in place of the model's own")
  private @Nullable Path chatTemplate;

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

  @Option(
      names = CONFIG,
      paramLabel = "FILE",
      description =
          "YAML or JSON with options by their names, without dashes in front (default: none)")
  private @Nullable Path config; // read before the options are, by Tercel

  @Option(names = "--plan", description = "print what it will take, and stop")
  private boolean planOnly;

  @Mixin private final PortOptions ports = new PortOptions();

  @Mixin private final ObservationOptions observed = new ObservationOptions();

  @Mixin private final KvEventOptions kvEvents = new KvEventOptions();

  @Mixin private final ModelOptions options = new ModelOptions();

  @Override
  public String fileOption() {
    return CONFIG;
  }

  @Override
  public Integer call() throws InterruptedException {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    ports.check();
    extensions().forEach(extension -> extension.check(ports.grpcPort() != null));
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
    List<String> called = names.isEmpty() ? List.of(RunningModel.nameOf(directory)) : names;
    // all that may be wrong with these shall be said before anything is loaded
    try (ServedKeys keys = ports.keys();
        Observation observation = observed.begin();
        KvEventPublisher events = kvEvents.open(called.getFirst(), serving.prefixCaching())) {
      HttpServerConfig http = ports.http(keys.keys(), observation.observer());
      HttpServerConfig admin = ports.admin(http);
      ServingOptions told = events == null ? serving : serving.prefixCacheListener(events);
      try (RunningModel running =
          RunningModel.open(directory, told, chatTemplate, new LoadBar(System.err))) {
        AtomicReference<ServerMetrics> metrics = new AtomicReference<>();
        try (Endpoints endpoints = endpoints(running, serving, http, admin, metrics)) {
          metrics.set(endpoints.api().metrics());
          keys.watch(endpoints.api().metrics());
          observation.report(endpoints.api().metrics());
          warmUp(running, serving);
          endpoints.start();
          Runtime.getRuntime()
              .addShutdownHook(Thread.ofPlatform().unstarted(() -> await(stop, stopped)));
          new Announcement(running, endpoints, ports).print(out, (System.nanoTime() - start) / 1e9);
          if (events != null) {
            KvEventOptions.announce(out, events);
          }
          return untilTheEnd(running.served().engine(), endpoints, out, stop);
        } catch (IOException e) {
          throw new UserException(String.valueOf(e.getMessage()), e);
        }
      }
    }
  }

  private Endpoints endpoints(
      RunningModel running,
      ServingOptions serving,
      HttpServerConfig http,
      @Nullable HttpServerConfig admin,
      AtomicReference<ServerMetrics> metrics) {
    List<GrpcService> services = new ArrayList<>();
    extensions().forEach(e -> services.addAll(e.services(running, metrics::get)));
    ApiConfig api =
        new ApiConfig(
                names.isEmpty() ? List.of(running.name()) : names,
                Release.VERSION,
                running::systemFingerprint)
            .allowingChoices(serving.maxChoices())
            .storingResponses(responseStore);
    return Endpoints.of(running, api, http, ports.grpcPort(), admin, ports.page(), services);
  }

  private int untilTheEnd(Engine engine, Endpoints endpoints, PrintWriter out, CountDownLatch stop)
      throws InterruptedException {
    if (awaitEnd(engine, stop) == ENGINE_FAILED) {
      return failed(engine, out);
    }
    for (ServeExtension extension : extensions()) {
      extension.end();
    }
    out.printf(
        "Draining: no new requests, running ones have %d s.%n", ports.drainTimeout().toSeconds());
    out.flush();
    out.println(endpoints.drain());
    return 0;
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

  /** The JVM ends when its hooks have: this one waits until everything is closed. */
  private static void await(CountDownLatch stop, CountDownLatch stopped) {
    stop.countDown();
    try {
      stopped.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
