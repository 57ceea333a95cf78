package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.call.Json;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.TestKeys;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.log.RequestLog;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the request log says of calls on every wire, and what it doesn't say. */
class CallRecordsTest {
  private static final String CHAT =
      "\"messages\": [{\"role\": \"user\", \"content\": \"confidential\"}]";
  private static final String KEY = "Authorization: Bearer alice-secret\r\n";

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final RequestLog log = RequestLog.to(out);
  private final TestKeys keys =
      new TestKeys(null, "root-secret")
          .with(
              "alice",
              KeyTerms.CLIENT
                  .withRequestsPerMinute(50)
                  .withClasses(List.of(ServiceClass.BATCH), ServiceClass.BATCH));
  private ServedPorts ports;

  @BeforeEach
  void start() throws Exception {
    ports = new ServedPorts(TestServer.USUAL, config -> config.keys(keys.keys).observer(log));
  }

  @AfterEach
  void stop() {
    ports.close();
    log.close();
  }

  private List<JsonNode> lines(int count) throws Exception {
    TestServer.await(count + " lines: " + log.lines(), () -> log.lines() >= count);
    String text = out.toString(StandardCharsets.UTF_8);
    for (String secret : List.of("confidential", "secret", "ponder", "Hé")) {
      assertFalse(text.contains(secret), text);
    }
    List<JsonNode> lines = new ArrayList<>();
    for (String line : text.lines().toList()) {
      lines.add(Json.MAPPER.readTree(line));
    }
    assertEquals(count, lines.size(), text);
    return lines;
  }

  private static void check(JsonNode line, String... namesAndValues) {
    for (int i = 0; i < namesAndValues.length; i += 2) {
      assertEquals(
          namesAndValues[i + 1],
          line.path(namesAndValues[i]).asText(),
          namesAndValues[i] + " of " + line);
    }
  }

  @ParameterizedTest
  @CsvSource({"false", "true"})
  void chat_hasAll(boolean stream) throws Exception {
    RawClient.Answer answer =
        ServedPorts.ask(
            ports.port(),
            "POST",
            "/v1/chat/completions",
            KEY + "x-request-id: mine-1\r\n",
            "{" + CHAT + ", \"model\": \"alias\", \"n\": 2, \"stream\": " + stream + "}");
    assertEquals(200, answer.status());
    JsonNode line = lines(1).getFirst();
    check(
        line,
        "request_id",
        "mine-1",
        "key",
        "alice",
        "wire",
        "http",
        "route",
        "/v1/chat/completions",
        "status",
        "200",
        "model",
        "alias",
        "class",
        "batch",
        "choices",
        "2",
        "stop",
        "stop",
        "weight_version",
        "1",
        "client_closed",
        "false");
    assertFalse(line.has("error"), line.toString());
    assertTrue(answer.body().contains(line.path("answer_id").asText()), line.toString());
    assertTrue(Instant.parse(line.path("time").asText()).isBefore(Instant.now()));
    assertEquals(2 * TestServer.ANSWER_TOKENS, line.path("completion_tokens").asInt());
    assertTrue(line.path("reasoning_tokens").asInt() > 10, line.toString());
    assertTrue(line.path("prompt_tokens").asInt() > 10);
    double queue = line.path("queue_ms").asDouble(-1);
    double first = line.path("ttft_ms").asDouble(-1);
    double whole = line.path("e2e_ms").asDouble(-1);
    assertTrue(queue >= 0 && queue <= first && first <= whole, line.toString());
  }

  @Test
  void everyRouteAndWire_hasALine() throws Exception {
    long asked = 0;
    for (String[] route :
        new String[][] {
          {"/v1/completions", "\"prompt\": [\"confidential\", \"b\"], \"max_tokens\": 3"},
          {"/v1/responses", "\"input\": \"confidential\", \"max_output_tokens\": 3"},
          {"/v1/messages", "\"model\": \"alias\", \"max_tokens\": 3, " + CHAT},
          {"/tokenize", "\"prompt\": \"confidential\""},
        }) {
      assertEquals(200, ports.post("alice-secret", route[0], "{" + route[1] + "}").status());
      long count = ++asked;
      TestServer.await("its line", () -> log.lines() == count); // before the next one's
    }
    var metadata =
        ServedPorts.metadata("authorization", "Bearer alice-secret", "x-request-id", "g");
    ports
        .inference(metadata)
        .generate(GenerateRequest.newBuilder().setText("confidential").setMaxTokens(3).build())
        .forEachRemaining(_ -> {});
    TestServer.await("its line", () -> log.lines() == 5);
    ports
        .inference(metadata)
        .chatCompletions(
            ChatCompletionsRequest.newBuilder()
                .setJson(ByteString.copyFromUtf8("{" + CHAT + ", \"max_tokens\": 3}"))
                .build())
        .forEachRemaining(_ -> {});
    List<JsonNode> lines = lines(6);
    check(
        lines.get(0),
        "route",
        "/v1/completions",
        "choices",
        "2",
        "completion_tokens",
        "6",
        "stop",
        "length");
    assertFalse(lines.get(0).path("answer_id").asText().contains("#"), lines.get(0).toString());
    check(lines.get(1), "route", "/v1/responses", "completion_tokens", "3");
    check(lines.get(2), "route", "/v1/messages", "completion_tokens", "3");
    check(lines.get(3), "route", "/tokenize", "status", "200");
    assertFalse(lines.get(3).has("prompt_tokens"));
    check(
        lines.get(4),
        "wire",
        "grpc",
        "route",
        "tercel.v1.Inference/Generate",
        "status",
        "OK",
        "key",
        "alice",
        "request_id",
        "g",
        "completion_tokens",
        "3",
        "client_closed",
        "false");
    check(lines.get(5), "route", "tercel.v1.Inference/ChatCompletions", "completion_tokens", "3");
  }

