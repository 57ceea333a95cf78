package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.text.ChatTemplate;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Prompts that end inside a thought, or behind one, whatever wire they come by. */
class ThoughtStateTest {
  private static final String CHOICE = ", \"structured_outputs\": {\"choice\": [\"yes\", \"no\"]}";
  private static final String REST = " so it is.</think>yes<|im_end|>";

  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
    server.says(REST);
  }

  @AfterEach
  void stop() throws Exception {
    server.awaitIdle();
    server.close();
  }

  private static JsonNode ok(HttpResponse<String> response) throws Exception {
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static String continued(String content, String fields) throws Exception {
    return """
    {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": %s}],
     "add_generation_prompt": false, "continue_final_message": true%s}"""
        .formatted(Json.MAPPER.writeValueAsString(content), fields);
  }

  private JsonNode chat(String content, String fields) throws Exception {
    return ok(server.post("/v1/chat/completions", continued(content, fields)));
  }

  @Test
  void chat_continuesAThought() throws Exception {
    for (String fields : List.of("", CHOICE)) {
      JsonNode answer = chat("<think>\nSo far, and a good many tokens further,", fields);
      JsonNode message = answer.at("/choices/0/message");
      assertEquals(" so it is.", message.path("reasoning").asText());
      assertEquals("yes", message.path("content").asText());
      assertEquals(10, answer.at("/usage/completion_tokens_details/reasoning_tokens").asInt());
    }
    String stream =
        server.post("/v1/chat/completions", continued("<think>\nSo", ", \"stream\": true")).body();
    Events events = Events.parse(stream);
    assertEquals(" so it is.", events.text(0, "reasoning_content"));
    assertEquals("yes", events.text(0, "content"));
  }

  @Test
  void chat_budgetBoundsAContinuedThought() throws Exception {
    JsonNode message =
        chat("<think>\nSo", ", \"thinking_token_budget\": 3").at("/choices/0/message");
    assertEquals(" so", message.path("reasoning").asText());
    assertTrue(message.path("content").asText().startsWith("\n\n"), message.toString());
  }

  @Test
  void responses_continueAThought() throws Exception {
    String body =
        """
        {"input": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>So"}],
         "add_generation_prompt": false, "continue_final_message": true}""";
    JsonNode answer = ok(server.post("/v1/responses", body));
    assertEquals(" so it is.", answer.at("/output/0/content/0/text").asText());
    assertEquals("yes", answer.at("/output/1/content/0/text").asText());
    assertEquals(10, answer.at("/usage/output_tokens_details/reasoning_tokens").asInt());
  }

  @Test
  void completions_formBeginsBehindTheThoughtAndTheBudgetHolds() throws Exception {
    String prompt = "{\"prompt\": \"q <think>\\nSo far, and a good many tokens further,\"";
    JsonNode answer = ok(server.post("/v1/completions", prompt + CHOICE + "}"));
    assertEquals(" so it is.</think>yes", answer.at("/choices/0/text").asText());
    assertEquals(10, answer.at("/usage/completion_tokens_details/reasoning_tokens").asInt());
    answer =
        ok(
            server.post(
                "/v1/completions",
                prompt + ", \"thinking_token_budget\": 3, \"max_tokens\": 6" + "}"));
    assertTrue(
        answer.at("/choices/0/text").asText().startsWith(" so</think>\n\n"), answer.toString());
    assertEquals(3, answer.at("/usage/completion_tokens_details/reasoning_tokens").asInt());
    // without a thought it begins at once
    server.says("yes<|im_end|>");
    answer = ok(server.complete("\"structured_outputs\": {\"choice\": [\"yes\", \"no\"]}"));
    assertEquals("yes", answer.at("/choices/0/text").asText());
  }

  @Test
  void thoughtClosedByThePrompt_laterMarkersAreText() throws Exception {
    server.says("<think>a</think>b<|im_end|>");
    JsonNode answer = ok(server.chat("\"chat_template_kwargs\": {\"enable_thinking\": false}"));
    JsonNode message = answer.at("/choices/0/message");
    assertEquals("<think>a</think>b", message.path("content").asText());
    assertFalse(message.has("reasoning"));
    assertEquals(0, answer.at("/usage/completion_tokens_details/reasoning_tokens").asInt());
    message =
        ok(server.chat(
                "\"chat_template_kwargs\": {\"enable_thinking\": false},"
                    + " \"thinking_token_budget\": 0"))
            .at("/choices/0/message");
    assertEquals("<think>a</think>b", message.path("content").asText(), "no thought to bound");
    message = chat("<think>x</think>The answer: ", "").at("/choices/0/message");
    assertEquals("<think>a</think>b", message.path("content").asText());
  }

  @Test
  void markersThatAnEarlierTurnTalksAbout_openNothing() throws Exception {
    server.says("It is a marker.<|im_end|>");
    String body = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is <think>?\"}]}";
    JsonNode message = ok(server.post("/v1/chat/completions", body)).at("/choices/0/message");
    assertEquals("It is a marker.", message.path("content").asText());
  }

  static Stream<String> templates() throws Exception {
    try (var files = Files.list(Path.of("src/test/resources/io/tercel/server/text/templates"))) {
      return files.map(Path::toString).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"<", "|", "end", "<|im_end|", "Sure, ", " a \n", "assistant", ""})
  void continueFinalMessage_endsWithExactlyTheContent(String content) throws Exception {
    assertTrue(
        prompt(server, continued(content, "")).endsWith("<|im_start|>assistant\n" + content));
    for (String file : templates().toList()) {
      if (file.endsWith("specimen.jinja")) {
        continue; // it shows what users say and nothing else
      }
      ChatTemplate template = ChatTemplate.parse(Files.readString(Path.of(file)), Map.of());
      try (TestServer other = new TestServer(TestServer.USUAL, template)) {
        String prompt = prompt(other, continued(content, ""));
        assertTrue(
            prompt.endsWith(content.strip().isEmpty() ? content : content.stripLeading()), prompt);
        String longer = prompt(other, continued(content + "#", ""));
        assertEquals(prompt + "#", longer, "nothing is cut off or added");
      }
    }
  }

  @Test
  void continueFinalMessage_whereTheTemplateDropsIt_isRefused() throws Exception {
    Path specimen = Path.of("src/test/resources/io/tercel/server/text/templates/specimen.jinja");
    ChatTemplate template = ChatTemplate.parse(Files.readString(specimen), Map.of());
    try (TestServer other = new TestServer(TestServer.USUAL, template)) {
      var refused = other.post("/v1/chat/completions", continued("Sure", ""));
      assertEquals(400, refused.statusCode(), refused.body());
      assertTrue(refused.body().contains("the template keeps"), refused.body());
    }
    var calls =
        server.post(
            "/v1/chat/completions",
            """
            {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"id": "1",
              "type": "function", "function": {"name": "f", "arguments": "{}"}}]}],
             "add_generation_prompt": false, "continue_final_message": true}""");
    assertEquals(400, calls.statusCode(), calls.body());
    assertTrue(calls.body().contains("not in tool_calls"), calls.body());
  }

  private static String prompt(TestServer server, String body) throws Exception {
    JsonNode ids = ok(server.post("/tokenize", body)).path("tokens");
    return ok(server.post("/detokenize", "{\"tokens\": " + ids + "}")).path("prompt").asText();
  }
}
