package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.openai.wire.ErrorBody;
import io.tercel.server.testing.TestServer;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ErrorTest {
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    server.awaitIdle();
  }

  private static JsonNode error(HttpResponse<String> response, int status) throws Exception {
    assertEquals(status, response.statusCode(), response.body());
    assertEquals("application/json", response.headers().firstValue("content-type").orElseThrow());
    assertTrue(response.headers().firstValue("x-request-id").isPresent());
    JsonNode body = Json.MAPPER.readTree(response.body());
    JsonNode error = body.path("error");
    assertEquals(1, body.size());
    assertEquals(4, error.size(), "message, type, param, code");
    assertTrue(error.path("message").isTextual() && error.path("type").isTextual());
    assertTrue(error.has("param") && error.has("code"));
    assertFalse(response.body().contains("io.tercel") || response.body().contains("Exception"));
    return error;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "model | \"model\": 5 | must be a string, not an integer",
        "n | \"n\": 0 | between 1 and 128, not 0",
        "n | \"n\": 1.5 | must be an integer",
        "n | \"n\": 1e30 | between 1 and 128",
        "stream | \"stream\": \"yes\" | must be a boolean, not a string",
        "temperature | \"temperature\": -1 | at least 0, not -1",
        "temperature | \"temperature\": 1e400 | at most 3.4028235E38, not a larger number",
        "temperature | \"temperature\": \"hot\" | must be a number, not a string",
        "top_p | \"top_p\": 0 | above 0 and at most 1",
        "top_p | \"top_p\": 1.5 | between 0 and 1, not 1.5",
        "top_k | \"top_k\": -2 | between -1",
        "min_p | \"min_p\": 2 | between 0 and 1",
        "presence_penalty | \"presence_penalty\": 2.1 | between -2 and 2",
        "frequency_penalty | \"frequency_penalty\": -3 | between -2 and 2",
        "repetition_penalty | \"repetition_penalty\": 0 | above 0",
        "max_tokens | \"max_tokens\": 0 | between 1",
        "max_completion_tokens | \"max_completion_tokens\": \"1\", \"max_tokens\": 1 | an integer",
        "min_tokens | \"min_tokens\": 9, \"max_tokens\": 8 | between 0 and 8",
        "seed | \"seed\": 9223372036854775808 | at most 9223372036854775807, not 9223372036854775808",
        "seed | \"seed\": 18446744073709551615 | at most 9223372036854775807, not 184467440737",
        "seed | \"seed\": -9223372036854775809 | at least -9223372036854775808, not -9223",
        "seed | \"seed\": -1e30 | at least -9223372036854775808, not -1.0E30",
        "seed | \"seed\": 1e400 | at most 9223372036854775807, not a larger number",
        "n | \"n\": 1e400 | between 1 and 128, not a larger number",
        "temperature | \"temperature\": 1e39 | at most 3.4028235E38, not 1.0E39",
        "temperature | \"temperature\": -1e400 | at least 0, not a smaller number",
        "repetition_penalty | \"repetition_penalty\": 1e39 | at most 3.4028235E38",
        "priority | \"priority\": 2147483648 | between -2147483648 and 2147483647",
        "stop | \"stop\": \"\" | empty",
        "stop[1] | \"stop\": [\"a\", 5] | must be a string",
        "stop | \"stop\": {} | a string or an array of strings",
        "stop_token_ids[0] | \"stop_token_ids\": [-1] | between 0",
        "logit_bias.5 | \"logit_bias\": {\"5\": 101} | between -100 and 100",
        "logit_bias | \"logit_bias\": {\"a\": 1} | token ids",
        "logit_bias | \"logit_bias\": [] | must be an object, not an array",
        "top_logprobs | \"top_logprobs\": 2 | needs logprobs",
        "top_logprobs | \"logprobs\": true, \"top_logprobs\": 21 | between 0 and 20",
        "logprobs | \"logprobs\": 1 | a boolean",
        "prompt_logprobs | \"prompt_logprobs\": 1, \"stream\": true | stream",
        "stream_options | \"stream_options\": {} | stream is true",
        "response_format.type | \"response_format\": {\"type\": \"yaml\"} | 'yaml'",
        "response_format.type | \"response_format\": {} | is required",
        "response_format.json_schema | \"response_format\": {\"type\": \"json_schema\"} | required",
        "response_format.json_schema.schema | \"response_format\": {\"type\": \"json_schema\","
            + " \"json_schema\": {\"name\": \"a\"}} | required",
        "response_format.json_schema.schema.properties.a.not | \"response_format\":"
            + " {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"properties\":"
            + " {\"a\": {\"type\": \"integer\", \"not\": {}}}}}} | leaves no value",
        "structured_outputs | \"structured_outputs\": {} | must have choice",
        "structured_outputs.choice | \"structured_outputs\": {\"choice\": []} | one or more",
        "structured_outputs.choice[1] | \"structured_outputs\": {\"choice\": [\"a\", 1]} | string",
        "structured_outputs.grammar | \"structured_outputs\": {\"grammar\": \"root\"} | choice, json",
        "structured_outputs.regex | \"structured_outputs\": {\"regex\": \"a(?=b)\"} | looks ahead",
        "structured_outputs.regex | \"structured_outputs\": {\"choice\": [\"a\"],"
            + " \"regex\": \"a\"} | combined with structured_outputs.choice",
        "guided_regex | \"response_format\": {\"type\": \"json_object\"},"
            + " \"guided_regex\": \"a\" | combined with response_format",
        "guided_regex | \"guided_regex\": \"(a{1000}){1000}\" | too complex",
        "guided_json | \"guided_json\": \"{\" | as a string: it ends too early, at line 1, column 2",
        "tool_choice | \"tool_choice\": \"required\" | needs tools",
        "tool_choice | \"tool_choice\": \"often\" | 'required'",
        "tool_choice.function.name | \"tool_choice\": {\"type\": \"function\", \"function\":"
            + " {\"name\": \"g\"}}, \"tools\": [{\"type\": \"function\", \"function\":"
            + " {\"name\": \"f\"}}] | one of the tools' names",
        "tools[0].type | \"tools\": [{\"type\": \"code\"}] | 'function'",
        "tools[0].function.name | \"tools\": [{\"type\": \"function\", \"function\": {}}] | required",
        "best_of | \"best_of\": 2 | must equal n",
        "reasoning_effort | \"reasoning_effort\": \"huge\" | minimal",
        "chat_template_kwargs | \"chat_template_kwargs\": 1 | must be an object",
        "continue_final_message | \"continue_final_message\": true | can't both",
      })
  void field_isNamedWithTheRange(String param, String fields, String says) throws Exception {
    JsonNode error = error(server.chat(fields), 400);
    assertEquals(param, error.path("param").asText());
    assertTrue(error.path("message").asText().contains(says), error.path("message").asText());
    assertEquals("invalid_request_error", error.path("type").asText());
    assertTrue(error.path("code").isTextual());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "messages | {} | messages is required",
        "messages | {\"messages\": []} | at least one",
        "messages | {\"messages\": \"hi\"} | must be an array",
        "messages[0] | {\"messages\": [\"hi\"]} | must be an object",
        "messages[0].role | {\"messages\": [{\"content\": \"hi\"}]} | required",
        "messages[0].role | {\"messages\": [{\"role\": \"boss\", \"content\": \"a\"}]} | 'boss'",
        "messages[0].content | {\"messages\": [{\"role\": \"user\"}]} | required",
        "messages[0].content | {\"messages\": [{\"role\": \"user\", \"content\": 5}]} | a string",
        "messages[0].content[1].type | {\"messages\": [{\"role\": \"user\", \"content\": ["
            + "{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"image_url\"}]}]} | image_url",
        "messages[0].tool_calls[0].function.arguments | {\"messages\": [{\"role\": \"assistant\","
            + " \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": [1]}}]}]} | a string",
        "messages | {\"messages\": [{\"role\": \"user\", \"content\": \"refuse me\"}]} | no such",
      })
  void messages_pathToTheFault(String param, String body, String says) throws Exception {
    JsonNode error = error(server.post("/v1/chat/completions", body), 400);
    assertEquals(param, error.path("param").asText());
    assertTrue(error.path("message").asText().contains(says), error.path("message").asText());
  }

  @Test
  void badJson_lineAndColumn() throws Exception {
    JsonNode error = error(server.post("/v1/chat/completions", "{\n  \"a\": }"), 400);
    assertTrue(error.path("message").asText().contains("line 2, column 8"), error.toString());
    error(server.post("/v1/chat/completions", ""), 400);
    error(server.post("/v1/chat/completions", "[]"), 400);
    error(server.post("/v1/chat/completions", "{} {}"), 400);
    error(server.post("/v1/chat/completions", "{\"n\": NaN}"), 400);
    String deep = "[".repeat(100) + "]".repeat(100);
    error = error(server.post("/v1/chat/completions", "{\"a\": " + deep + "}"), 400);
    assertTrue(error.path("message").asText().contains("64"), error.toString());
    assertFalse(error.path("message").asText().contains("Stream"), error.toString());
  }

  @Test
  void unicode_wellFormedOr400() throws Exception {
    String chat = "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]}";
    for (String half : List.of("\\ud83d", "a\\ude00b", "\\ude00\\ud83d")) {
      error(server.post("/v1/chat/completions", chat.formatted(half)), 400);
      error(server.chat("\"model\": \"" + half + "\""), 400);
      error(server.chat("\"" + half + "\": 1"), 400);
    }
    String fine = "\\ud83d\\ude00 😀 \\u0000 \\uffff";
    assertEquals(200, server.post("/v1/chat/completions", chat.formatted(fine)).statusCode());
    String echo = "{\"echo\": true, \"max_tokens\": 1, \"prompt\": \"" + fine + "\"}";
    String body = server.post("/v1/completions", echo).body();
    String text = Json.MAPPER.readTree(body).at("/choices/0/text").asText();
    assertEquals("😀 😀 \u0000 \uffff<think>", text);
  }

  @Test
  void contextLength() throws Exception {
    String body =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"" + "x".repeat(5000) + "\"}]}";
    JsonNode error = error(server.post("/v1/chat/completions", body), 400);
    assertEquals("context_length_exceeded", error.path("code").asText());
    assertEquals("messages", error.path("param").asText());
    assertTrue(error.path("message").asText().contains("4096"));
    error = error(server.chat("\"max_completion_tokens\": 4096"), 400);
    assertEquals("context_length_exceeded", error.path("code").asText());
    assertEquals("max_completion_tokens", error.path("param").asText());
  }

  @Test
  void modelAndRoute_notFound() throws Exception {
    JsonNode error = error(server.chat("\"model\": \"gpt\""), 404);
    assertEquals("model_not_found", error.path("code").asText());
    assertEquals("model", error.path("param").asText());
    assertEquals("model_not_found", error(server.get("/v1/models/x"), 404).path("code").asText());
    assertEquals("unknown_url", error(server.get("/v2/models"), 404).path("code").asText());
    error(server.get("/v1/models/"), 404);
  }

  @Test
  void method_notAllowed() throws Exception {
    HttpResponse<String> response = server.get("/v1/chat/completions");
    error(response, 405);
    assertEquals("POST, OPTIONS", response.headers().firstValue("allow").orElseThrow());
    response = server.post("/v1/models", "{}");
    error(response, 405);
    assertEquals("GET, HEAD, OPTIONS", response.headers().firstValue("allow").orElseThrow());
  }

  @Test
  void mediaType_unsupported() throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(server.uri("/v1/chat/completions"))
            .POST(HttpRequest.BodyPublishers.ofString("{}"));
    HttpResponse.BodyHandler<String> text = HttpResponse.BodyHandlers.ofString();
    error(server.client.send(request.build(), text), 415);
    error(server.client.send(request.header("content-type", "text/plain").build(), text), 415);
    request = request.setHeader("content-type", "application/json; charset=utf-8");
    error(server.client.send(request.build(), text), 400);
    error(server.client.send(request.header("content-encoding", "gzip").build(), text), 415);
  }

  @Test
  void overload_is429WithRetryAfter() throws Exception {
    try (TestServer full = new TestServer(TestServer.USUAL.withRoom(1, 16, 2))) {
      full.engine.pause().get();
      Thread waits = Thread.ofVirtual().start(() -> chatOrFail(full, "\"n\": 2"));
      TestServer.await("two wait", () -> full.engine.stats().waiting() == 2);
      HttpResponse<String> response = full.chat("");
      JsonNode error = error(response, 429);
      assertEquals("rate_limit_exceeded", error.path("code").asText());
      assertTrue(response.headers().firstValueAsLong("retry-after").orElseThrow() > 0);
      assertEquals(429, full.chat("\"stream\": true").statusCode());
      assertEquals(429, full.chat("\"n\": 2").statusCode());
      full.engine.resume();
      waits.join();
    }
  }

  private static void chatOrFail(TestServer server, String fields) {
    try {
      assertEquals(200, server.chat(fields).statusCode());
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** On an idle server too, and for ever: so it is no overload. */
  @Test
  void moreChoicesThanMayEverWait_isA400ThatNamesTheLimit() throws Exception {
    try (TestServer small = new TestServer(TestServer.USUAL.withRoom(1, 16, 2))) {
      for (String fields : List.of("\"n\": 3", "\"n\": 3, \"stream\": true")) {
        JsonNode error = error(small.chat(fields), 400);
        assertEquals("n", error.path("param").asText());
        assertTrue(error.path("message").asText().contains("at most 2"), error.toString());
      }
      error(small.post("/v1/completions", "{\"prompt\": [\"a\", \"b\", \"c\"]}"), 400);
      assertEquals(200, small.chat("\"n\": 2").statusCode());
    }
  }

  @Test
  void serviceFields_areChecked() throws Exception {
    JsonNode error = error(server.chat("\"service_class\": \"gold\""), 400);
    assertEquals("service_class", error.path("param").asText());
    assertTrue(error.path("message").asText().contains("chat, rollout, batch"));
    assertEquals(
        "stale_kv", error(server.chat("\"stale_kv\": \"forget\""), 400).path("param").asText());
    assertEquals("group_id", error(server.chat("\"group_id\": \"\""), 400).path("param").asText());
    String all =
        "\"service_class\": \"rollout\", \"stale_kv\": \"keep\", \"group_id\": \"g\", \"n\": 2";
    assertEquals(200, server.chat(all).statusCode());
    assertTrue(server.engine.stats().of(ServiceClass.ROLLOUT).generationTokens() > 0);
    assertEquals(0, server.engine.stats().of(ServiceClass.CHAT).generationTokens());
  }

  @Test
  void engineThatFailed_isNotHealthy() throws Exception {
    try (TestServer broken = TestServer.start()) {
      assertEquals(200, broken.get("/health").statusCode());
      broken.backend.error = new OutOfMemoryError("no more");
      error(broken.chat(""), 503);
      TestServer.await("it failed", broken.engine::failed);
      error(broken.get("/health"), 503);
      error(broken.get("/ready"), 503);
      error(broken.chat(""), 503);
    }
  }

  @Test
  void draining_is503ButHealthy() throws Exception {
    try (TestServer drained = TestServer.start()) {
      assertEquals(200, drained.get("/ready").statusCode());
      assertTrue(drained.http.drain());
      HttpResponse<String> response = drained.get("/ready");
      error(response, 503);
      assertTrue(response.headers().firstValue("retry-after").isPresent());
      error(drained.chat(""), 503);
      assertEquals(200, drained.get("/health").statusCode());
      assertEquals(200, drained.get("/metrics").statusCode());
    }
  }

  /** A client, a stream and whoever watches the metrics learn of it; the next request is served. */
  @Test
  void nanOfTheModel_isNamed_andCounted() throws Exception {
    try (TestServer broken = TestServer.start()) {
      broken.backend.nan = true;
      JsonNode error = error(broken.chat(""), 500);
      assertEquals("server_error", error.path("type").asText());
      String message = error.path("message").asText();
      assertTrue(message.startsWith("the model computed NaN at tokens 1 to "), message);
      JsonNode last = error(broken.chat("\"stream\": true"), 500); // before its first token
      assertTrue(last.path("message").asText().contains("computed NaN"), last.toString());
      broken.awaitIdle();
      String counted = "tercel_nan_sequences_total{model_name=\"" + TestServer.MODEL + "\",} 2.0";
      String metrics = broken.get("/metrics").body();
      assertTrue(metrics.contains(counted), metrics);
      broken.backend.nan = false;
      assertEquals(200, broken.chat("").statusCode());
    }
  }

  @Test
  void faultOfOurs_is500WithoutATrace() throws Exception {
    try (TestServer broken = TestServer.start()) {
      broken.backend.failure = "no more memory";
      JsonNode error = error(broken.chat(""), 500);
      assertEquals("server_error", error.path("type").asText());
      broken.awaitIdle();
    }
    ApiException hidden = ApiException.of(new IllegalStateException("secret"));
    assertEquals(500, hidden.status());
    assertFalse(ErrorBody.of(hidden).toString().contains("secret"));
  }
}
