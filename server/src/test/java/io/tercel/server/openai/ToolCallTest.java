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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ToolCallTest {
  private static final String TOOLS =
      "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\"}}]";
  private static final String CALL =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"é\": 1}}\n</tool_call>";

  private static final String FLAT_TOOLS =
      "\"tools\": [{\"type\": \"function\", \"name\": \"add\"}]";

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
  void stream_callsComeWholeIndexRises() throws Exception {
    server.says("Both:\n" + CALL + "\n" + CALL + "<|im_end|>");
    Events events =
        Events.parse(
            server.chat("\"stream\": true, \"n\": 2, \"logprobs\": true, " + TOOLS).body());
    events.assertWellFormed(2);
    for (int i = 0; i < 2; i++) {
      assertEquals("Both:", events.text(i, "content"));
      List<JsonNode> chunks = events.of(i);
      assertEquals("tool_calls", chunks.getLast().path("finish_reason").asText());
      String[] ids = new String[2];
      int last = -1;
      int scored = 0;
      for (JsonNode chunk : chunks) {
        scored += chunk.path("logprobs").path("content").size();
        for (JsonNode call : chunk.path("delta").path("tool_calls")) {
          int index = call.path("index").intValue();
          assertEquals(++last, index);
          assertEquals("add", call.path("function").path("name").asText());
          assertEquals("function", call.path("type").asText());
          ids[index] = call.path("id").asText();
          assertEquals("{\"é\": 1}", call.path("function").path("arguments").asText());
        }
      }
      assertEquals(1, last, "two calls");
      assertNotEquals(ids[0], ids[1]);
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

  /** In the arguments: by the budget, by a stop string, by the end token. */
  private static List<Arguments> cuts() {
    String cut = CALL.substring(0, CALL.indexOf("1}"));
    int budget = TinyText.ids("Well. " + cut).length;
    return List.of(
        Arguments.of(CALL + "<|im_end|>", ", \"max_tokens\": " + budget, "length", cut),
        Arguments.of(CALL + "<|im_end|>", ", \"stop\": \"1}\"", "stop", cut),
        Arguments.of(cut + "<|im_end|>", "", "stop", cut));
  }

  @ParameterizedTest
  @MethodSource("cuts")
  void cutWithinItsArguments_isNoCall(String says, String fields, String reason, String text)
      throws Exception {
    server.says("Well. " + says);
    JsonNode choice = chat(TOOLS + fields).get(0);
    String content = "Well. " + text;
    assertEquals(reason, choice.path("finish_reason").asText());
    assertEquals(content, choice.path("message").path("content").asText());
    assertFalse(choice.path("message").has("tool_calls"));

    Events events = Events.parse(server.chat("\"stream\": true, " + TOOLS + fields).body());
    assertEquals(content, events.text(0, "content"));
    assertEquals(reason, events.of(0).getLast().path("finish_reason").asText());
    for (JsonNode chunk : events.of(0)) {
      assertFalse(chunk.path("delta").has("tool_calls"), chunk.toString());
    }

    JsonNode response =
        Json.MAPPER.readTree(
            server
                .post(
                    "/v1/responses",
                    "{\"input\": \"hi\", "
                        + FLAT_TOOLS
                        + fields.replace("max_tokens", "max_output_tokens")
                        + "}")
                .body());
    assertEquals(1, response.path("output").size(), response.toString());
    assertEquals(content, response.at("/output/0/content/0/text").asText());
    assertEquals(
        reason.equals("length") ? "incomplete" : "completed", response.path("status").asText());
  }

  @Test
  void wholeCallThenCut_isOneCall() throws Exception {
    server.says(CALL + "\n" + CALL + "<|im_end|>");
    int length = TinyText.ids(CALL).length;
    JsonNode choice = chat(TOOLS + ", \"max_tokens\": " + (length + 20)).get(0);
    assertEquals("length", choice.path("finish_reason").asText());
    assertEquals(1, choice.path("message").path("tool_calls").size());
    choice = chat(TOOLS + ", \"stop\": \"</tool_call>\"").get(0);
    assertEquals("tool_calls", choice.path("finish_reason").asText());
    assertEquals(1, choice.path("message").path("tool_calls").size());
  }

  @Test
  void heldBackStopString_keepsTheOrderOfTextAndCall() throws Exception {
    server.says("Before." + CALL + "After.<|im_end|>");
    String stop = ", \"stop\": [\"}\\n</tool_call>After!\", \"Before.<tool_call>!\"]}";
    String body = "{\"input\": \"hi\", " + FLAT_TOOLS + stop;
    JsonNode output =
        Json.MAPPER.readTree(server.post("/v1/responses", body).body()).path("output");
    assertEquals(3, output.size(), output.toString());
    assertEquals("Before.", output.at("/0/content/0/text").asText());
    assertEquals("{\"é\": 1}", output.at("/1/arguments").asText());
    assertEquals("completed", output.at("/1/status").asText());
    assertEquals("After.", output.at("/2/content/0/text").asText());
  }

  /** At the end both give back what they held: the stop string's text comes before the call's. */
  @Test
  void heldByStopStringAndByCall_keepsItsOrder() throws Exception {
    server.says("ab<tool<|im_end|>");
    JsonNode choice = chat(TOOLS + ", \"stop\": \"b<tools>\"").get(0);
    assertEquals("ab<tool", choice.path("message").path("content").asText());
  }

  /**
   * A choice that quotes a call, beside tools that may be called: it is the answer that was asked
   * for.
   */
  @Test
  void formThatQuotesACall_isNoCall_onEveryRoute() throws Exception {
    String quoted = "Say <tool_call>{\"name\": \"add\", \"arguments\": {}}</tool_call>!";
    String form =
        "\"structured_outputs\": {\"choice\": [" + Json.MAPPER.writeValueAsString(quoted) + "]}";
    server.says(quoted + "<|im_end|>");
    String asked = "\"chat_template_kwargs\": {\"enable_thinking\": false}, " + form;
    JsonNode choice = chat(TOOLS + ", " + asked).get(0);
    assertEquals("stop", choice.path("finish_reason").asText(), choice.toString());
    assertEquals(quoted, choice.at("/message/content").asText());
    assertTrue(choice.at("/message/tool_calls").isMissingNode());
    Events events = Events.parse(server.chat("\"stream\": true, " + TOOLS + ", " + asked).body());
    assertEquals(quoted, events.text(0, "content"));
    assertEquals("stop", events.of(0).getLast().path("finish_reason").asText());
    JsonNode response =
        Json.MAPPER.readTree(
            server
                .post("/v1/responses", "{\"input\": \"hi\", " + FLAT_TOOLS + ", " + asked + "}")
                .body());
    assertEquals(1, response.path("output").size(), response.toString());
    assertEquals(quoted, response.at("/output/0/content/0/text").asText());
    server.awaitIdle();
  }

  /**
   * JSON escapes the quotes of a string, so no call can be read out of one: as vLLM's parser has
   * it.
   */
  @Test
  void freeJsonThatQuotesACall_isNoCall() throws Exception {
    String quoted =
        "{\"a\": \"<tool_call>{\\\"name\\\": \\\"add\\\", \\\"arguments\\\": {}}</tool_call>\", \"b\": 1}";
    server.says(quoted + "<|im_end|>");
    JsonNode choice = chat(TOOLS).get(0);
    assertEquals(quoted, choice.at("/message/content").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
  }
}
