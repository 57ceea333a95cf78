package io.tercel.server.anthropic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.Json;
import io.tercel.server.request.RequestFields;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import io.tercel.server.text.ChatTemplate;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MessagesTest {
  private static final String TOOLS =
      "\"tools\": [{\"name\": \"add\", \"input_schema\": {\"type\": \"object\"}}]";
  private static final String CALL =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"é\": 1}}\n</tool_call>";

  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void stop() throws Exception {
    server.awaitIdle();
    server.close();
  }

  private JsonNode whole(String fields) throws Exception {
    return Messages.whole(server, fields);
  }

  /** All but what is drawn anew each time. */
  private static String golden(JsonNode message) {
    return message
        .toString()
        .replaceAll("msg_[0-9a-f]{32}", "msg_ID")
        .replaceAll("toolu_[0-9a-f]{32}", "toolu_ID");
  }

  @Test
  void whole_overTheWire() throws Exception {
    server.says("<think>I ponder.</think>Hé 😀:\n" + CALL + "<|im_end|>");
    assertEquals(
        "{'id':'msg_ID','type':'message','role':'assistant','model':'tercel/tiny','content':["
                .replace('\'', '"')
                .replace("tercel/tiny", "alias")
            + "{'type':'thinking','thinking':'I ponder.','signature':'SIG'},"
                .replace('\'', '"')
                .replace("SIG", ThoughtSignature.of("I ponder.", false))
            + ("{'type':'text','text':'Hé 😀:','citations':null},"
                    + "{'type':'tool_use','id':'toolu_ID','name':'add','input':{'é':1},"
                    + "'caller':{'type':'direct'}}],"
                    + "'stop_reason':'tool_use','stop_sequence':null,'stop_details':null,"
                    + "'usage':{'input_tokens':PROMPT,'cache_creation_input_tokens':0,"
                    + "'cache_read_input_tokens':0,'output_tokens':OUT,"
                    + "'output_tokens_details':{'thinking_tokens':9},'service_tier':'standard'}}")
                .replace('\'', '"')
                .replace("PROMPT", "" + prompt("", "hi", "").length)
                .replace(
                    "OUT",
                    ""
                        + TinyText.ids("<think>I ponder.</think>Hé 😀:\n" + CALL + "<|im_end|>")
                            .length),
        golden(whole(TOOLS + ", " + Messages.THINKS)));
  }

  private static int[] prompt(String before, String text, String after) {
    return TinyText.ids(
        "<|im_start|>tools 1<|im_end|>\n"
            + before
            + "<|im_start|>user\n"
            + text
            + "<|im_end|>\n<|im_start|>assistant\n"
            + after);
  }

  @Test
  void stream_overTheWire() throws Exception {
    server.says("<think>I.</think>A" + CALL + "<|im_end|>");
    StringBuilder all = new StringBuilder();
    for (JsonNode event : Messages.stream(server, TOOLS + ", " + Messages.THINKS)) {
      all.append(golden(event)).append('\n');
    }
    int prompt = prompt("", "hi", "").length;
    int output = TinyText.ids("<think>I.</think>A" + CALL + "<|im_end|>").length;
    assertEquals(
        """
        {"type":"message_start","message":{"id":"msg_ID","type":"message","role":"assistant","model":"alias","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":PROMPT,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"service_tier":"standard"}}}
        {"type":"ping"}
        {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
        {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"I"}}
        {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"."}}
        {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"SIG"}}
        {"type":"content_block_stop","index":0}
        {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":null}}
        {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"A"}}
        {"type":"content_block_stop","index":1}
        {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_ID","name":"add","input":{},"caller":{"type":"direct"}}}
        {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"é\\":1}"}}
        {"type":"content_block_stop","index":2}
        {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":PROMPT,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":OUT,"output_tokens_details":{"thinking_tokens":2},"service_tier":"standard"}}
        {"type":"message_stop"}
        """
            .replace("PROMPT", "" + prompt)
            .replace("OUT", "" + output)
            .replace("SIG", ThoughtSignature.of("I.", false)),
        all.toString());
  }

  @Test
  void stream_saysWhatTheWholeSays() throws Exception {
    server.says("<think>I ponder 😀.</think>Well:\n" + CALL + "\n" + CALL + "<|im_end|>");
    String fields = TOOLS + ", " + Messages.THINKS;
    JsonNode whole = whole(fields);
    JsonNode streamed = Messages.gathered(Messages.stream(server, fields));
    for (JsonNode message : List.of(whole, streamed)) {
      ((ObjectNode) message).remove("usage"); // the second has the first's prompt cached
    }
    assertEquals(golden(whole), golden(streamed));
    assertEquals(4, whole.path("content").size());
    assertNotEquals(
        whole.at("/content/2/id").asText(), whole.at("/content/3/id").asText(), "ids differ");
  }

  @Test
  void stopReasons() throws Exception {
    server.says("One two three<|im_end|>");
    JsonNode ended = whole("");
    assertEquals("end_turn", ended.path("stop_reason").asText());
    assertEquals("One two three", ended.at("/content/0/text").asText());
    assertEquals(1, ended.path("content").size());

    JsonNode cut = whole("\"max_tokens\": 3");
    assertEquals("max_tokens", cut.path("stop_reason").asText());
    assertEquals("One", cut.at("/content/0/text").asText());
    assertEquals(3, cut.at("/usage/output_tokens").intValue());

    JsonNode stopped = whole("\"stop_sequences\": [\"zzz\", \" thr\"]");
    assertEquals("stop_sequence", stopped.path("stop_reason").asText());
    assertEquals(" thr", stopped.path("stop_sequence").asText());
    assertEquals("One two", stopped.at("/content/0/text").asText());

    server.says("<|im_end|>");
    JsonNode nothing = whole("");
    assertEquals("end_turn", nothing.path("stop_reason").asText());
    assertTrue(nothing.path("content").isEmpty());
    assertEquals(
        nothing.path("stop_reason"),
        Messages.gathered(Messages.stream(server, "")).path("stop_reason"));
  }

  /** As Anthropic's later models have it: agents ask for as much as there may be. */
  @Test
  void maxTokensBeyondTheContext_isCutThere() throws Exception {
    server.says("x".repeat(2 * TestServer.MAX_MODEL_LEN));
    JsonNode message = whole("\"max_tokens\": 64000");
    assertEquals("model_context_window_exceeded", message.path("stop_reason").asText());
    assertEquals(
        TestServer.MAX_MODEL_LEN,
        message.at("/usage/input_tokens").intValue()
            + message.at("/usage/output_tokens").intValue());
  }

  @Test
  void thought_isAskedFor() throws Exception {
    server.says("I ponder.</think>Yes<|im_end|>");
    // the template closes it where nobody asks for one, so what the model writes is text
    assertEquals("I ponder.</think>Yes", whole("").at("/content/0/text").asText());
    String open = "\"chat_template_kwargs\": {\"start_thinking\": true}";
    for (String thinking :
        List.of(
            Messages.THINKS,
            "\"max_tokens\": 2000, \"thinking\":"
                + " {\"type\": \"enabled\", \"budget_tokens\": 1024}")) {
      JsonNode content = whole(thinking + ", " + open).path("content");
      assertEquals("I ponder.", content.at("/0/thinking").asText(), content.toString());
      assertEquals("Yes", content.at("/1/text").asText());
    }
  }

  @Test
  void budget_closesTheThought() throws Exception {
    server.says("y".repeat(5000));
    JsonNode message =
        whole(
            "\"max_tokens\": 1100, \"loop_breaker\": false, \"thinking\": {\"type\":"
                + " \"enabled\", \"budget_tokens\": 1024}, \"chat_template_kwargs\":"
                + " {\"start_thinking\": true}");
    assertEquals(1024, message.at("/content/0/thinking").asText().length());
    assertEquals("text", message.at("/content/1/type").asText());
  }

  /** A template that always opens a thought: a budget of nothing closes it. */
  @Test
  void noThinking_holdsForTemplatesWithoutASwitch() throws Exception {
    String template =
        TinyText.TEMPLATE.replaceFirst("(?s)\\{% if enable_thinking.*", "<think>\n{% endif %}");
    try (TestServer thinker =
        new TestServer(
            TestServer.USUAL.saying("Yes<|im_end|>"), ChatTemplate.parse(template, Map.of()))) {
      for (String fields : List.of("", "\"thinking\": {\"type\": \"disabled\"}")) {
        JsonNode content = Messages.whole(thinker, fields).path("content");
        assertEquals(1, content.size(), content.toString());
        assertEquals("text", content.at("/0/type").asText(), content.toString());
      }
      JsonNode thought = Messages.whole(thinker, Messages.THINKS).path("content");
      assertEquals("thinking", thought.at("/0/type").asText());
      thinker.awaitIdle();
    }
  }

  /** Its signature brings it back, into the prompt of the next turn. */
  @Test
  void omittedThought_comesBackInItsSignature() throws Exception {
    String omitted = "\"thinking\": {\"type\": \"adaptive\", \"display\": \"omitted\"}";
    JsonNode block = whole(omitted).at("/content/0");
    assertEquals("thinking", block.path("type").asText());
    assertEquals("", block.path("thinking").asText());
    List<JsonNode> events = Messages.stream(server, omitted);
    assertEquals(block, Messages.gathered(events).at("/content/0"));
    assertFalse(events.toString().contains("thinking_delta"));

    var messages = Json.MAPPER.createArrayNode();
    var fields = Json.MAPPER.createObjectNode();
    fields.putArray("messages").addObject().put("role", "assistant").putArray("content").add(block);
    Conversation.read(new RequestFields(fields), messages);
    assertEquals("I ponder.", messages.at("/0/reasoning_content").asText());
  }

  /** The prompt's tokens are told apart by where they came from; together they are all of it. */
  @Test
  void usage_tellsCachedTokens() throws Exception {
    String text = "\"messages\": [{\"role\": \"user\", \"content\": \"" + "a".repeat(300) + "\"}]";
    int count = count(text);
    JsonNode first = whole(text).path("usage");
    assertEquals(count, first.path("input_tokens").intValue());
    JsonNode second = whole(text).path("usage");
    assertTrue(second.path("cache_read_input_tokens").intValue() > 200, second.toString());
    assertEquals(
        count,
        second.path("input_tokens").intValue() + second.path("cache_read_input_tokens").intValue());
    assertEquals(
        second.path("cache_read_input_tokens"),
        Messages.stream(server, text).getFirst().at("/message/usage/cache_read_input_tokens"));
  }

  private int count(String fields) throws Exception {
    var response = server.post("/v1/messages/count_tokens", Messages.body(fields));
    assertEquals(200, response.statusCode(), response.body());
    JsonNode count = Json.MAPPER.readTree(response.body());
    assertEquals(1, count.size());
    return count.path("input_tokens").intValue();
  }

  @Test
  void countTokens_isThePromptOfTheAnswer() throws Exception {
    for (String fields :
        List.of(
            "",
            TOOLS,
            TOOLS + ", \"tool_choice\": {\"type\": \"none\"}",
            Messages.THINKS,
            "\"system\": [{\"type\": \"text\", \"text\": \"Be brief.\"}]",
            "\"messages\": [{\"role\": \"user\", \"content\": \"hé\"},"
                + " {\"role\": \"assistant\", \"content\": \"A: \"}]")) {
      JsonNode usage = whole(fields).path("usage");
      assertEquals(
          usage.path("input_tokens").intValue() + usage.path("cache_read_input_tokens").intValue(),
          count(fields),
          fields);
    }
    assertTrue(count(TOOLS) > count(TOOLS + ", \"tool_choice\": {\"type\": \"none\"}"));
    assertEquals(
        count(""),
        Json.MAPPER
            .readTree(
                server
                    .post(
                        "/v1/messages/count_tokens",
                        Messages.body("").replace(", \"max_tokens\": 200", ""))
                    .body())
            .path("input_tokens")
            .intValue(),
        "max_tokens is no part of it");
  }

  @Test
  void toolChoice_decidesOnCalls() throws Exception {
    server.says(CALL + "\n" + CALL + "\n" + "more and more");
    JsonNode one =
        whole(
            TOOLS + ", \"tool_choice\": {\"type\": \"auto\", \"disable_parallel_tool_use\": true}");
    assertEquals(1, one.path("content").size());
    assertEquals("tool_use", one.path("stop_reason").asText());
    JsonNode none = whole(TOOLS + ", \"tool_choice\": {\"type\": \"none\"}");
    assertEquals("text", none.at("/content/0/type").asText());
    server.backend.script = choice -> TinyText.ids("no call");
    for (String choice :
        List.of("{\"type\": \"any\"}", "{\"type\": \"tool\", \"name\": \"add\"}")) {
      JsonNode forced = whole(TOOLS + ", \"tool_choice\": " + choice);
      assertFalse(
          forced.toString().contains("no call"), "the form holds whatever the model would say");
    }
  }

  @Test
  void outputFormat_isTheAnswersForm() throws Exception {
    server.says("no JSON");
    JsonNode message =
        whole(
            "\"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\":"
                + " {\"type\": \"object\", \"properties\": {\"a\": {\"const\": 1}},"
                + " \"required\": [\"a\"], \"additionalProperties\": false}}}");
    assertEquals(
        1, Json.MAPPER.readTree(message.at("/content/0/text").asText()).path("a").intValue());
  }

  @Test
  void argumentsThatAreNoObject_areKept() throws Exception {
    server.says("<tool_call>\n{\"name\": \"add\", \"arguments\": [1]}\n</tool_call><|im_end|>");
    JsonNode input = whole(TOOLS).at("/content/0/input");
    assertEquals("[1]", input.path("arguments").asText());
  }

  /** Also before it begins, while it waits for others. */
  @Test
  void silence_isBrokenByPings() throws Exception {
    try (TestServer slow =
        new TestServer(
            TestServer.USUAL
                .withRoom(1, 512, 8)
                .withLimits(l -> l.toBuilder().keepAlive(Duration.ofMillis(20)).build())
                .saying("ab<|im_end|>"))) {
      slow.stepMillis(200);
      var first = slow.streaming("/v1/messages", Messages.body("\"stream\": true"));
      assertEquals("event: message_start", first.next());
      String body = slow.post("/v1/messages", Messages.body("\"stream\": true")).body();
      assertTrue(body.startsWith("event: ping\ndata: {\"type\":\"ping\"}\n\n"), body);
      assertFalse(body.contains(": keep-alive"), body);
      String start = body.substring(body.indexOf("event: message_start"));
      assertEquals("ab", Messages.gathered(Messages.events(start)).at("/content/0/text").asText());
      first.forEachRemaining(_ -> {});
      slow.awaitIdle();
    }
  }

  /** One answer that both APIs' clients can read. */
  @Test
  void models_haveTheFieldsOfBoth() throws Exception {
    JsonNode list = Json.MAPPER.readTree(server.get("/v1/models").body());
    assertEquals("list", list.path("object").asText());
    assertFalse(list.path("has_more").booleanValue());
    assertEquals(TestServer.MODEL, list.path("first_id").asText());
    assertEquals("alias", list.path("last_id").asText());
    JsonNode model = list.at("/data/1");
    assertEquals(model, Json.MAPPER.readTree(server.get("/v1/models/alias").body()));
    assertEquals("alias", model.path("id").asText());
    assertEquals("model", model.path("object").asText());
    assertEquals(1_700_000_000, model.path("created").intValue());
    assertEquals("model", model.path("type").asText());
    assertEquals("alias", model.path("display_name").asText());
    assertEquals("2023-11-14T22:13:20Z", model.path("created_at").asText());
    assertEquals(TestServer.MAX_MODEL_LEN, model.path("max_input_tokens").intValue());
  }

  @Test
  void abandonedStream_isCancelled() throws Exception {
    server.stepMillis(5);
    server.says("x".repeat(4000));
    try (var client = HttpClient.newHttpClient()) {
      var lines =
          client
              .send(
                  HttpRequest.newBuilder(server.uri("/v1/messages"))
                      .header("content-type", "application/json")
                      .POST(
                          HttpRequest.BodyPublishers.ofString(
                              Messages.body("\"stream\": true, \"max_tokens\": 3000")))
                      .build(),
                  HttpResponse.BodyHandlers.ofLines())
              .body();
      assertEquals("event: message_start", lines.iterator().next());
      client.shutdownNow();
    }
    server.awaitIdle();
  }
}
