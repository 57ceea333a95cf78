package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.net.http.HttpResponse;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers that must have a form, over HTTP, from a model that would say something else. */
class StructuredOutputTest {
  private static final String CHOICE = "\"structured_outputs\": {\"choice\": [\"yes\", \"no\"]}";
  private static final String SCHEMA =
      """
      "response_format": {"type": "json_schema", "json_schema": {"name": "sum", "strict": true,
        "schema": {"type": "object", "properties": {"sum": {"type": "integer"},
          "sure": {"type": "boolean"}}, "required": ["sum", "sure"],
          "additionalProperties": false}}}""";
  private static final String TOOLS =
      """
      "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object",
        "properties": {"x": {"type": "integer"}}, "required": ["x"]}}},
        {"type": "function", "function": {"name": "stop"}}]""";

  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private JsonNode choice(String fields) throws Exception {
    HttpResponse<String> response = server.chat(fields);
    assertEquals(200, response.statusCode(), response.body());
    JsonNode choice = Json.MAPPER.readTree(response.body()).at("/choices/0");
    server.awaitIdle();
    return choice;
  }

  @Test
  void schema_whatTheModelSaysWellIsLeftAlone() throws Exception {
    server.says("{\"sum\": 12, \"sure\": true}<|im_end|>");
    JsonNode choice = choice(SCHEMA);
    assertEquals("{\"sum\": 12, \"sure\": true}", choice.at("/message/content").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
  }

  @Test
  void schema_isKeptWhateverTheModelSays() throws Exception {
    server.says("x}Sure! 9 it is, I think; \"}\"<|im_end|>");
    JsonNode choice = choice(SCHEMA + ", \"max_tokens\": 200");
    assertEquals("stop", choice.path("finish_reason").asText());
    JsonNode answer = Json.MAPPER.readTree(choice.at("/message/content").asText());
    assertEquals(2, answer.size());
    assertTrue(answer.path("sum").isIntegralNumber() && answer.path("sure").isBoolean());
  }

  @Test
  void schema_thoughtIsFree() throws Exception {
    server.says("<think>Hm, {5} or [7]?</think>\n\n{\"sum\":7,\"sure\":false}<|im_end|>");
    JsonNode message = choice(SCHEMA).path("message");
    assertEquals("Hm, {5} or [7]?", message.path("reasoning").asText());
    assertEquals("\n\n{\"sum\":7,\"sure\":false}", message.path("content").asText());

    server.says("so free</think>no way<|im_end|>");
    String open = "\"chat_template_kwargs\": {\"start_thinking\": true}, ";
    message = choice(open + CHOICE).path("message");
    assertEquals("so free", message.path("reasoning").asText());
    assertEquals("no", message.path("content").asText());

    // a thought alone is no answer: the model may not end in it
    server.says("done<|im_end|>");
    JsonNode choice = choice(open + CHOICE + ", \"max_tokens\": 20");
    assertEquals("length", choice.path("finish_reason").asText());
  }

  @Test
  void schema_withoutAThoughtNothingIsFree() throws Exception {
    server.says("<think>no</think>no<|im_end|>");
    JsonNode message =
        choice("\"chat_template_kwargs\": {\"enable_thinking\": false}, " + CHOICE).path("message");
    assertEquals("", message.path("reasoning").asText());
    assertTrue(Set.of("yes", "no").contains(message.path("content").asText()), message.toString());
  }

  @Test
  void budget_closesTheThoughtBeforeTheForm() throws Exception {
    server.says("<think>on and on and on and on");
    JsonNode choice = choice("\"thinking_token_budget\": 5, \"max_tokens\": 100, " + CHOICE);
    assertEquals("on an", choice.at("/message/reasoning").asText());
    assertTrue(Set.of("yes", "no").contains(choice.at("/message/content").asText()));
    assertEquals("stop", choice.path("finish_reason").asText());

    choice = choice("\"thinking_token_budget\": 5, \"max_tokens\": 200, " + SCHEMA);
    String content = choice.at("/message/content").asText();
    assertTrue(content.startsWith("\n\n"), content);
    assertTrue(Json.MAPPER.readTree(content).path("sure").isBoolean());
  }

  @Test
  void length_mayCutIt() throws Exception {
    server.says("{\"sum\": 123456");
    JsonNode choice = choice(SCHEMA + ", \"max_tokens\": 5");
    assertEquals("length", choice.path("finish_reason").asText());
    assertEquals("{\"sum", choice.at("/message/content").asText());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"structured_outputs\": {\"choice\": [\"no\", \"yes\"]}",
        "\"guided_choice\": [\"no\", \"yes\"]",
        "\"structured_outputs\": {\"regex\": \"(no|yes)\"}",
        "\"guided_regex\": \"^no|yes$\", \"guided_json\": null",
        "\"structured_outputs\": {\"choice\": [\"no\", \"yes\"], \"json\": null}, \"min_tokens\": 9",
        "\"structured_outputs\": {\"choice\": [\"no\"]}, \"logit_bias\": {\"120\": 100}",
        "\"structured_outputs\": {\"choice\": [\"no\", \"yes\"]}, \"n\": 3, \"stream\": false",
      })
  void names_areTheSame(String fields) throws Exception {
    if (fields.contains("^")) {
      assertEquals(400, server.chat(fields).statusCode()); // anchors in some alternatives
      return;
    }
    server.says("no doubt");
    JsonNode choice = choice(fields + ", \"max_tokens\": 30");
    assertEquals("no", choice.at("/message/content").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"response_format\": {\"type\": \"json_object\"}",
        "\"structured_outputs\": {\"json_object\": true}",
        "\"structured_outputs\": {\"json\": {\"type\": \"object\"}}",
        "\"guided_json\": \"{\\\"type\\\": \\\"object\\\"}\"",
      })
  void object_isAny(String fields) throws Exception {
    server.says("{\"a\": [1, {\"b\": null}]} and more<|im_end|>");
    String content = choice(fields).at("/message/content").asText();
    assertEquals("{\"a\": [1, {\"b\": null}]}", content);
  }

