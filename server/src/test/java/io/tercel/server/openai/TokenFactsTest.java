package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is told of tokens besides their text, and which of a prompt's are kept. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class TokenFactsTest {
  private TestServer server;

  @BeforeAll
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.saying("<think>0123456789ABCDE<|im_end|>"));
  }

  @AfterAll
  void stop() throws Exception {
    server.awaitIdle();
    server.close();
  }

  private static JsonNode ok(HttpResponse<String> response) throws Exception {
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static List<Integer> ints(JsonNode array) {
    List<Integer> all = new ArrayList<>();
    array.forEach(id -> all.add(id.asInt(-1)));
    return all;
  }

  private static List<Integer> bytes(String text) {
    return IntStream.of(TinyText.ids(text)).boxed().toList();
  }

  private static void assertRefused(HttpResponse<String> response, String param, String says)
      throws Exception {
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(param, error.path("param").asText(), response.body());
    assertTrue(error.path("message").asText().contains(says), response.body());
  }

  /** The marker and the two line breaks behind a thought of five tokens and its opening. */
  @Test
  void forced_closingOfAThought_wholeAndStreamed() throws Exception {
    String fields =
        "\"thinking_token_budget\": 5, \"return_forced_tokens\": true, \"return_token_ids\": true, \"n\": 2";
    JsonNode whole = ok(server.chat(fields));
    Events events = Events.parse(server.chat(fields + ", \"stream\": true").body());
    for (int i = 0; i < 2; i++) {
      JsonNode choice = whole.at("/choices/" + i);
      assertEquals(List.of(6, 7, 8), ints(choice.path("forced_tokens")), choice.toString());
      assertEquals(TinyText.END_THINK, choice.at("/token_ids/6").asInt());
      List<Integer> streamed = new ArrayList<>();
      for (JsonNode chunk : events.of(i)) {
        streamed.addAll(ints(chunk.path("forced_tokens")));
      }
      assertEquals(List.of(6, 7, 8), streamed, "places are those in the choice");
    }
    assertTrue(ok(server.chat("")).at("/choices/0/forced_tokens").isMissingNode(), "unasked");
  }

  /** A response has one choice, so they are its own; streamed, they come with its end. */
  @Test
  void responses_tellOfTheirTokens() throws Exception {
    String body =
        "{\"input\": \"hi\", \"thinking_token_budget\": 5, \"return_forced_tokens\": true,"
            + " \"return_token_ids\": true, \"return_weight_versions\": true";
    JsonNode whole = ok(server.post("/v1/responses", body + "}"));
    assertEquals(List.of(6, 7, 8), ints(whole.path("forced_tokens")), whole.toString());
    assertEquals(TinyText.END_THINK, whole.at("/token_ids/6").asInt());
    assertEquals(whole.path("token_ids").size(), whole.at("/weight_versions/0/tokens").asInt());
    assertEquals(whole.at("/usage/output_tokens").asInt(), whole.path("token_ids").size());
    String events = server.post("/v1/responses", body + ", \"stream\": true}").body();
    String last = events.substring(events.lastIndexOf("data: ") + 6);
    JsonNode streamed = Json.MAPPER.readTree(last).path("response");
    assertEquals(whole.path("forced_tokens"), streamed.path("forced_tokens"));
    assertEquals(whole.path("token_ids"), streamed.path("token_ids"));
    JsonNode plain = ok(server.post("/v1/responses", "{\"input\": \"hi\"}"));
    for (String field : List.of("token_ids", "weight_versions", "forced_tokens")) {
      assertTrue(plain.path(field).isMissingNode(), field + ", unasked");
    }
  }

  /** Where the form leaves one token, it is forced, the one that ends the answer included. */
  @Test
  void forced_byTheForm() throws Exception {
    String fields = "\"return_forced_tokens\": true, \"structured_outputs\": {\"choice\": ";
    JsonNode one = ok(server.complete(fields + "[\"yes\"]}")).at("/choices/0");
    assertEquals("yes", one.path("text").asText());
    assertEquals(List.of(0, 1, 2, 3), ints(one.path("forced_tokens")));
    JsonNode two = ok(server.complete(fields + "[\"yes\", \"no\"]}")).at("/choices/0");
    assertEquals(
        IntStream.rangeClosed(1, two.path("text").asText().length()).boxed().toList(),
        ints(two.path("forced_tokens")),
        "the first is the model's");
  }

  @Test
  void tokensAsTokenIds_inChatAndCompletions() throws Exception {
    String ids = "\"return_tokens_as_token_ids\": true, \"max_tokens\": 2, \"logprobs\": ";
    JsonNode entry =
        ok(server.chat(ids + "true, \"top_logprobs\": 2")).at("/choices/0/logprobs/content/1");
    assertEquals("token_id:48", entry.path("token").asText());
    assertEquals(48, entry.at("/bytes/0").asInt(), "bytes stay the token's own");
    assertEquals("token_id:98", entry.at("/top_logprobs/1/token").asText());
    JsonNode scores = ok(server.complete(ids + "2")).at("/choices/0/logprobs");
    assertEquals("token_id:" + TinyText.THINK, scores.at("/tokens/0").asText());
    assertTrue(scores.at("/top_logprobs/1").has("token_id:48"), scores.toString());
    assertTrue(scores.at("/top_logprobs/1").has("token_id:98"), scores.toString());
    JsonNode response =
        ok(
            server.post(
                "/v1/responses",
                "{\"input\": \"hi\", \"top_logprobs\": 1, \"return_tokens_as_token_ids\": true,"
                    + " \"thinking_token_budget\": 1}"));
    assertEquals(
        "token_id:10",
        response.at("/output/1/content/0/logprobs/0/token").asText(),
        response.toString());
  }

  @Test
  void truncation_keepsTheLastTokens() throws Exception {
    String fields =
        "{\"prompt\": [\"abcdefgh\", [49, 50, 51, 52, 53], \"xy\"], \"truncate_prompt_tokens\": 3,"
            + " \"max_tokens\": 1, \"return_token_ids\": true, \"echo\": true}";
    JsonNode choices = ok(server.post("/v1/completions", fields)).path("choices");
    assertEquals(bytes("fgh"), ints(choices.at("/0/prompt_token_ids")));
    assertTrue(choices.at("/0/text").asText().startsWith("fgh"), choices.toString());
    assertEquals(bytes("345"), ints(choices.at("/1/prompt_token_ids")));
    assertEquals(bytes("xy"), ints(choices.at("/2/prompt_token_ids")), "shorter than that");
    JsonNode chat = ok(server.chat("\"truncate_prompt_tokens\": 4, \"return_token_ids\": true"));
    assertEquals(bytes("ant\n"), ints(chat.path("prompt_token_ids")));
    assertEquals(4, chat.at("/usage/prompt_tokens").asInt());
    assertEquals(
        bytes("ef"),
        ints(
            ok(server.post("/tokenize", "{\"prompt\": \"abcdef\", \"truncate_prompt_tokens\": 2}"))
                .path("tokens")));
  }

  /** Minus one leaves as much room as the answer may take. */
  @Test
  void truncation_toTheModelsLimit() throws Exception {
    String prompt = "{\"prompt\": \"" + "z".repeat(5000) + "\", \"truncate_prompt_tokens\": -1";
    JsonNode answer = ok(server.post("/v1/completions", prompt + ", \"max_tokens\": 96}"));
    assertEquals(TestServer.MAX_MODEL_LEN - 96, answer.at("/usage/prompt_tokens").asInt());
    JsonNode usual = ok(server.post("/v1/completions", prompt + "}"));
    assertEquals(TestServer.MAX_MODEL_LEN - 16, usual.at("/usage/prompt_tokens").asInt());
    assertRefused(
        server.post(
            "/v1/completions", "{\"prompt\": \"" + "z".repeat(5000) + "\", \"max_tokens\": 1}"),
        "prompt",
        "maximum context length");
  }

  @ParameterizedTest
  @CsvSource({
    "truncate_prompt_tokens, 0, must be 1 or more",
    "truncate_prompt_tokens, -2, must be",
    "truncate_prompt_tokens, 4097, more than this model's maximum context length of 4096",
    "truncate_prompt_tokens, '\"3\"', must be an integer",
    "logprobs_mode, '\"raw_logits\"', must be raw_logprobs",
    "logprobs_mode, 3, must be a string",
    "return_tokens_as_token_ids, 1, must be a boolean",
    "return_forced_tokens, '\"yes\"', must be a boolean",
  })
  void faults_areNamed(String field, String value, String says) throws Exception {
    String fields = "\"" + field + "\": " + value;
    assertRefused(server.chat(fields), field, says);
    assertRefused(server.complete(fields), field, says);
    assertRefused(server.post("/v1/responses", "{\"input\": \"hi\", " + fields + "}"), field, says);
  }
}
