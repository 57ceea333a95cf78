package io.tercel.server.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.call.Json;
import io.tercel.server.call.Keys;
import io.tercel.server.http.HttpServer;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.sglang.GenerateRoutes;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The admin port. */
class AdminRoutesTest {
  private static final String KEY = TestServer.ADMIN_KEY;

  @TempDir Path directory;
  private TestServer server;
  private WeightStore weights;
  private HttpServer admin;

  @BeforeEach
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.withKey("secret"));
    TinyCheckpoint.qwen3().layers(1).write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
    admin = admin(server.config.keys());
  }

  private HttpServer admin(Keys keys) throws Exception {
    ServerControl control =
        new ServerControl(
            server.api,
            new ServedModelInfo("scripted", "none", 16, 64, 2048, 256),
            new ServedWeights(
                directory, weights, server.engine, LmHeadType.STORED, () -> Long.MAX_VALUE));
    HttpServer http =
        new HttpServer(
            server.config.toBuilder().keys(keys).build(),
            new AdminRoutes(server.api, control, new GenerateRoutes(server.api.context())));
    http.start();
    return http;
  }

  @AfterEach
  void stop() {
    admin.close();
    server.close();
    weights.close();
  }

  private HttpResponse<String> ask(
      HttpServer http, String method, String path, String key, String body) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + http.port() + path));
    if (!key.isEmpty()) {
      request.header("authorization", "Bearer " + key);
    }
    if (!body.isEmpty()) {
      request.header("content-type", "application/json");
    }
    request.method(method, HttpRequest.BodyPublishers.ofString(body));
    return server.client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private JsonNode command(String path, String body) throws Exception {
    HttpResponse<String> response = ask(admin, "POST", path, KEY, body);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private JsonNode get(String path) throws Exception {
    HttpResponse<String> response = ask(admin, "GET", path, KEY, "");
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  @Test
  void probesAndMetrics_needNoKey() throws Exception {
    for (String path : List.of("/health", "/ready", "/metrics", "/version")) {
      assertEquals(200, ask(admin, "GET", path, "", "").statusCode(), path);
    }
    assertTrue(ask(admin, "GET", "/metrics", "", "").body().contains("vllm:num_requests_running"));
  }

  @Test
  void control_needsTheAdminKey() throws Exception {
    for (String[] route :
        new String[][] {
          {"GET", "/info"},
          {"GET", "/checksum"},
          {"GET", "/is_paused"},
          {"POST", "/pause"},
          {"POST", "/resume"},
          {"POST", "/abort"},
          {"POST", "/reload"},
          {"POST", "/drain"},
          {"POST", "/abort_started_before"},
          {"POST", "/reset_prefix_cache"},
          {"POST", "/flush_cache"},
          {"POST", "/abort_request"},
          {"POST", "/pause_generation"},
          {"POST", "/continue_generation"},
          {"POST", "/update_weights_from_disk"},
          {"POST", "/update_weights"},
          {"GET", "/get_weight_version"},
          {"POST", "/generate"},
        }) {
      assertEquals(401, ask(admin, route[0], route[1], "", "").statusCode(), route[1]);
      assertEquals(401, ask(admin, route[0], route[1], "wrong", "").statusCode(), route[1]);
      HttpResponse<String> client = ask(admin, route[0], route[1], "secret", "");
      assertEquals(403, client.statusCode(), "the clients' key on " + route[1]);
      assertFalse(client.body().contains("secret"));
    }
    assertFalse(server.engine.paused());
    assertTrue(server.engine.ready());
  }

  @Test
  void chat_isNotServedThere_andControlNotAmongClients() throws Exception {
    assertEquals(404, ask(admin, "POST", "/v1/chat/completions", KEY, "{}").statusCode());
    assertEquals(404, ask(server.http, "POST", "/pause", KEY, "{}").statusCode());
  }

  /** Tokens are for who may control, commands are short. */
  @Test
  void generate_isThereForTheAdmin_andNotAmongClients() throws Exception {
    String body =
        "{\"text\": \"" + "z".repeat(3000) + "\", \"pad\": \"" + "p".repeat(80_000) + "\"}";
    assertEquals(3000, command("/generate", body).at("/meta_info/prompt_tokens").asInt());
    assertEquals(404, ask(server.http, "POST", "/generate", KEY, body).statusCode());
    assertEquals(413, ask(admin, "POST", "/abort_request", KEY, body).statusCode());
  }

  @Test
  void info_andChecksum() throws Exception {
    JsonNode info = get("/info");
    assertEquals(TestServer.MODEL, info.at("/model_names/0").asText());
    assertEquals(TestServer.MAX_MODEL_LEN, info.at("/limits/max_model_len").asInt());
    assertEquals(16, info.at("/kv_cache/block_size").asInt());
    assertEquals(0, info.path("running").asInt(-1));
    assertFalse(info.path("paused").asBoolean(true));
    JsonNode checksum = get("/checksum");
    assertEquals("sha-256", checksum.path("algorithm").asText());
    assertTrue(checksum.path("digest").asText().matches("[0-9a-f]{64}"));
    assertEquals(weights.version(), checksum.path("weight_version").asLong(-1));
  }

  @Test
  void pause_holdsWhatRuns_resumeGoesOn() throws Exception {
    server.stepMillis(2);
    server.says("x".repeat(400));
    try (RawClient client = new RawClient(server.http.port())) {
      client.send(
          RawClient.post(
                  "/v1/chat/completions",
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"max_tokens\": 200}")
              .replace("\r\n\r\n", "\r\nAuthorization: Bearer secret\r\n\r\n"));
      TestServer.await("it runs", () -> server.engine.stats().work().generationTokens() > 5);
      assertEquals("paused", command("/pause", "").path("status").asText());
      assertEquals("paused", command("/pause?mode=keep", "").path("status").asText());
      assertTrue(get("/is_paused").path("is_paused").asBoolean());
      assertEquals(1, get("/info").path("running").asInt());
      assertEquals("resumed", command("/resume", "{}").path("status").asText());
      assertFalse(get("/is_paused").path("is_paused").asBoolean(true));
      assertEquals(200, client.read().status());
    }
  }

  @Test
  void abort_endsARequestByItsId() throws Exception {
    server.stepMillis(2);
    server.says("x".repeat(4000));
    try (RawClient client = new RawClient(server.http.port())) {
      client.send(
          RawClient.post(
                  "/v1/chat/completions",
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"stream\": true}")
              .replace("\r\n\r\n", "\r\nAuthorization: Bearer secret\r\n\r\n"));
      String line = client.line();
      while (!line.startsWith("data: ")) {
        line = client.line();
      }
      String id = Json.MAPPER.readTree(line.substring(6)).path("id").asText();
      command("/abort", "{\"request_id\": \"" + id + "\"}");
      while (!line.contains("\"finish_reason\":\"abort\"")) {
        line = client.line();
      }
    }
    HttpResponse<String> gone = ask(admin, "POST", "/abort", KEY, "{\"request_id\": \"no\"}");
    assertEquals(404, gone.statusCode());
    assertTrue(gone.body().contains("'no'"), gone.body());
  }

  @Test
  void reload_readsTheDirectoryAgain_orChangesNothing() throws Exception {
    long before = weights.version();
    assertEquals(before + 1, command("/reload", "").path("weight_version").asLong());
    assertEquals(before + 2, command("/reload", "{}").path("weight_version").asLong());
    TinyCheckpoint.qwen3().layers(2).write(directory);
    HttpResponse<String> other = ask(admin, "POST", "/reload", KEY, "");
    assertEquals(409, other.statusCode(), other.body());
    assertEquals(before + 2, weights.version());
  }

  /** As SGLang's and prime-rl's trainers bring new weights: a directory of their own. */
  @Test
  void otherDirectories_areReadInPlace(@TempDir Path other) throws Exception {
    TinyCheckpoint.qwen3().layers(1).write(other);
    long before = weights.version();
    JsonNode updated = command("/update_weights", "{\"weight_dir\": \"" + other + "\"}");
    assertEquals(before + 1, updated.path("weight_version").asLong());
    JsonNode fromDisk =
        command(
            "/update_weights_from_disk",
            "{\"model_path\": \"" + other + "\", \"abort_all_requests\": true}");
    assertTrue(fromDisk.path("success").asBoolean());
    assertEquals(before + 2, get("/get_weight_version").path("weight_version").asLong());
    // a reload reads what was read last
    TinyCheckpoint.qwen3().layers(2).write(directory);
    assertEquals(before + 3, command("/reload", "").path("weight_version").asLong());
    HttpResponse<String> unfit =
        ask(
            admin,
            "POST",
            "/update_weights_from_disk",
            KEY,
            "{\"model_path\": \"" + directory + "\"}");
    assertEquals(400, unfit.statusCode(), unfit.body());
    assertEquals("model_path", Json.MAPPER.readTree(unfit.body()).at("/error/param").asText());
    assertEquals(before + 3, weights.version(), "nothing has changed");
  }

  @Test
  void pauseWithAbort_endsWhatRuns() throws Exception {
    server.stepMillis(2);
    server.says("x".repeat(4000));
    for (String pause : new String[] {"/pause?mode=abort&clear_cache=true", "/pause_generation"}) {
      try (RawClient client = new RawClient(server.http.port())) {
        client.send(
            RawClient.post(
                    "/v1/chat/completions",
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"max_tokens\": 3000}")
                .replace("\r\n\r\n", "\r\nAuthorization: Bearer secret\r\n\r\n"));
        TestServer.await("it runs", () -> server.engine.stats().running() == 1);
        command(pause, "");
        assertTrue(server.engine.paused());
        RawClient.Answer answer = client.read();
        assertEquals(200, answer.status());
        assertTrue(answer.body().contains("\"finish_reason\":\"abort\""), answer.body());
      }
      command("/continue_generation", "");
      assertFalse(server.engine.paused());
    }
    assertEquals(0, command("/abort_request", "{\"rid\": \"gone\"}").path("aborted").asInt(-1));
    assertEquals(0, command("/abort_request", "{\"abort_all\": true}").path("aborted").asInt(-1));
  }

  /** Prompts that were asked before are computed anew. */
  @Test
  void resetPrefixCache_forgets() throws Exception {
    String body =
        "{\"messages\": [{\"role\": \"user\", \"content\": \""
            + "a long prompt ".repeat(8)
            + "\"}], \"max_tokens\": 1}";
    assertEquals(0, cached(body));
    assertTrue(cached(body) > 0);
    for (String reset : new String[] {"/reset_prefix_cache", "/flush_cache"}) {
      assertTrue(command(reset, "").path("success").asBoolean());
      assertEquals(0, cached(body), reset);
      assertTrue(cached(body) > 0);
    }
  }

  private int cached(String body) throws Exception {
    HttpResponse<String> answer = ask(server.http, "POST", "/v1/chat/completions", "secret", body);
    assertEquals(200, answer.statusCode(), answer.body());
    return Json.MAPPER
        .readTree(answer.body())
        .at("/usage/prompt_tokens_details/cached_tokens")
        .asInt();
  }

  @Test
  void abortStartedBefore_saysHowManyEnded() throws Exception {
    assertEquals(
        0, command("/abort_started_before", "{\"weight_version\": 9}").path("aborted").asInt(-1));
  }

  @Test
  void drain_isSeenByEveryPort() throws Exception {
    assertEquals(0, command("/drain", "").path("unfinished").asInt(-1));
    assertEquals(503, ask(admin, "GET", "/ready", "", "").statusCode());
    assertEquals(503, ask(server.http, "GET", "/ready", "secret", "").statusCode());
    assertEquals(200, ask(admin, "GET", "/health", "", "").statusCode());
    assertTrue(get("/info").path("draining").asBoolean());
  }

  @Test
  void badFields_areNamed() throws Exception {
    for (String[] wrong :
        new String[][] {
          {"/pause?mode=wait", "", "mode"},
          {"/pause?clear_cache=maybe", "", "clear_cache"},
          {"/pause_generation", "{\"mode\": \"retract\"}", "mode"},
          {"/abort_request", "", "rid"},
          {"/abort_request", "{\"abort_all\": 5}", "abort_all"},
          {"/update_weights", "", "weight_dir"},
          {"/update_weights", "{\"weight_dir\": \"/nowhere\"}", "weight_dir"},
          {"/update_weights_from_disk", "{}", "model_path"},
          {"/update_weights_from_disk", "{\"model_path\": 5}", "model_path"},
          {"/pause", "{\"mode\": 1}", "mode"},
          {"/abort", "", "request_id"},
          {"/abort_started_before", "", "weight_version"},
          {"/abort_started_before", "{\"weight_version\": 0}", "weight_version"},
          {"/abort_started_before", "{\"weight_version\": 1.5}", "weight_version"},
          {"/reload", "{\"stale_kv\": \"keep\"}", "stale_kv"},
        }) {
      HttpResponse<String> response = ask(admin, "POST", wrong[0], KEY, wrong[1]);
      assertEquals(400, response.statusCode(), response.body());
      assertEquals(
          wrong[2], Json.MAPPER.readTree(response.body()).at("/error/param").asText(), wrong[0]);
    }
  }

  /** Without any key the machine's own users steer it, but no web page does. */
  @Test
  void withoutKeys_openOnLoopback_notToPages() throws Exception {
    try (HttpServer open = admin(Keys.of(null, null));
        RawClient page = new RawClient(open.port())) {
      assertEquals(200, ask(open, "POST", "/pause", "", "").statusCode());
      assertEquals(200, ask(open, "POST", "/resume", "", "").statusCode());
      String form = "POST /pause HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n";
      assertEquals(403, page.send(form + "Content-Length: 0\r\n\r\n").read().status());
      assertFalse(server.engine.paused());
    }
    try (HttpServer half = admin(Keys.of("secret", null))) {
      HttpResponse<String> closed = ask(half, "POST", "/pause", "secret", "");
      assertEquals(403, closed.statusCode());
      assertTrue(closed.body().contains("--admin-key"), closed.body());
    }
  }

  @Test
  void rebinding_isRefused_evenForProbes() throws Exception {
    try (RawClient client = new RawClient(admin.port())) {
      client.send("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
      assertEquals(403, client.read().status());
    }
  }
}
