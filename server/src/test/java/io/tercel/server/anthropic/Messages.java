package io.tercel.server.anthropic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.List;

/** Asks a test server for messages, and reads its streams as strictly as the protocol has them. */
final class Messages {
  /** Lets a scripted model think, whose prompt would have the thought closed otherwise. */
  static final String THINKS = "\"thinking\": {\"type\": \"adaptive\"}";

  private Messages() {}

  /** A body that asks "hi" with these fields besides. */
  static String body(String fields) {
    String more = fields.isEmpty() ? "" : ", " + fields;
    String all = "{\"model\": \"alias\"" + more;
    if (!fields.contains("\"max_tokens\"")) {
      all += ", \"max_tokens\": 200";
    }
    if (!fields.contains("\"messages\"")) {
      all += ", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";
    }
    return all + "}";
  }

  /** A whole message. */
  static JsonNode whole(TestServer server, String fields) throws Exception {
    var response = server.post("/v1/messages", body(fields));
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  /** The events of a streamed one, in their order. */
  static List<JsonNode> stream(TestServer server, String fields) throws Exception {
    var response =
        server.post(
            "/v1/messages", body("\"stream\": true" + (fields.isEmpty() ? "" : ", ") + fields));
    assertEquals(200, response.statusCode(), response.body());
    assertTrue(
        response
            .headers()
            .firstValue("content-type")
            .orElseThrow()
            .startsWith("text/event-stream"));
    return events(response.body());
  }

  /** Each has a name, which is its type, and one line of data. */
  static List<JsonNode> events(String body) throws Exception {
    List<JsonNode> events = new ArrayList<>();
    assertTrue(body.endsWith("\n\n"), "the last event is whole");
    for (String event : body.split("\n\n")) {
      String[] lines = event.split("\n");
      assertEquals(2, lines.length, event);
      assertTrue(lines[0].startsWith("event: ") && lines[1].startsWith("data: {"), event);
      JsonNode data = Json.MAPPER.readTree(lines[1].substring("data: ".length()));
      assertEquals(lines[0].substring("event: ".length()), data.path("type").asText());
      events.add(data);
    }
    return events;
  }

  /**
   * The message that a client puts together of the events, which must come in their order: start,
   * blocks one after the other, the end.
   */
  static JsonNode gathered(List<JsonNode> all) throws Exception {
    List<JsonNode> events =
        all.stream().filter(event -> !event.path("type").asText().equals("ping")).toList();
    assertEquals("message_start", all.getFirst().path("type").asText());
    ObjectNode message = all.getFirst().path("message").deepCopy();
    assertTrue(message.path("content").isEmpty() && message.path("stop_reason").isNull());
    var content = message.withArray("content");
    boolean open = false;
    StringBuilder input = new StringBuilder();
    for (JsonNode event : events.subList(1, events.size() - 2)) {
      switch (event.path("type").asText()) {
        case "content_block_start" -> {
          assertFalse(open);
          open = true;
          assertEquals(content.size(), event.path("index").intValue());
          content.add(event.path("content_block").<JsonNode>deepCopy());
          input.setLength(0);
        }
        case "content_block_delta" -> {
          assertTrue(open);
          assertEquals(content.size() - 1, event.path("index").intValue());
          grow(content.get(content.size() - 1), event.path("delta"), input);
        }
        case "content_block_stop" -> {
          assertTrue(open);
          open = false;
          assertEquals(content.size() - 1, event.path("index").intValue());
          if (!input.isEmpty()) {
            ((ObjectNode) content.get(content.size() - 1))
                .set("input", Json.MAPPER.readTree(input.toString()));
          }
        }
        default -> throw new AssertionError(event.toString());
      }
    }
    assertFalse(open);
    JsonNode end = events.get(events.size() - 2);
    assertEquals("message_delta", end.path("type").asText());
    assertEquals("message_stop", all.getLast().path("type").asText());

    message.setAll((ObjectNode) end.path("delta").deepCopy());
    message.set("usage", end.path("usage"));
    return message;
  }

  private static void grow(JsonNode block, JsonNode delta, StringBuilder input) {
    var object = (ObjectNode) block;
    switch (delta.path("type").asText()) {
      case "text_delta" ->
          object.put("text", object.path("text").asText() + delta.path("text").asText());
      case "thinking_delta" ->
          object.put(
              "thinking", object.path("thinking").asText() + delta.path("thinking").asText());
      case "signature_delta" -> object.put("signature", delta.path("signature").asText());
      case "input_json_delta" -> input.append(delta.path("partial_json").asText());
      default -> throw new AssertionError(delta.toString());
    }
  }
}