  @Test
  void n_eachChoiceHasItsOwnState() throws Exception {
    server.backend.script =
        i -> TinyText.ids(i == 1 ? "yes!" : i == 2 ? "<think>?</think>no" : "no");
    HttpResponse<String> response = server.chat(CHOICE + ", \"n\": 3, \"max_tokens\": 40");
    JsonNode body = Json.MAPPER.readTree(response.body());
    assertEquals("no", body.at("/choices/0/message/content").asText());
    assertEquals("yes", body.at("/choices/1/message/content").asText());
    assertEquals("no", body.at("/choices/2/message/content").asText());
    assertEquals("?", body.at("/choices/2/message/reasoning").asText());
  }

  @Test
  void completions_haveFormsToo() throws Exception {
    server.says("<think>no");
    HttpResponse<String> response = server.complete(CHOICE);
    JsonNode choice = Json.MAPPER.readTree(response.body()).at("/choices/0");
    assertTrue(Set.of("yes", "no").contains(choice.path("text").asText()), response.body());
    assertEquals("stop", choice.path("finish_reason").asText());
  }

  @Test
  void ignoreEos_repeatsTheEndToTheLimit() throws Exception {
    server.says("yes, and more");
    JsonNode choice =
        choice(CHOICE + ", \"ignore_eos\": true, \"max_tokens\": 9, \"return_token_ids\": true");
    assertEquals("length", choice.path("finish_reason").asText());
    assertEquals("yes", choice.at("/message/content").asText());
    assertEquals(9, choice.path("token_ids").size());
    assertEquals(TinyText.IM_END, choice.path("token_ids").get(8).asInt());
  }

  @Test
  void toolChoice_callsWhatIsThere() throws Exception {
    server.says("I would rather not<|im_end|>");
    String unthinking = "\"chat_template_kwargs\": {\"enable_thinking\": false}, ";
    for (String wanted :
        new String[] {
          "\"required\", \"parallel_tool_calls\": false",
          "{\"type\": \"function\", \"function\": {\"name\": \"add\"}}"
        }) {
      JsonNode choice =
          choice(unthinking + "\"tool_choice\": " + wanted + ", \"max_tokens\": 300, " + TOOLS);
      JsonNode calls = choice.at("/message/tool_calls");
      assertEquals(1, calls.size(), choice.toString());
      assertEquals("add", calls.at("/0/function/name").asText());
      JsonNode arguments = Json.MAPPER.readTree(calls.at("/0/function/arguments").asText());
      assertTrue(arguments.path("x").isIntegralNumber(), arguments.toString());
    }
  }

