package io.tercel.server.testing;

import io.tercel.kernels.format.GenerationDefaults;
import io.tercel.server.api.PublicRoutes;
import io.tercel.server.call.Keys;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.http.HttpLimits;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.http.Tls;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.testing.ScriptedBackend.Script;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.Tokenizer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** A server on a real socket before a scripted model. The one place that wires them. */
public final class TestServer implements AutoCloseable {
  public static final String MODEL = "tercel/tiny";
  public static final String ANSWER = "<think>I ponder.</think>Hé 😀, ok!<|im_end|>";

  /** The tokens of {@link #ANSWER}, the one that ends it among them. */
  public static final int ANSWER_TOKENS = TinyText.ids(ANSWER).length;

  /** Of servers that have a key. */
  public static final String ADMIN_KEY = "admin-secret";

  public static final int MAX_MODEL_LEN = 4096;

  /** How a server differs from the usual one. */
  public record Setup(
      @Nullable String key,
      HttpLimits limits,
      int maxModelLen,
      int maxNumSeqs,
      int maxNumBatchedTokens,
      int maxWaiting,
      Script script,
      ReasoningDefaults reasoning) {
    public Setup withKey(String other) {
      return new Setup(
          other,
          limits,
          maxModelLen,
          maxNumSeqs,
          maxNumBatchedTokens,
          maxWaiting,
          script,
          reasoning);
    }

    public Setup withLimits(UnaryOperator<HttpLimits> change) {
      return new Setup(
          key,
          change.apply(limits),
          maxModelLen,
          maxNumSeqs,
          maxNumBatchedTokens,
          maxWaiting,
          script,
          reasoning);
    }

    public Setup withLength(int length) {
      return new Setup(
          key, limits, length, maxNumSeqs, maxNumBatchedTokens, maxWaiting, script, reasoning);
    }

    public Setup withRoom(int seqs, int tokens, int waiting) {
      return new Setup(key, limits, maxModelLen, seqs, tokens, waiting, script, reasoning);
    }

    public Setup saying(String text) {
      int[] ids = TinyText.ids(text);
      return new Setup(
          key,
          limits,
          maxModelLen,
          maxNumSeqs,
          maxNumBatchedTokens,
          maxWaiting,
          c -> ids,
          reasoning);
    }

    public Setup withReasoning(ReasoningDefaults other) {
      return new Setup(
          key, limits, maxModelLen, maxNumSeqs, maxNumBatchedTokens, maxWaiting, script, other);
    }
  }

  public static final Setup USUAL =
      new Setup(
              null,
              HttpLimits.DEFAULT,
              MAX_MODEL_LEN,
              64,
              2048,
              256,
              c -> new int[] {'x'},
              ReasoningDefaults.NONE)
          .saying(ANSWER);

  public final ScriptedBackend backend;
  public final Engine engine;
  public final Tokenizer tokenizer;
  public final InferenceApi api;
  public final HttpServer http;
  public final HttpClient client = HttpClient.newHttpClient();
  private final ServedModel model;
  public final HttpServerConfig config;

  public TestServer(Setup setup) throws IOException {
    this(setup, TinyText.template());
  }

  public TestServer(Setup setup, ChatTemplate template) throws IOException {
    int blocks = Math.max(4 * MAX_MODEL_LEN, setup.maxModelLen()) / ScriptedBackend.BLOCK_SIZE + 1;
    Set<Integer> eos = Set.of(TinyText.IM_END);
    this.backend = new ScriptedBackend(blocks, setup.script());
    this.engine =
        new Engine(
            backend,
            EngineConfig.builder(setup.maxModelLen(), 512)
                .maxNumSeqs(setup.maxNumSeqs())
                .maxNumBatchedTokens(setup.maxNumBatchedTokens())
                .maxWaiting(setup.maxWaiting())
                .eosTokenIds(eos)
                .build());
    this.tokenizer = TinyText.tokenizer(Files.createTempDirectory("tiny"));
    this.model =
        new ServedModel(
            tokenizer,
            template,
            engine,
            GenerationDefaults.NONE,
            eos,
            Markers.think(tokenizer),
            setup.maxModelLen(),
            setup.reasoning(),
            Instant.ofEpochSecond(1_700_000_000),
            Map.of("weights", 1000L));
    this.api =
        new InferenceApi(
            new ApiConfig(
                List.of(MODEL, "alias"),
                "0.1-test",
                version -> version <= 1 ? "fp_test" : "fp_test-w" + version),
            model);
    this.config = config(setup.key(), setup.limits(), 0);
    this.http = new HttpServer(config, new PublicRoutes(api));
    http.start();
  }

