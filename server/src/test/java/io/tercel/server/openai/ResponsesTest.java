package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseOutputItem;
import com.openai.models.responses.ResponseStatus;
import com.openai.models.responses.ResponseStreamEvent;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResponsesTest {
  private static final String CALL =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
  private static final String TOOLS =
      "\"tools\": [{\"type\": \"function\", \"name\": \"add\", \"parameters\": {}, \"strict\": false}]";

  private TestServer server;
  private OpenAIClient client;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
    client =
        OpenAIOkHttpClient.builder().baseUrl(server.baseUrl()).apiKey("none").maxRetries(0).build();
  }

  @AfterEach
  void stop() throws Exception {
    client.close();
    server.awaitIdle();
    server.close();
  }

  private JsonNode respond(String json) throws Exception {
    var response = server.post("/v1/responses", json);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static ResponseCreateParams.Builder hi() {
    return ResponseCreateParams.builder().model(TestServer.MODEL).input("hi");
  }

  @Test
  void whole_validByOpenAisOwnClient() {
    Response response = client.responses().create(hi().instructions("be brief").build());
    response.validate();
    assertEquals(ResponseStatus.COMPLETED, response.status().orElseThrow());
    List<ResponseOutputItem> output = response.output();
    assertEquals(2, output.size());
    assertEquals(
        "I ponder.", output.get(0).asReasoning().content().orElseThrow().getFirst().text());
    assertEquals(
        "Hé 😀, ok!", output.get(1).asMessage().content().getFirst().asOutputText().text());
    var usage = response.usage().orElseThrow();
    assertEquals(25, usage.outputTokens());
    assertEquals(9, usage.outputTokensDetails().reasoningTokens());
    assertEquals(usage.inputTokens() + 25, usage.totalTokens());
    assertTrue(response.instructions().isPresent());
  }

  @Test
  void stream_accumulatesToTheSame() {
    ResponseAccumulator all = ResponseAccumulator.create();
    List<ResponseStreamEvent> events = new ArrayList<>();
    try (StreamResponse<ResponseStreamEvent> stream =
        client.responses().createStreaming(hi().build())) {
      stream.stream()
          .peek(ResponseStreamEvent::validate)
          .peek(all::accumulate)
          .forEach(events::add);
    }
    assertTrue(events.getFirst().isCreated() && events.getLast().isCompleted());
    StringBuilder said = new StringBuilder();
    StringBuilder thought = new StringBuilder();
    for (ResponseStreamEvent event : events) {
      event.outputTextDelta().ifPresent(delta -> said.append(delta.delta()));
      event.reasoningTextDelta().ifPresent(delta -> thought.append(delta.delta()));
    }
    assertEquals("Hé 😀, ok!", said.toString());
    assertEquals("I ponder.", thought.toString());
    Response response = all.response();
    assertEquals(
        "Hé 😀, ok!",
        response.output().get(1).asMessage().content().getFirst().asOutputText().text());
    assertEquals(25, response.usage().orElseThrow().outputTokens());
  }

  @Test
  void stream_namesAndNumbersEvents() throws Exception {
    server.says("Well:\n" + CALL + CALL + "<|im_end|>");
    var body =
        server
            .post("/v1/responses", "{\"input\": \"add\", \"stream\": true, " + TOOLS + "}")
            .body();
    assertFalse(body.contains("[DONE]"));
    List<String> names = new ArrayList<>();
    int number = 0;
    StringBuilder arguments = new StringBuilder();
    for (String event : body.strip().split("\n\n")) {
      String[] lines = event.split("\n");
      JsonNode data = Json.MAPPER.readTree(lines[1].substring("data: ".length()));
      String name = lines[0].substring("event: ".length());
      assertEquals(name, data.path("type").asText());
      assertEquals(number++, data.path("sequence_number").intValue());
      if (!name.endsWith(".delta")) {
        names.add(name.substring("response.".length()));
      } else if (name.contains("function_call") && data.path("output_index").intValue() == 2) {
        arguments.append(data.path("delta").asText());
      }
    }
    assertEquals("{\"a\": 1}", arguments.toString());
    List<String> call =
        List.of("output_item.added", "function_call_arguments.done", "output_item.done");
    List<String> expected =
        new ArrayList<>(
            List.of(
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.done",
                "content_part.done",
                "output_item.done"));
    expected.addAll(call);
    expected.addAll(call);
    expected.add("completed");
    assertEquals(expected, names);
  }

  @Test
  void conversation_withToolsRendersAsTheChatWould() throws Exception {
    server.says(CALL + "<|im_end|>");
    JsonNode response =
        respond(
            """
            {"instructions": "sys", "return_token_ids": true, %s, "input": [
              {"role": "user", "content": [{"type": "input_text", "text": "1+1?"}]},
              {"type": "reasoning", "id": "rs_1", "summary": [],
               "content": [{"type": "reasoning_text", "text": "hm"}]},
              {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
              {"type": "function_call_output", "call_id": "c1", "output": "2"},
              {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
               "content": [{"type": "output_text", "text": "two", "annotations": []}]},
              {"role": "user", "content": "again"}]}"""
                .formatted(TOOLS));
    JsonNode item = response.path("output").get(0);
    assertEquals(1, response.path("output").size());
    assertEquals("function_call", item.path("type").asText());
    assertEquals("add", item.path("name").asText());
    assertEquals("{\"a\": 1}", item.path("arguments").asText());
    assertTrue(item.path("call_id").asText().startsWith("call_"));
    String chat =
        """
        {"messages": [{"role": "system", "content": "sys"}, {"role": "user", "content": "1+1?"},
         {"role": "assistant", "reasoning_content": "hm", "tool_calls": [{"type": "function",
          "id": "c1", "function": {"name": "add", "arguments": "{}"}}]},
         {"role": "tool", "tool_call_id": "c1", "content": "2"},
         {"role": "assistant", "content": "two"}, {"role": "user", "content": "again"}],
         "tools": [{"type": "function", "function": {"name": "add"}}]}""";
    JsonNode usage =
        Json.MAPPER.readTree(server.post("/v1/chat/completions", chat).body()).path("usage");
    assertEquals(
        usage.path("prompt_tokens").intValue(),
        response.path("usage").path("input_tokens").intValue());
    assertEquals(
        usage.path("prompt_tokens").intValue(),
        Json.MAPPER.readTree(server.post("/tokenize", chat).body()).path("count").intValue());
  }

  @Test
  void fieldsOfTheChatRoute_areUnknownHere() throws Exception {
    JsonNode plain = respond("{\"input\": \"hi\"}");
    JsonNode more =
        respond(
            """
            {"input": "hi", "messages": [{"role": "user", "content": "something longer"},
             {"role": "king"}], "response_format": {"type": "nonsense"},
             "reasoning_effort": "huge", "max_completion_tokens": 1, "logprobs": 7}
            """);
    for (String tokens : List.of("input_tokens", "output_tokens")) {
      assertEquals(plain.path("usage").path(tokens), more.path("usage").path(tokens));
    }
    assertEquals("completed", more.path("status").asText());
  }

  /** Settings are repeated to the end, so what a request keeps in memory is what they take. */
  @Test
  void settings_thatAreTooLargeToRepeat_areRefused() throws Exception {
    String large = "[" + "0,".repeat(500_000) + "0]";
    for (String name : List.of("reasoning", "text")) {
      var response =
          server.post(
              "/v1/responses", "{\"input\": \"x\", \"" + name + "\": {\"junk\": " + large + "}}");
      assertEquals(400, response.statusCode(), name);
      assertEquals(
          name, Json.MAPPER.readTree(response.body()).path("error").path("param").asText());
    }
  }

  /** A thought belongs to what the assistant said next, not to what it said after the user. */
  @Test
  void thoughtThatLedToNothing_isDropped() throws Exception {
    String items =
        """
        {"role": "user", "content": "a"}, %s {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}
        """;
    String thought =
        "{\"type\": \"reasoning\", \"content\": [{\"type\": \"reasoning_text\", \"text\": \"hm\"}]},";
    assertEquals(
        respond("{\"input\": [" + items.formatted("") + "]}").path("usage").path("input_tokens"),
        respond("{\"input\": [" + items.formatted(thought) + "]}")
            .path("usage")
            .path("input_tokens"));
  }

  @Test
  void aborted_isCancelledAndNotCompleted() throws Exception {
    server.stepMillis(20);
    var lines = server.streaming("/v1/responses", "{\"input\": \"hi\", \"stream\": true}");
    String id = "";
    String last = "";
    while (lines.hasNext()) {
      String line = lines.next();
      if (line.startsWith("data: ")) {
        JsonNode event = Json.MAPPER.readTree(line.substring("data: ".length()));
        if (id.isEmpty()) {
          id = event.path("response").path("id").asText();
        } else if (event.path("type").asText().endsWith("_text.delta")) {
          server.api.abort(id);
        }
        last = line.substring("data: ".length());
      }
    }
    JsonNode end = Json.MAPPER.readTree(last);
    assertEquals("response.incomplete", end.path("type").asText());
    assertEquals("cancelled", end.path("response").path("status").asText());
    assertEquals("incomplete", end.path("response").path("output").get(0).path("status").asText());
  }

  @Test
  void brokenOff_isIncomplete() throws Exception {
    JsonNode response = respond("{\"input\": \"hi\", \"max_output_tokens\": 14}");
    assertEquals("incomplete", response.path("status").asText());
    assertEquals("max_output_tokens", response.path("incomplete_details").path("reason").asText());
    assertEquals("incomplete", response.path("output").get(1).path("status").asText());
  }

  @Test
  void logprobs_ofTheMessageAlone() throws Exception {
    JsonNode response =
        respond(
            "{\"input\": \"hi\", \"include\": [\"message.output_text.logprobs\"], \"top_logprobs\": 2}");
    JsonNode scores = response.path("output").get(1).path("content").get(0).path("logprobs");
    assertEquals(
        "Hé 😀, ok!".getBytes(java.nio.charset.StandardCharsets.UTF_8).length, scores.size());
    assertEquals(2, scores.get(0).path("top_logprobs").size());
  }

  @Test
  void nothingSaid_isAnEmptyMessage() throws Exception {
    server.says("<|im_end|>");
    JsonNode output = respond("{\"input\": \"hi\"}").path("output");
    assertEquals(1, output.size());
    assertEquals("", output.get(0).path("content").get(0).path("text").asText());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{} | input | input is required",
        "{\"input\": 7} | input | input must be a string or an array of items, not an integer",
        "{\"input\": []} | input | at least one item",
        "{\"input\": [{\"role\": \"king\", \"content\": \"x\"}]} | input[0].role | 'king'",
        "{\"instructions\": \"a\", \"input\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"user\", \"content\": [{\"type\": \"input_image\"}]}]} | input[1].content[0].type | text only",
        "{\"input\": [{\"type\": \"item_reference\", \"id\": \"x\"}]} | input[0].type | item_reference",
        "{\"input\": [{\"type\": \"function_call\", \"name\": \"f\", \"arguments\": \"{}\"}]} | input[0].call_id | required",
        "{\"input\": \"x\", \"previous_response_id\": \"resp_1\"} | previous_response_id | nothing is stored",
        "{\"input\": \"x\", \"background\": true} | background | not supported",
        "{\"input\": \"x\", \"truncation\": \"auto\"} | truncation | 'disabled'",
        "{\"input\": \"x\", \"max_output_tokens\": 0} | max_output_tokens | max_output_tokens must be",
        "{\"input\": \"x\", \"max_output_tokens\": 99999} | max_output_tokens | max_output_tokens is too large",
        "{\"input\": \"x\", \"reasoning\": {\"effort\": \"huge\"}} | reasoning.effort | reasoning.effort must be",
        "{\"input\": \"x\", \"tools\": [{\"type\": \"web_search\"}]} | tools[0].type | 'function'",
        "{\"input\": \"x\", \"tools\": [{\"type\": \"function\"}]} | tools[0].name | tools[0].name is required",
        "{\"input\": \"x\", \"metadata\": [1]} | metadata | metadata must be an object",
        "{\"input\": \"x\", \"metadata\": {\"a\": 1}} | metadata.a | metadata.a must be a string",
        "{\"input\": \"refuse me\"} | input | no such conversation",
        "{\"input\": \"x\", \"model\": \"other\"} | model | does not exist",
      })
  void badInput_namesTheFieldAsThisRouteHasIt(String json, String param, String part)
      throws Exception {
    var response = server.post("/v1/responses", json);
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(json.contains("other") ? 404 : 400, response.statusCode(), response.body());
    assertEquals(param, error.path("param").asText());
    assertTrue(error.path("message").asText().contains(part), error.toString());
  }
}