  @Test
  void toolChoice_requiredMayCallSeveral() throws Exception {
    String two =
        "<think>both</think>\n\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"x\": 4}}\n</tool_call>\n"
            + "<tool_call>\n{\"name\": \"stop\", \"arguments\": {\"now\": [\"</tool_call>\"]}}\n</tool_call>"
            + "<|im_end|>";
    server.says(two);
    JsonNode calls = choice("\"tool_choice\": \"required\", " + TOOLS).at("/message/tool_calls");
    Set<String> names = new TreeSet<>();
    calls.forEach(call -> names.add(call.at("/function/name").asText()));
    assertEquals(Set.of("add", "stop"), names);
    assertEquals("{\"x\": 4}", calls.at("/0/function/arguments").asText());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"required\"",
        "{\"type\": \"function\", \"function\": {\"name\": \"add\"}}",
      })
  void toolChoice_winsOverTheAnswersForm(String wanted) throws Exception {
    server.says("<think>?</think>\n\n{\"sum\": 1, \"sure\": true}");
    for (String form : new String[] {SCHEMA, CHOICE}) {
      JsonNode choice =
          choice("\"tool_choice\": " + wanted + ", \"max_tokens\": 300, " + TOOLS + ", " + form);
      String name = choice.at("/message/tool_calls/0/function/name").asText();
      assertTrue(name.equals("add") || (wanted.contains("req") && name.equals("stop")), name);
      assertEquals("tool_calls", choice.path("finish_reason").asText());
    }
  }

  @Test
  void toolChoice_autoMayCallOrAnswerInTheForm() throws Exception {
    String fields = TOOLS + ", \"max_tokens\": 300, " + SCHEMA;
    server.says("{\"sum\": 12, \"sure\": true}<|im_end|>");
    JsonNode message = choice(fields).path("message");
    assertEquals("{\"sum\": 12, \"sure\": true}", message.path("content").asText());
    assertTrue(message.path("tool_calls").isEmpty(), message.toString());

    server.says(
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"x\": 4}}\n</tool_call><|im_end|>");
    for (String auto : new String[] {"", "\"tool_choice\": \"auto\", "}) {
      JsonNode calls = choice(auto + fields).at("/message/tool_calls");
      assertEquals("{\"x\": 4}", calls.at("/0/function/arguments").asText());
    }

    server.says(
        "<tool_call>\n{\"name\": \"sub\", \"arguments\": {\"x\": false}}\n</tool_call><|im_end|>");
    JsonNode calls = choice(fields).at("/message/tool_calls"); // no such tool, no such argument
    assertTrue(Set.of("add", "stop").contains(calls.at("/0/function/name").asText()));

    server.says("<tool_call><|im_end|>");
    message = choice("\"tool_choice\": \"none\", " + fields).path("message");
    assertTrue(
        Json.MAPPER.readTree(message.path("content").asText()).path("sum").isIntegralNumber());
  }

  /** Nobody asked that its arguments be kept to a schema. */
  @Test
  void toolChoice_autoTakesAToolWhoseSchemaCannotBeHad() throws Exception {
    String odd =
        """
        "tools": [{"type": "function", "function": {"name": "odd",
          "parameters": {"type": "object", "unevaluatedProperties": false}}}]""";
    server.says(
        "<tool_call>\n{\"name\": \"odd\", \"arguments\": {\"y\": [1]}}\n</tool_call><|im_end|>");
    JsonNode calls = choice(odd + ", " + SCHEMA).at("/message/tool_calls");
    assertEquals("{\"y\": [1]}", calls.at("/0/function/arguments").asText());
    String named = "\"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"odd\"}}";
    HttpResponse<String> refused = server.chat(named + ", " + odd);
    assertEquals(400, refused.statusCode());
    assertEquals(
        "tools[0].function.parameters.unevaluatedProperties",
        Json.MAPPER.readTree(refused.body()).at("/error/param").asText());
  }

  @Test
  void object_keepsItsSchema() throws Exception {
    server.says("{\"b\": 1}<|im_end|>");
    String schema =
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"boolean\"}}, \"required\": [\"a\"]}";
    String format = "{\"type\": \"json_object\", \"schema\": " + schema + "}";
    JsonNode content =
        Json.MAPPER.readTree(
            choice("\"max_tokens\": 99, \"response_format\": " + format)
                .at("/message/content")
                .asText());
    assertTrue(content.path("a").isBoolean() && content.size() == 1, content.toString());
  }

  /** What generators of schemas write beside what they mean. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"structured_outputs\": {\"json\": SCHEMA}",
        "\"guided_json\": SCHEMA",
        "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", \"schema\": SCHEMA}}",
        "\"tool_choice\": \"required\", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"strict\": true, \"parameters\": SCHEMA}}]",
      })
  void schema_annotationsAreIgnoredWhereverItStands(String fields) throws Exception {
    String schema =
        """
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "x-order": ["a"],
         "properties": {"a": {"type": "string", "format": "binary", "nullable": false,
           "deprecated": true, "x-order": 1, "contentEncoding": "base64", "xml": {"name": "a"}}},
         "required": ["a"], "additionalProperties": false, "externalDocs": {}}""";
    server.says("{\"a\": \"b\"}<|im_end|>");
    HttpResponse<String> response =
        server.chat("\"max_tokens\": 400, " + fields.replace("SCHEMA", schema));
    assertEquals(200, response.statusCode(), response.body());
  }
}