  public static TestServer start() throws IOException {
    return new TestServer(USUAL);
  }

  /** Another server of the same model. */
  public HttpServer another(@Nullable String key, HttpLimits limits, int port) {
    return new HttpServer(config(key, limits, port), new PublicRoutes(api));
  }

  /** Another server of the same model. */
  public HttpServer another(UnaryOperator<HttpServerConfig.Builder> change) {
    return new HttpServer(change.apply(config.toBuilder()).build(), new PublicRoutes(api));
  }

  /** How a server of the same model is set up that speaks TLS. */
  public HttpServerConfig secured(Tls tls) {
    return config.toBuilder().keys(Keys.of(null, null)).tls(tls).build();
  }

  private static HttpServerConfig config(@Nullable String key, HttpLimits limits, int port) {
    return HttpServerConfig.builder("127.0.0.1", port)
        .keys(Keys.of(key, key == null ? null : ADMIN_KEY))
        .limits(limits)
        .drainTimeout(Duration.ofSeconds(10))
        .build();
  }

  /** What the next step's tokens name. */
  public void weightVersion(long version) {
    backend.weightVersion = version;
  }

  /** Milliseconds of each step from now on. */
  public void stepMillis(int millis) {
    backend.stepMillis = millis;
  }

  public void says(String text) {
    int[] ids = TinyText.ids(text);
    backend.script = choice -> ids;
  }

  public URI uri(String path) {
    return URI.create("http://127.0.0.1:" + http.port() + path);
  }

  public String baseUrl() {
    return uri("/v1").toString();
  }

  public HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(uri(path)).build(), HttpResponse.BodyHandlers.ofString());
  }

  public HttpResponse<String> post(String path, String json)
      throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(uri(path))
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(json, StandardCharsets.UTF_8))
            .build(),
        HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
  }

  /** The lines of an answer as they come. */
  public Iterator<String> streaming(String path, String json)
      throws IOException, InterruptedException {
    return client
        .send(
            HttpRequest.newBuilder(uri(path))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(json, StandardCharsets.UTF_8))
                .build(),
            HttpResponse.BodyHandlers.ofLines())
        .body()
        .iterator();
  }

  /** Asks "hi" with these fields besides. */
  public HttpResponse<String> chat(String fields) throws IOException, InterruptedException {
    String comma = fields.isEmpty() ? "" : ", ";
    return post(
        "/v1/chat/completions",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]" + comma + fields + "}");
  }

  /** Continues "Once" with these fields besides. */
  public HttpResponse<String> complete(String fields) throws IOException, InterruptedException {
    return post(
        "/v1/completions", "{\"prompt\": \"Once\"" + (fields.isEmpty() ? "" : ", ") + fields + "}");
  }

  /** Waits for what must happen soon; fails the test if it doesn't. */
  public static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + 10_000_000_000L;
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("did not happen within 10 s: " + what);
      }
      Thread.sleep(2);
    }
  }

  /**
   * Waits until the one sequence that runs stands still because its client doesn't read, and
   * returns how many tokens it has. That it stands is proved by the engine's own steps: another
   * answer of 200 tokens is generated meanwhile, and it gets none.
   */
  public long awaitStandstill() throws InterruptedException {
    long[] made = new long[1];
    long[] others = new long[1];
    await(
        "a standstill",
        () -> {
          if (engine.stats().stalled() != 1) {
            return false;
          }
          long before = engine.stats().work().generationTokens();
          try {
            String other = complete("\"max_tokens\": 200, \"ignore_eos\": true").body();
            if (!other.contains("\"completion_tokens\":200")) {
              throw new AssertionError(other);
            }
          } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
          }
          others[0] += 200;
          long now = engine.stats().work().generationTokens();
          made[0] = now - others[0];
          return now == before + 200 && engine.stats().stalled() == 1;
        });
    return made[0];
  }

  /** Nothing of any request is left. */
  public void awaitIdle() throws InterruptedException {
    await("idle", () -> engine.stats().running() == 0 && engine.stats().waiting() == 0);
    await(
        "all blocks free", () -> engine.stats().blocks().free() == engine.stats().blocks().total());
    await("no thread", () -> http.runningRequests() == 0);
    await("no body buffered", () -> http.bufferedBytes() == 0);
  }

  @Override
  public void close() {
    http.close();
    engine.close();
    client.close();
    tokenizer.close();
  }
}