  @Test
  void refusals_sayWhy() throws Exception {
    assertEquals(401, ports.post("wrong-key", "/v1/completions", "{}").status());
    lines(1);
    assertEquals(404, ports.post("alice-secret", "/v1/confidential", "{}").status());
    lines(2);
    assertEquals(400, ports.post("alice-secret", "/v1/completions", "{}").status());
    lines(3);
    assertEquals(
        403,
        ports
            .post(
                "alice-secret",
                "/v1/completions",
                "{\"prompt\": \"a\", \"service_class\": \"chat\"}")
            .status());
    lines(4);
    assertThrows(
        StatusRuntimeException.class,
        () ->
            ports
                .control(ServedPorts.metadata("authorization", "Bearer alice-secret"))
                .getInfo(GetInfoRequest.getDefaultInstance()));
    List<JsonNode> lines = lines(5);
    check(lines.get(0), "status", "401", "error", "invalid_api_key", "route", "/v1/completions");
    assertFalse(lines.get(0).has("key"));
    check(lines.get(1), "status", "404", "error", "unknown_url", "key", "alice");
    assertFalse(lines.get(1).has("route"), "what strangers made up");
    check(lines.get(2), "status", "400", "error", "missing_required_parameter");
    check(lines.get(3), "status", "403", "error", "permission_denied");
    check(
        lines.get(4), "wire", "grpc", "status", "PERMISSION_DENIED", "error", "permission_denied");
  }

  @Test
  void clientThatLeaves_isSaid() throws Exception {
    ports.model.says("x".repeat(3000));
    ports.model.stepMillis(2);
    leaves();
    JsonNode line = lines(1).getFirst();
    check(line, "client_closed", "true", "stop", "abort", "status", "200");
    int tokens = line.path("completion_tokens").asInt();
    assertTrue(tokens > 0 && tokens < 3000, line.toString());
    try (RawClient client = new RawClient(ports.port())) { // before its body is there
      client.send(
          "POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
              + KEY
              + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
      TestServer.await("it is read", () -> keys.holder("alice").counts().requests() == 2);
    }
    line = lines(2).getLast();
    check(line, "client_closed", "true", "route", "/v1/completions", "key", "alice");
    assertFalse(line.has("status"));
  }

  private void leaves() throws Exception {
    try (RawClient client = new RawClient(ports.port())) {
      String json = "{\"prompt\": \"a\", \"max_tokens\": 3000, \"stream\": true}";
      client.send(
          RawClient.post("/v1/completions", json).replaceFirst("\r\n\r\n", "\r\n" + KEY + "\r\n"));
      assertEquals("HTTP/1.1 200 OK", client.line());
      TestServer.await(
          "some tokens", () -> ports.model.engine.stats().work().generationTokens() > 5);
    }
  }

  @Test
  void probes_haveNoLine() throws Exception {
    for (String path : List.of("/health", "/ready", "/metrics", "/v1/models", "/")) {
      assertEquals(200, ServedPorts.ask(ports.port(), "GET", path, KEY, "").status());
    }
    assertEquals(200, ports.post("alice-secret", "/tokenize", "{\"prompt\": \"a\"}").status());
    check(lines(1).getFirst(), "route", "/tokenize");
  }

  /** gRPC ends such a call by itself, and nothing of ours is asked. */
  @Test
  void messageThatCannotBeParsed_endsItsCall() throws Exception {
    MethodDescriptor<byte[], byte[]> raw =
        MethodDescriptor.<byte[], byte[]>newBuilder(RAW, RAW)
            .setType(MethodDescriptor.MethodType.SERVER_STREAMING)
            .setFullMethodName(InferenceGrpc.getGenerateMethod().getFullMethodName())
            .build();
    Channel keyed =
        ClientInterceptors.intercept(
            ports.channel,
            MetadataUtils.newAttachHeadersInterceptor(
                ServedPorts.metadata("authorization", "Bearer alice-secret")));
    Iterator<byte[]> answers =
        ClientCalls.blockingServerStreamingCall(
            keyed, raw, CallOptions.DEFAULT, new byte[] {-1, -1, -1});
    assertThrows(StatusRuntimeException.class, answers::next);
    check(lines(1).getFirst(), "key", "alice", "wire", "grpc");
  }

  private static final MethodDescriptor.Marshaller<byte[]> RAW =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
      };
}
