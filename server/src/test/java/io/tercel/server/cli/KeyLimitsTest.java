package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.ByteString;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.server.call.Json;
import io.tercel.server.call.KeyHolder;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.TestKeys;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What keys allow a minute, and in which classes, on every wire. */
class KeyLimitsTest {
  private static final String HI = "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";
  private static final Map<String, String> ROUTES =
      Map.of(
          "/v1/chat/completions",
          HI + ", \"max_tokens\": 5",
          "/v1/completions",
          "\"prompt\": [\"Once\", \"Twice\"], \"n\": 2, \"max_tokens\": 5",
          "/v1/responses",
          "\"input\": \"hi\", \"max_output_tokens\": 5",
          "/v1/messages",
          "\"model\": \"alias\", \"max_tokens\": 5, " + HI);

  private final TestKeys keys = new TestKeys(null, "root-secret");
  private ServedPorts ports;

  @BeforeEach
  void start() throws Exception {
    ports = new ServedPorts(TestServer.USUAL.saying("x"), config -> config.keys(keys.keys));
  }

  @AfterEach
  void stop() {
    ports.close();
  }

  private RawClient.Answer post(String path, String fields) throws Exception {
    return ports.post("alice-secret", path, "{" + fields + "}");
  }

  private static Metadata alice() {
    return ServedPorts.metadata("authorization", "Bearer alice-secret");
  }

  private void generate(int maxTokens) {
    ports
        .inference(alice())
        .generate(GenerateRequest.newBuilder().setText("Once").setMaxTokens(maxTokens).build())
        .forEachRemaining(_ -> {});
  }

  private void grpcChat(String fields) {
    ports
        .inference(alice())
        .chatCompletions(
            ChatCompletionsRequest.newBuilder()
                .setJson(ByteString.copyFromUtf8("{" + fields + "}"))
                .build())
        .forEachRemaining(_ -> {});
  }

  private long used(String key) {
    KeyHolder.Counts counts = keys.holder(key).counts();
    return counts.promptTokens() + counts.generatedTokens();
  }

  private static int header(RawClient.Answer answer, String name) {
    return Integer.parseInt(Objects.requireNonNull(answer.headers().get(name), name));
  }

