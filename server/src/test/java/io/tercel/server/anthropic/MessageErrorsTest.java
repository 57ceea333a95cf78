package io.tercel.server.anthropic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Errors of Anthropic's routes, whoever finds them, are of its one shape. */
class MessageErrorsTest {
  private static final String TOOL = "{\"name\": \"f\", \"input_schema\": {\"type\": \"object\"}}";
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = new TestServer(TestServer.USUAL.withKey("secret"));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    server.awaitIdle();
  }

  /** The message; all else is checked here. */
  private static String error(String type, int status, HttpResponse<String> response)
      throws Exception {
    assertEquals(status, response.statusCode(), response.body());
    assertEquals("application/json", response.headers().firstValue("content-type").orElseThrow());
    return error(type, response.body(), response.headers().firstValue("request-id").orElseThrow());
  }

  private static String error(String type, String json, String id) throws Exception {
    JsonNode body = Json.MAPPER.readTree(json);
    assertEquals(3, body.size(), json);
    assertEquals("error", body.path("type").asText());
    assertEquals(id, body.path("request_id").asText());
    assertEquals(2, body.path("error").size(), "type, message");
    assertEquals(type, body.at("/error/type").asText(), json);
    assertFalse(json.contains("io.tercel") || json.contains("Exception"));
    return body.at("/error/message").asText();
  }

  private static HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(server.uri(path)).header("content-type", "application/json");
  }

  private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return server.client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private static HttpResponse<String> post(String body) throws Exception {
    return send(
        request("/v1/messages")
            .header("x-api-key", "secret")
            .POST(HttpRequest.BodyPublishers.ofString(body)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "max_tokens | \"max_tokens\": null | is required",
        "max_tokens | \"max_tokens\": 0 | must be between 1",
        "max_tokens | \"max_tokens\": \"9\" | must be an integer, not a string",
        "model | \"model\": 5 | must be a string",
        "temperature | \"temperature\": 1.5 | must be between 0 and 1, not 1.5",
        "temperature | \"temperature\": \"hot\" | must be a number",
        "top_p | \"top_p\": 2 | between 0 and 1",
        "top_k | \"top_k\": 1.5 | an integer",
        "stream | \"stream\": 1 | must be a boolean",
        "stop_sequences | \"stop_sequences\": \"a\" | must be an array, not a string",
        "stop_sequences.1 | \"stop_sequences\": [\"a\", 5] | must be a string",
        "stop_sequences.0 | \"stop_sequences\": [\"\"] | must not be empty",
        "system | \"system\": 5 | must be a string or an array of blocks",
        "system.0.type | \"system\": [{\"type\": \"image\"}] | must be text, not 'image'",
        "messages | \"messages\": [] | must have at least one",
        "messages | \"messages\": \"hi\" | must be an array",
        "messages | \"messages\": [{\"role\": \"user\", \"content\": \"refuse me\"}]"
            + " | no such conversation",
        "messages.0.content.0.type | \"messages\": [{\"role\": \"user\", \"content\":"
            + " [{\"type\": \"image\"}]}] | 'image'",
        "thinking | \"thinking\": true | must be an object",
        "thinking.type | \"thinking\": {} | is required",
        "thinking.type | \"thinking\": {\"type\": \"deep\"} | must be enabled or adaptive or",
        "thinking.budget_tokens | \"thinking\": {\"type\": \"enabled\"} | is required",
        "thinking.budget_tokens | \"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 5}"
            + " | between 1024",
        "thinking.budget_tokens | \"max_tokens\": 1024, \"thinking\": {\"type\": \"enabled\","
            + " \"budget_tokens\": 1024} | less than max_tokens, 1024",
        "thinking.display | \"thinking\": {\"type\": \"adaptive\", \"display\": \"x\"} | or",
        "tools | \"tools\": {} | an array",
        "tools.0.name | \"tools\": [{\"input_schema\": {}}] | is required",
        "tools.0.input_schema | \"tools\": [{\"name\": \"f\"}] | is required",
        "tools.0.type | \"tools\": [{\"type\": \"web_search_20250305\", \"name\": \"w\"}]"
            + " | must be custom, not 'web_search_20250305'",
        "tools.1.name | \"tools\": [TOOL, TOOL] | no other tool has",
        "tools.0.description | \"tools\": [{\"name\": \"f\", \"description\": 5,"
            + " \"input_schema\": {}}] | a string",
        "tools.0.input_schema.type | \"tool_choice\": {\"type\": \"any\"}, \"tools\":"
            + " [{\"name\": \"f\", \"input_schema\": {\"type\": \"colour\"}}] | must be one of",
        "tool_choice.type | \"tools\": [TOOL], \"tool_choice\": {\"type\": \"some\"} | 'some'",
        "tool_choice.name | \"tools\": [TOOL], \"tool_choice\": {\"type\": \"tool\"} | required",
        "tool_choice.name | \"tools\": [TOOL], \"tool_choice\": {\"type\": \"tool\","
            + " \"name\": \"g\"} | one of the tools' names",
        "tool_choice | \"tool_choice\": {\"type\": \"any\"} | needs tools",
        "service_tier | \"service_tier\": \"gold\" | must be auto or standard_only",
        "metadata.user_id | \"metadata\": {\"user_id\": 5} | a string",
        "mcp_servers | \"mcp_servers\": [{}] | is not supported",
        "container | \"container\": \"c\" | is not supported",
        "output_config.effort | \"output_config\": {\"effort\": \"huge\"} | low or medium",
        "output_config.format.schema | \"output_config\": {\"format\": {\"type\":"
            + " \"json_schema\"}} | is required",
        "output_config.format.schema.type | \"output_config\": {\"format\": {\"type\":"
            + " \"json_schema\", \"schema\": {\"type\": \"colour\"}}} | must be one of",
      })
  void invalidFields_areNamed(String path, String fields, String says) throws Exception {
    String message =
        error("invalid_request_error", 400, post(Messages.body(fields.replace("TOOL", TOOL))));
    assertTrue(message.startsWith(path + ": "), message);
    assertTrue(message.contains(says), message);
    assertFalse(message.substring(path.length() + 2).startsWith(path + " "), message);
    assertFalse(message.matches(".*(response_format|\\[\\d|\\.function|_token_budget).*"), message);
  }

  @Test
  void required_andUnknownModel() throws Exception {
    assertEquals(
        "model: is required",
        error("invalid_request_error", 400, post("{\"max_tokens\": 5, \"messages\": []}")));
    assertEquals(
        "messages: is required",
        error("invalid_request_error", 400, post("{\"max_tokens\": 5, \"model\": \"alias\"}")));
    assertEquals(
        "model: The model `claude` does not exist.",
        error("not_found_error", 404, post(Messages.body("").replace("alias", "claude"))));
  }

  /** The word by which a client knows to send the whole conversation, not what is new of it. */
  @Test
  void thread_isRefusedByItsCode() throws Exception {
    var response =
        post(
            Messages.body(
                "\"thread\": {\"type\": \"continue\", \"previous_message_id\": \"msg_1\"}"));
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(400, response.statusCode());
    assertEquals("thread_unsupported_request", error.at("/details/error_code").asText());
    assertTrue(error.path("message").asText().startsWith("thread: is not supported"));
  }

  /** Agents look for these words to know that they must shorten the conversation. */
  @Test
  void tooLongPrompt() throws Exception {
    String message =
        error(
            "invalid_request_error",
            400,
            post(
                Messages.body(
                    "\"messages\": [{\"role\": \"user\", \"content\": \""
                        + "a".repeat(TestServer.MAX_MODEL_LEN)
                        + "\"}]")));
    assertTrue(message.startsWith("prompt is too long: "), message);
  }

  /** Known fields and blocks that mean nothing here, as coding agents send them. */
  @Test
  void whatMeansNothingHere_isIgnored() throws Exception {
    var response =
        post(
            Messages.body(
                "\"context_management\": {\"edits\": [{\"type\": \"clear_thinking_20251015\","
                    + " \"keep\": \"all\"}]}, \"cache_control\": {\"type\": \"ephemeral\"},"
                    + " \"mcp_servers\": [], \"container\": null, \"unheard_of\": 1, \"tools\":"
                    + " [{\"name\": \"f\", \"type\": \"custom\", \"eager_input_streaming\": true,"
                    + " \"cache_control\": {\"type\": \"ephemeral\"},"
                    + " \"input_schema\": {\"type\": \"object\"}}]"));
    assertEquals(200, response.statusCode(), response.body());
  }

  @Test
  void keys_inEitherHeader() throws Exception {
    var body = HttpRequest.BodyPublishers.ofString(Messages.body(""));
    error("authentication_error", 401, send(request("/v1/messages").POST(body)));
    for (String key : List.of("wrong", "", "Bearer secret")) {
      error(
          "authentication_error",
          401,
          send(request("/v1/messages").header("x-api-key", key).POST(body)));
    }
    error(
        "authentication_error",
        401,
        send(
            request("/v1/messages")
                .header("authorization", "secret")
                .header("x-api-key", "secret")
                .POST(body)));
    for (String key : List.of("secret", TestServer.ADMIN_KEY)) {
      assertEquals(
          200, send(request("/v1/messages").header("x-api-key", key).POST(body)).statusCode());
      assertEquals(
          200,
          send(request("/v1/messages").header("authorization", "Bearer " + key).POST(body))
              .statusCode());
    }
  }

  @Test
  void priority_needsTheAdminKey() throws Exception {
    String message = error("permission_error", 403, post(Messages.body("\"priority\": -1")));
    assertTrue(message.startsWith("priority: "), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{", "[]", "", "{\"a\": \"\\ud800\"}"})
  void whatIsNoJson(String body) throws Exception {
    error("invalid_request_error", 400, post(body));
  }

  @Test
  void whatHttpRefuses() throws Exception {
    error(
        "not_found_error",
        404,
        send(request("/v1/messages/batches").header("x-api-key", "secret").GET()));
    var wrongMethod = send(request("/v1/messages").header("x-api-key", "secret").GET());
    error("invalid_request_error", 405, wrongMethod);
    assertEquals("POST, OPTIONS", wrongMethod.headers().firstValue("allow").orElseThrow());
    error(
        "invalid_request_error",
        415,
        send(
            HttpRequest.newBuilder(server.uri("/v1/messages"))
                .header("x-api-key", "secret")
                .header("content-type", "text/plain")
                .POST(HttpRequest.BodyPublishers.ofString("{}"))));
    try (RawClient client = new RawClient(server.http.port())) {
      client.send(
          "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: secret\r\nx-request-id: mine\r\n"
              + "content-type: application/json\r\ncontent-length: 99999999999\r\n\r\n");
      RawClient.Answer answer = client.read();
      assertEquals(413, answer.status());
      error("request_too_large", answer.body(), "mine");
    }
  }

  /** Its clients are known by their version's header, and told of errors so on every route. */
  @Test
  void otherRoutes_byTheClientsHeader() throws Exception {
    String message =
        error(
            "not_found_error",
            404,
            send(
                request("/v1/models/nobody")
                    .header("x-api-key", "secret")
                    .header("anthropic-version", "2023-06-01")
                    .GET()));
    assertEquals("model: The model `nobody` does not exist.", message);
    var openAi = send(request("/v1/models/nobody").header("x-api-key", "secret").GET());
    assertEquals("model_not_found", Json.MAPPER.readTree(openAi.body()).at("/error/code").asText());
  }

  @Test
  void drainingServer_isOverloaded() throws Exception {
    try (TestServer other = TestServer.start()) {
      other.api.drain();
      var response = other.post("/v1/messages", Messages.body(""));
      error("overloaded_error", 529, response);
      assertEquals("2", response.headers().firstValue("retry-after").orElseThrow());
    }
  }

  @Test
  void fullQueue_isALimit() throws Exception {
    try (TestServer busy =
        new TestServer(TestServer.USUAL.withRoom(1, 512, 1).saying("x".repeat(3000)))) {
      busy.stepMillis(5);
      String streamed = Messages.body("\"stream\": true, \"max_tokens\": 2000");
      var running = busy.streaming("/v1/messages", streamed);
      assertEquals("event: message_start", running.next());
      var waiting =
          busy.client.sendAsync(
              HttpRequest.newBuilder(busy.uri("/v1/messages"))
                  .header("content-type", "application/json")
                  .POST(HttpRequest.BodyPublishers.ofString(streamed))
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      TestServer.await("one waits", () -> busy.engine.stats().waiting() == 1);
      var refused = busy.post("/v1/messages", Messages.body(""));
      error("rate_limit_error", 429, refused);
      assertEquals("2", refused.headers().firstValue("retry-after").orElseThrow());
      busy.api.end();
      running.forEachRemaining(_ -> {}); // its client closes when it has read all
      error("overloaded_error", 529, waiting.get()); // nothing of it had been streamed
    }
  }
}
