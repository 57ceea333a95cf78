package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.api.PublicRoutes;
import io.tercel.server.call.Json;
import io.tercel.server.http.HttpServer;
import io.tercel.server.testing.TestServer;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Responses that are stored: read again, gone on from, removed. */
class StoredResponsesTest {
  private static final String CALL =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
  private static final String TOOLS = "\"tools\": [{\"type\": \"function\", \"name\": \"add\"}]";

  private TestServer server;
  private InferenceApi api;
  private HttpServer storing;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
    api = new InferenceApi(server.api.config().storingResponses(1 << 20), server.api.model());
    storing = new HttpServer(server.config, new PublicRoutes(api));
    storing.start();
  }

  @AfterEach
  void stop() throws Exception {
    server.awaitIdle();
    storing.close();
    server.close();
  }

  private HttpResponse<String> send(String method, String path, String body) throws Exception {
    return server.client.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + storing.port() + path))
            .header("content-type", "application/json")
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private JsonNode create(String fields) throws Exception {
    var response = send("POST", "/v1/responses", "{" + fields + "}");
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private HttpResponse<String> get(JsonNode response) throws Exception {
    return send("GET", "/v1/responses/" + response.path("id").asText(), "");
  }

  private static String after(JsonNode response, String fields) {
    return "\"previous_response_id\": \"" + response.path("id").asText() + "\", " + fields;
  }

  private static String error(int status, HttpResponse<String> response) throws Exception {
    assertEquals(status, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body()).at("/error/code").asText();
  }

  @Test
  void stored_isReadAgain_andRemoved() throws Exception {
    JsonNode response = create("\"input\": \"Hé?\", \"metadata\": {\"a\": \"b\"}");
    assertTrue(response.path("store").booleanValue());
    assertEquals(response, Json.MAPPER.readTree(get(response).body()));
    String path = "/v1/responses/" + response.path("id").asText();
    var removed = send("DELETE", path, "");
    assertEquals(200, removed.statusCode());
    assertEquals(
        "{\"id\":\""
            + response.path("id").asText()
            + "\",\"object\":\"response\",\"deleted\":true}",
        removed.body());
    assertEquals("response_not_found", error(404, get(response)));
    assertEquals("response_not_found", error(404, send("DELETE", path, "")));
    assertEquals(0, api.responses().used());
    var wrong = send("POST", path, "{}");
    assertEquals("method_not_allowed", error(405, wrong));
    assertEquals("GET, HEAD, DELETE, OPTIONS", wrong.headers().firstValue("allow").orElseThrow());
  }

  @Test
  void streamed_isStoredAsItEnded() throws Exception {
    String events = send("POST", "/v1/responses", "{\"input\": \"a\", \"stream\": true}").body();
    String last = events.substring(events.lastIndexOf("data: ") + "data: ".length());
    JsonNode response = Json.MAPPER.readTree(last).path("response");
    assertEquals("completed", response.path("status").asText());
    assertTrue(response.path("store").booleanValue());
    assertEquals(response, Json.MAPPER.readTree(get(response).body()));
  }

  /** As if all of it had been sent: the prompt is the same to the token. */
  @Test
  void previousResponse_isTheBeginningOfTheInput() throws Exception {
    JsonNode first = create("\"input\": \"One?\", \"instructions\": \"Be brief.\"");
    JsonNode second =
        create(after(first, "\"input\": [{\"role\": \"user\", \"content\": \"Two?\"}]"));
    JsonNode third = create(after(second, "\"input\": \"Three?\""));
    assertEquals(second.path("id"), third.path("previous_response_id"));

    ObjectNode whole = Json.MAPPER.createObjectNode();
    ArrayNode input = whole.putArray("input");
    for (Object[] turn : new Object[][] {{"One?", first}, {"Two?", second}, {"Three?", null}}) {
      input.addObject().put("role", "user").put("content", (String) turn[0]);
      if (turn[1] instanceof JsonNode said) {
        said.path("output").forEach(input::add);
      }
    }
    String body = whole.toString();
    JsonNode same = create(body.substring(1, body.length() - 1));
    assertEquals(
        same.at("/usage/input_tokens"),
        third.at("/usage/input_tokens"),
        "without the first's instructions, which are of its own");
    int cached = same.at("/usage/input_tokens_details/cached_tokens").intValue();
    int blocks = third.at("/usage/input_tokens").intValue() / 16 * 16;
    assertTrue(cached >= blocks - 16, cached + " of " + blocks + " are the same tokens");
  }

  @Test
  void toolLoop_sendsResultsAlone() throws Exception {
    server.says("<think>Hm.</think>" + CALL + "<|im_end|>");
    JsonNode called = create("\"input\": \"Add.\", " + TOOLS);
    JsonNode call = called.at("/output/1");
    assertEquals("function_call", call.path("type").asText());
    server.says("Done.<|im_end|>");
    JsonNode done =
        create(
            after(
                called,
                TOOLS
                    + ", \"input\": [{\"type\": \"function_call_output\", \"call_id\": \""
                    + call.path("call_id").asText()
                    + "\", \"output\": \"2\"}]"));
    assertEquals("Done.", done.at("/output/0/content/0/text").asText());
  }

  @Test
  void whatIsNotThere() throws Exception {
    JsonNode kept = create("\"input\": \"a\"");
    JsonNode unkept = create("\"input\": \"a\", \"store\": false");
    assertFalse(unkept.path("store").booleanValue());
    assertEquals("response_not_found", error(404, get(unkept)));
    String next = "{" + after(unkept, "\"input\": \"b\"") + "}";
    var refused = send("POST", "/v1/responses", next);
    assertEquals("previous_response_not_found", error(400, refused));
    assertEquals(
        "previous_response_id", Json.MAPPER.readTree(refused.body()).at("/error/param").asText());
    long used = api.responses().used();
    assertEquals(
        400, send("POST", "/v1/responses", "{" + after(kept, "\"input\": 5") + "}").statusCode());
    assertEquals(used, api.responses().used());

    // a server that stores nothing says so
    var off = server.post("/v1/responses", "{" + after(kept, "\"input\": \"b\"") + "}");
    assertEquals("unsupported_value", error(400, off));
    assertTrue(off.body().contains("--response-store"));
    assertEquals(
        "response_not_found", error(404, server.get("/v1/responses/" + kept.path("id").asText())));
  }

  @Test
  void tooLargeToBeStored_isAnsweredAllTheSame() throws Exception {
    api = new InferenceApi(server.api.config().storingResponses(16 << 10), server.api.model());
    try (HttpServer small = new HttpServer(server.config, new PublicRoutes(api))) {
      small.start();
      storing.close();
      storing = small;
      JsonNode response = create("\"input\": \"" + "a".repeat(3000) + "\"");
      assertFalse(response.path("store").booleanValue());
      assertEquals("completed", response.path("status").asText());
      server.says("b".repeat(2000) + "<|im_end|>");
      JsonNode long0 = create("\"input\": \"c\"");
      assertFalse(long0.path("store").booleanValue(), "its answer is too long");
      TestServer.await("its place is free", () -> api.responses().used() == 0); // soon after
      server.awaitIdle();
    }
  }

  @Test
  void abandonedStream_leavesNothing() throws Exception {
    server.stepMillis(5);
    server.says("x".repeat(4000));
    var lines =
        server.client.send(
            HttpRequest.newBuilder(
                    URI.create("http://127.0.0.1:" + storing.port() + "/v1/responses"))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"input\": \"a\", \"stream\": true}"))
                .build(),
            HttpResponse.BodyHandlers.ofLines());
    try (var body = lines.body()) {
      assertEquals("event: response.created", body.iterator().next());
      assertTrue(api.responses().used() > 0);
    }
    server.awaitIdle();
    TestServer.await("its place is free", () -> api.responses().used() == 0);
  }
}