  @Test
  void requests_overTheLimit_areRefusedOnEveryWire() throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withRequestsPerMinute(8));
    int left = 8;
    for (Map.Entry<String, String> route : ROUTES.entrySet()) {
      RawClient.Answer answer = post(route.getKey(), route.getValue());
      assertEquals(200, answer.status(), answer.body());
      assertEquals(8, header(answer, "x-ratelimit-limit-requests"));
      assertEquals(--left, header(answer, "x-ratelimit-remaining-requests"));
      assertFalse(answer.headers().containsKey("x-ratelimit-limit-tokens"));
    }
    generate(1);
    grpcChat(HI + ", \"max_tokens\": 1");
    assertEquals(200, post("/tokenize", "\"prompt\": \"Once\"").status());
    RawClient.Answer last = post("/v1/messages/count_tokens", "\"model\": \"alias\", " + HI);
    assertEquals(200, last.status());
    assertEquals(0, header(last, "x-ratelimit-remaining-requests"));
    assertEquals("1m0s", last.headers().get("x-ratelimit-reset-requests"));
    for (String path : ROUTES.keySet()) {
      refused(post(path, ROUTES.get(path)), 8);
    }
    refused(post("/tokenize", "\"prompt\": \"Once\""), 8);
    refused(post("/detokenize", "\"tokens\": [1]"), 8);
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> generate(1));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.getStatus().getCode());
    Metadata trailers = Objects.requireNonNull(e.getTrailers());
    assertEquals("8", trailers.get(key("retry-after")));
    assertEquals("0", trailers.get(key("x-ratelimit-remaining-requests")));
    e = assertThrows(StatusRuntimeException.class, () -> grpcChat(HI));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.getStatus().getCode());
    // what asks for no work is not counted
    assertEquals(
        200,
        ServedPorts.ask(
                ports.port(), "GET", "/v1/models", "Authorization: Bearer alice-secret\r\n", "")
            .status());
    keys.pass(Duration.ofSeconds(8)); // as Retry-After says
    assertEquals(200, post("/tokenize", "\"prompt\": \"Once\"").status());
    refused(post("/tokenize", "\"prompt\": \"Once\""), 8);
    String metrics = ports.model.api.metrics().text();
    assertTrue(
        metrics.contains(
            "tercel_key_requests_total{model_name=\"tercel/tiny\",key=\"alice\",} 18.0"),
        metrics.lines().filter(l -> l.contains("tercel_key")).toList().toString());
    assertTrue(
        metrics.contains(
            "tercel_key_refused_total{model_name=\"tercel/tiny\",key=\"alice\",limit=\"requests\",} 9.0"));
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  private static void refused(RawClient.Answer answer, int seconds) throws Exception {
    assertEquals(429, answer.status(), answer.body());
    assertEquals(seconds, header(answer, "retry-after"), 1);
    assertTrue(answer.headers().containsKey("x-ratelimit-remaining-requests"));
    JsonNode error = Json.MAPPER.readTree(answer.body()).path("error");
    assertTrue(error.path("message").asText().contains("'alice'"), answer.body());
  }

  /** Prompts and answers count, streamed and whole, and what was reserved besides is given back. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void tokens_areThoseOfTheUsage(boolean stream) throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withTokensPerMinute(10_000));
    long expected = 0;
    for (Map.Entry<String, String> route : ROUTES.entrySet()) {
      String options =
          route.getKey().endsWith("completions")
              ? ", \"stream_options\": {\"include_usage\": true}"
              : "";
      RawClient.Answer answer =
          post(route.getKey(), route.getValue() + (stream ? ", \"stream\": true" + options : ""));
      assertEquals(200, answer.status(), answer.body());
      expected += usage(answer.body(), stream);
      long now = expected;
      TestServer.await(
          route.getKey() + ": " + used("alice") + " of " + now, () -> used("alice") == now);
      long left = 10_000 - now;
      assertEquals(
          left, header(post("/tokenize", "\"prompt\": \"a\""), "x-ratelimit-remaining-tokens"));
    }
  }

  /** The last usage in an answer, prompt and completion by either pair of names. */
  private static long usage(String body, boolean stream) throws Exception {
    long found = 0;
    List<JsonNode> parts =
        stream
            ? body.lines()
                .filter(line -> line.startsWith("data: {"))
                .map(line -> parse(line.substring(6)))
                .toList()
            : List.of(Json.MAPPER.readTree(body));
    for (JsonNode part : parts) {
      for (JsonNode usage : part.findValues("usage")) {
        if (usage.isObject()) {
          long input = usage.path("input_tokens").asLong(usage.path("prompt_tokens").asLong());
          found =
              input
                  + usage.path("cache_read_input_tokens").asLong()
                  + usage.path("output_tokens").asLong(usage.path("completion_tokens").asLong());
        }
      }
    }
    assertTrue(found > 5, body);
    return found;
  }

  private static JsonNode parse(String json) {
    try {
      return Json.MAPPER.readTree(json);
    } catch (java.io.IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void tokens_ofGrpcCountToo() throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withTokensPerMinute(1000));
    generate(7);
    long prompt = keys.holder("alice").counts().promptTokens();
    TestServer.await("settled", () -> keys.holder("alice").counts().generatedTokens() == 7);
    grpcChat(HI + ", \"max_tokens\": 3, \"stream\": true");
    TestServer.await("settled", () -> keys.holder("alice").counts().generatedTokens() == 10);
    assertTrue(keys.holder("alice").counts().promptTokens() > prompt);
    String remaining = keys.holder("alice").limitHeaders().get("x-ratelimit-remaining-tokens");
    assertEquals(Long.toString(1000 - used("alice")), remaining);
  }

  @Test
  void tokens_thatARequestMayTake_areReserved() throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withTokensPerMinute(200));
    RawClient.Answer refused = post("/v1/completions", "\"prompt\": \"Once\", \"max_tokens\": 150");
    assertEquals(200, refused.status());
    TestServer.await("settled", () -> used("alice") == 154);
    refused = post("/v1/completions", "\"prompt\": \"Once\", \"max_tokens\": 100");
    assertEquals(429, refused.status(), refused.body());
    assertTrue(
        refused.body().contains("46 are left, and this request may take 104"), refused.body());
    assertEquals(18, header(refused, "retry-after"), "58 more at 200 a minute");
    assertEquals(46, header(refused, "x-ratelimit-remaining-tokens"));
    assertEquals(200, header(refused, "x-ratelimit-limit-tokens"));
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, () -> generate(100));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.getStatus().getCode());
    assertEquals("18", Objects.requireNonNull(e.getTrailers()).get(key("retry-after")));
    assertEquals(200, post("/v1/completions", "\"prompt\": \"Once\", \"max_tokens\": 42").status());
    assertEquals(2, keys.holder("alice").counts().overTokens());
    // one that may take more than there ever is waits for a full minute's, and then has it
    keys.pass(Duration.ofMinutes(1));
    assertEquals(
        200, post("/v1/completions", "\"prompt\": \"Once\", \"max_tokens\": 500").status());
    TestServer.await("settled", () -> used("alice") == 154 + 46 + 504);
    refused = post("/v1/completions", "\"prompt\": \"O\", \"max_tokens\": 1");
    assertEquals(429, refused.status());
    assertEquals(92, header(refused, "retry-after"), 1, "304 too many are made good first");
  }

  @Test
  void whatNeverRan_costsNothing() throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withTokensPerMinute(6000));
    assertEquals(400, post("/v1/completions", "\"prompt\": \"Once\", \"max_tokens\": -3").status());
    // the engine takes no part of a request that asks for more sequences than may ever wait
    String many = "\"prompt\": [" + "\"a\", ".repeat(127) + "\"a\"], \"n\": 1, \"max_tokens\": 9";
    try (ServedPorts small =
        new ServedPorts(TestServer.USUAL.withRoom(2, 64, 4), config -> config.keys(keys.keys))) {
      RawClient.Answer refused = small.post("alice-secret", "/v1/completions", "{" + many + "}");
      assertEquals(400, refused.status(), refused.body());
    }
    TestServer.await(
        "given back",
        () ->
            "6000".equals(keys.holder("alice").limitHeaders().get("x-ratelimit-remaining-tokens")));
    assertEquals(0, used("alice"));
  }

  @Test
  void aClientThatLeaves_paysWhatItGot() throws Exception {
    keys.with("alice", KeyTerms.CLIENT.withTokensPerMinute(100_000));
    ports.model.stepMillis(2);
    try (RawClient client = new RawClient(ports.port())) {
      String json = "{\"prompt\": \"Once\", \"max_tokens\": 4000, \"stream\": true}";
      client.send(
          RawClient.post("/v1/completions", json)
              .replaceFirst("\r\n\r\n", "\r\nAuthorization: Bearer alice-secret\r\n\r\n"));
      assertEquals("HTTP/1.1 200 OK", client.line());
      TestServer.await(
          "some tokens", () -> ports.model.engine.stats().work().generationTokens() > 5);
    }
    TestServer.await("settled", () -> used("alice") > 4);
    ports.model.awaitIdle();
    assertTrue(used("alice") < 4000, "so much was never generated: " + used("alice"));
    String remaining = keys.holder("alice").limitHeaders().get("x-ratelimit-remaining-tokens");
    assertEquals(Long.toString(100_000 - used("alice")), remaining);
  }

  @Test
  void classes_areThoseOfTheKey() throws Exception {
    keys.with(
        "alice",
        KeyTerms.CLIENT.withClasses(
            List.of(ServiceClass.BATCH, ServiceClass.ROLLOUT), ServiceClass.BATCH));
    long before = ports.model.engine.stats().of(ServiceClass.BATCH).generationTokens();
    for (Map.Entry<String, String> route : ROUTES.entrySet()) {
      assertEquals(200, post(route.getKey(), route.getValue()).status());
      long now = ports.model.engine.stats().of(ServiceClass.BATCH).generationTokens();
      assertTrue(now > before, route.getKey());
      before = now;
      RawClient.Answer refused =
          post(route.getKey(), route.getValue() + ", \"service_class\": \"chat\"");
      assertEquals(403, refused.status(), refused.body());
      assertTrue(refused.body().contains("batch, rollout only"), refused.body());
    }
    assertEquals(0, ports.model.engine.stats().of(ServiceClass.CHAT).generationTokens());
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () ->
                ports
                    .inference(alice())
                    .generate(
                        GenerateRequest.newBuilder()
                            .setText("Once")
                            .setServiceClass("chat")
                            .build())
                    .next());
    assertEquals(Status.Code.PERMISSION_DENIED, e.getStatus().getCode());
    generate(2);
    assertEquals(before + 2, ports.model.engine.stats().of(ServiceClass.BATCH).generationTokens());
  }
}
