package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Errors of /v1/responses name the field that the client sent, whatever it became on the way. */
class ResponsesPathsTest {
  private static final String USER = "{\"role\": \"user\", \"content\": \"hi\"}";
  private static final String CALL =
      "{\"type\": \"function_call\", \"call_id\": \"c\", \"name\": \"f\", \"arguments\": \"{}\"}";
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "input[1].arguments | USER, {\"type\": \"function_call\", \"call_id\": \"c\", \"name\": \"f\","
            + " \"arguments\": [1]}",
        "input[2].arguments | USER, CALL, {\"type\": \"function_call\", \"call_id\": \"c\","
            + " \"name\": \"f\", \"arguments\": 5}",
        "input[3].arguments | USER, {\"role\": \"assistant\", \"content\": \"a\"}, CALL,"
            + " {\"type\": \"function_call\", \"call_id\": \"c\", \"name\": \"f\", \"arguments\": 5}",
        "input[1].name | USER, {\"type\": \"function_call\", \"call_id\": \"c\", \"arguments\": \"\"}",
        "input[1].name | USER, {\"type\": \"function_call\", \"call_id\": \"c\", \"name\": 1,"
            + " \"arguments\": \"\"}",
        "input[1].call_id | USER, {\"type\": \"function_call\", \"name\": \"f\", \"arguments\": \"\"}",
        "input[2].output | USER, CALL, {\"type\": \"function_call_output\", \"call_id\": \"c\","
            + " \"output\": 5}",
        "input[2].output[0].type | USER, CALL, {\"type\": \"function_call_output\","
            + " \"call_id\": \"c\", \"output\": [{\"type\": \"input_image\"}]}",
        "input[2].output | USER, CALL, {\"type\": \"function_call_output\", \"call_id\": \"c\"}",
        "input[2].call_id | USER, CALL, {\"type\": \"function_call_output\", \"output\": \"\"}",
        "input[2].content[1].text | USER, CALL, {\"role\": \"user\", \"content\":"
            + " [{\"type\": \"input_text\", \"text\": \"a\"}, {\"type\": \"input_text\"}]}",
        "input[1].content | USER, {\"role\": \"user\", \"content\": 7}",
        "input[1].role | USER, {\"role\": \"boss\", \"content\": \"a\"}",
        "input[0].type | {\"type\": \"web_search_call\"}",
        "input[1].content[0].text | USER, {\"type\": \"reasoning\", \"content\": [{}]}",
      })
  void items(String param, String items) throws Exception {
    check(param, "\"input\": [" + items.replace("USER", USER).replace("CALL", CALL) + "]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "input | \"input\": \"refuse me\"",
        "max_output_tokens | \"input\": \"a\", \"max_output_tokens\": 0",
        "max_output_tokens | \"input\": \"a\", \"max_output_tokens\": 99999",
        "reasoning.effort | \"input\": \"a\", \"reasoning\": {\"effort\": \"huge\"}",
        "text.format.schema | \"input\": \"a\", \"text\": {\"format\": {\"type\": \"json_schema\"}}",
        "text.format.type | \"input\": \"a\", \"text\": {\"format\": {\"type\": \"yaml\"}}",
        "text.format.schema.type | \"input\": \"a\", \"text\": {\"format\":"
            + " {\"type\": \"json_schema\", \"schema\": {\"type\": \"colour\"}}}",
        "tools[0].name | \"input\": \"a\", \"tools\": [{\"type\": \"function\"}]",
        "tools[0].type | \"input\": \"a\", \"tools\": [{\"type\": \"web_search\"}]",
        "tool_choice.name | \"input\": \"a\", \"tool_choice\": {\"type\": \"function\","
            + " \"name\": \"g\"}, \"tools\": [{\"type\": \"function\", \"name\": \"f\"}]",
        "top_logprobs | \"input\": \"a\", \"top_logprobs\": 50",
      })
  void settings(String param, String fields) throws Exception {
    check(param, fields);
  }

  private static void check(String param, String fields) throws Exception {
    var response = server.post("/v1/responses", "{" + fields + "}");
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(param, error.path("param").asText(), error.toString());
    String message = error.path("message").asText();
    assertFalse(
        message.matches(
            ".*(messages\\[|tool_calls|max_completion_tokens|response_format|reasoning_effort|"
                + "\\.function).*"),
        message);
  }
}
