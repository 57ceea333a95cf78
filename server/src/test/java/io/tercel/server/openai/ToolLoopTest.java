package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import io.tercel.server.text.ChatTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The server's own answers, given back with the tools' results, on every template there is. */
class ToolLoopTest {
  private static final Path TEMPLATES =
      Path.of("src/test/resources/io/tercel/server/text/templates");
  private static final String TOOLS =
      """
      "tools": [{"type": "function", "function": {"name": "get_weather", "parameters":
      {"type": "object", "properties": {"city": {"type": "string"}}}}}]""";

  /** Each closes its thought, because some of the templates open one. */
  private static final List<String> SAID =
      List.of(
          "<think></think>",
          "<think></think>I will look. ",
          "<think>Hm.</think>",
          "<think>Hm.</think>So. ");

  private static final String RESULT = "17 degrees";

  private static String call(String city) {
    return "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \""
        + city
        + "\"}}\n</tool_call>";
  }

  private static TestServer server(String template) throws IOException {
    String source = Files.readString(TEMPLATES.resolve(template + ".jinja"));
    return new TestServer(
        TestServer.USUAL.withLength(8192), ChatTemplate.parse(source, Map.of("bos_token", "<s>")));
  }

  private static ArrayNode question() {
    ArrayNode messages = Json.MAPPER.createArrayNode();
    messages.addObject().put("role", "user").put("content", "How warm is it?");
    return messages;
  }

  private static void answerCalls(ArrayNode messages, JsonNode message) {
    messages.add(message);
    for (JsonNode call : message.path("tool_calls")) {
      ObjectNode result = messages.addObject().put("role", "tool").put("content", RESULT);
      result.set("tool_call_id", call.path("id"));
    }
  }

  private static JsonNode post(TestServer server, String path, String json) throws Exception {
    var response = server.post(path, json);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static String prompt(TestServer server, JsonNode messages) throws Exception {
    JsonNode ids =
        post(server, "/tokenize", "{\"messages\": " + messages + ", " + TOOLS + "}").path("tokens");
    return post(server, "/detokenize", "{\"tokens\": " + ids + "}").path("prompt").asText();
  }

  private static int count(String text, String part) {
    return text.split(java.util.regex.Pattern.quote(part), -1).length - 1;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "qwen3",
        "qwen3-thinking-2507",
        "qwen3.5",
        "qwen2.5",
        "qwq-32b",
        "deepseek-r1-distill-qwen",
        "specimen"
      })
  void ownAnswers_echoed_showTheirCalls(String template) throws Exception {
    boolean showsTools = !template.equals("specimen"); // whose template has none
    try (TestServer server = server(template)) {
      int mentions = count(prompt(server, question()), "get_weather");
      for (String said : SAID) {
        for (List<String> cities : List.of(List.of("Zürich"), List.of("Bern", "Chur"))) {
          String calls = String.join("\n", cities.stream().map(ToolLoopTest::call).toList());
          server.says(said + calls + "<|im_end|>");
          ArrayNode messages = question();
          String asked = "{\"messages\": " + messages + ", " + TOOLS + "}";
          JsonNode answer = post(server, "/v1/chat/completions", asked).path("choices").get(0);
          assertEquals("tool_calls", answer.path("finish_reason").asText());
          answerCalls(messages, answer.path("message"));
          String prompt = prompt(server, messages);
          assertEquals(
              mentions + (showsTools ? cities.size() : 0), count(prompt, "get_weather"), prompt);
          for (String city : showsTools ? cities : List.<String>of()) {
            assertTrue(
                prompt.contains("\"city\": \"" + city + "\"")
                    || prompt.contains("<parameter=city>\n" + city + "\n</parameter>"),
                prompt);
          }
          assertEquals(showsTools ? cities.size() : 0, count(prompt, RESULT), prompt);
          if (showsTools && said.contains(". ")) {
            assertTrue(prompt.contains(said.substring(said.lastIndexOf('>') + 1).strip()), prompt);
          }
        }
      }
      server.awaitIdle();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "qwen3",
        "qwen3-thinking-2507",
        "qwen3.5",
        "qwen2.5",
        "qwq-32b",
        "deepseek-r1-distill-qwen",
        "specimen"
      })
  void argumentsThatSayNoObject_areGivenAsText(String template) throws Exception {
    try (TestServer server = server(template)) {
      for (String broken :
          List.of("{\"a\": ", "[1, 2]", "\"seven\"", "{\"a\": \"\\ud83d\"}", "7 }")) {
        ArrayNode messages = question();
        ObjectNode message = Json.MAPPER.createObjectNode().put("role", "assistant");
        message
            .putArray("tool_calls")
            .addObject()
            .put("id", "call_1")
            .put("type", "function")
            .putObject("function")
            .put("name", "get_weather")
            .put("arguments", broken);
        answerCalls(messages, message);
        String prompt = prompt(server, messages);
        String quoted = Json.MAPPER.writeValueAsString(broken);
        assertTrue(
            template.equals("specimen")
                || prompt.contains(broken)
                || prompt.contains(quoted.substring(1, quoted.length() - 1)),
            prompt);
        post(server, "/v1/chat/completions", "{\"messages\": " + messages + ", \"max_tokens\": 1}");
        ArrayNode input = question();
        input
            .addObject()
            .put("type", "function_call")
            .put("call_id", "call_1")
            .put("name", "get_weather")
            .put("arguments", broken);
        input
            .addObject()
            .put("type", "function_call_output")
            .put("call_id", "call_1")
            .put("output", RESULT);
        post(server, "/v1/responses", "{\"input\": " + input + ", \"max_output_tokens\": 1}");
      }
    }
  }
}
