package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ToolCallTest {
  private static final String TOOLS =
      "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\"}}]";
  private static final String CALL =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"é\": 1}}\n</tool_call>";

  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private JsonNode chat(String fields) throws Exception {
    var response = server.chat(fields);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body()).path("choices");
  }

  @Test
  void whole_twoCallsBehindAThought() throws Exception {
    server.says("<think>" + CALL + "</think>\n\n" + CALL + "\n" + CALL + "<|im_end|>");
    JsonNode choice = chat(TOOLS).get(0);
    assertEquals("tool_calls", choice.path("finish_reason").asText());
    JsonNode message = choice.path("message");
    assertTrue(message.path("content").isNull());
    assertEquals(CALL, message.path("reasoning_content").asText(), "thoughts call nothing");
    assertEquals(2, message.path("tool_calls").size());
    Set<String> ids = new HashSet<>();
    for (JsonNode call : message.path("tool_calls")) {
      assertTrue(ids.add(call.path("id").asText()));
      assertEquals("function", call.path("type").asText());
      assertEquals("add", call.path("function").path("name").asText());
      assertEquals("{\"é\": 1}", call.path("function").path("arguments").asText());
      assertFalse(call.has("index"));
    }
    server.awaitIdle();
  }

  @Test
  void stream_indexRisesNameComesOnceArgumentsInParts() throws Exception {
    server.says("Both:\n" + CALL + "\n" + CALL + "<|im_end|>");
    Events events =
        Events.parse(
            server.chat("\"stream\": true, \"n\": 2, \"logprobs\": true, " + TOOLS).body());
    events.assertWellFormed(2);
    for (int i = 0; i < 2; i++) {
      assertEquals("Both:", events.text(i, "content"));
      List<JsonNode> chunks = events.of(i);
      assertEquals("tool_calls", chunks.getLast().path("finish_reason").asText());
      StringBuilder[] arguments = {new StringBuilder(), new StringBuilder()};
      String[] ids = new String[2];
      int last = 0;
      int parts = 0;
      int scored = 0;
      for (JsonNode chunk : chunks) {
        scored += chunk.path("logprobs").path("content").size();
        for (JsonNode call : chunk.path("delta").path("tool_calls")) {
          int index = call.path("index").intValue();
          assertTrue(index == last || index == last + 1);
          last = index;
          if (call.has("id")) {
            assertEquals("add", call.path("function").path("name").asText());
            ids[index] = call.path("id").asText();
          } else {
            assertFalse(call.path("function").has("name"));
            parts++;
          }
          arguments[index].append(call.path("function").path("arguments").asText());
        }
      }
      assertEquals("{\"é\": 1}", arguments[0].toString());
      assertEquals("{\"é\": 1}", arguments[1].toString());
      assertNotEquals(ids[0], ids[1]);
      assertTrue(parts > 4, "arguments come in parts");
      assertEquals(
          TinyText.ids("Both:\n" + CALL + "\n" + CALL + "<|im_end|>").length,
          scored,
          "each token is scored once");
    }
    server.awaitIdle();
  }

  @Test
  void noTools_noneChosen_callsAreText() throws Exception {
    server.says(CALL + "<|im_end|>");
    for (String fields : List.of("", TOOLS + ", \"tool_choice\": \"none\"")) {
      JsonNode choice = chat(fields).get(0);
      assertEquals(CALL, choice.path("message").path("content").asText());
      assertEquals("stop", choice.path("finish_reason").asText());
      assertFalse(choice.path("message").has("tool_calls"));
    }
  }

  @Test
  void parallelToolCallsFalse_endsAfterOne() throws Exception {
    server.says(CALL + "\n" + CALL + "\n" + "more and more");
    JsonNode choice = chat(TOOLS + ", \"parallel_tool_calls\": false").get(0);
    assertEquals("tool_calls", choice.path("finish_reason").asText());
    assertEquals(1, choice.path("message").path("tool_calls").size());
    server.awaitIdle();
  }

  @Test
  void brokenOff_saysLength() throws Exception {
    server.says(CALL + "<|im_end|>");
    JsonNode choice = chat(TOOLS + ", \"max_tokens\": 50").get(0);
    assertEquals("length", choice.path("finish_reason").asText());
    String arguments =
        choice
            .path("message")
            .path("tool_calls")
            .get(0)
            .path("function")
            .path("arguments")
            .asText();
    assertTrue("{\"é\": 1}".startsWith(arguments) && !arguments.isEmpty(), arguments);
  }
}
