package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CompletionTest {
  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.saying(" upon a time<|im_end|>"));
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

  private JsonNode post(String json) throws Exception {
    return ok(server.post("/v1/completions", json));
  }

  @Test
  void whole() throws Exception {
    JsonNode body = ok(server.complete(""));
    assertEquals("text_completion", body.path("object").asText());
    assertTrue(body.path("id").asText().startsWith("cmpl-"));
    JsonNode choice = body.path("choices").get(0);
    assertEquals(" upon a time", choice.path("text").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
    assertTrue(choice.has("logprobs") && choice.path("logprobs").isNull());
    assertEquals(4, body.at("/usage/prompt_tokens").intValue());
    assertEquals(13, body.at("/usage/completion_tokens").intValue());
  }

  @Test
  void default_is16Tokens() throws Exception {
    server.says("x");
    JsonNode body = ok(server.complete(""));
    assertEquals("x".repeat(16), body.at("/choices/0/text").asText());
    assertEquals("length", body.at("/choices/0/finish_reason").asText());
  }

  @Test
  void thoughtsAreText() throws Exception {
    server.says("<think>a</think>b<|im_end|>");
    assertEquals("<think>a</think>b", ok(server.complete("")).at("/choices/0/text").asText());
  }

  @Test
  void prompts_inEveryForm() throws Exception {
    assertEquals(
        "Hi upon a time",
        post("{\"prompt\": [72, 105], \"echo\": true}").at("/choices/0/text").asText());
    JsonNode texts =
        post("{\"prompt\": [\"A\", \"BC\"], \"n\": 2, \"echo\": true, \"return_token_ids\": true}");
    List<String> all = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      JsonNode choice = texts.path("choices").get(i);
      assertEquals(i, choice.path("index").intValue());
      all.add(choice.path("text").asText());
      assertEquals(i < 2 ? 1 : 2, choice.path("prompt_token_ids").size());
      assertEquals(13, choice.path("token_ids").size());
    }
    assertEquals(
        List.of("A upon a time", "A upon a time", "BC upon a time", "BC upon a time"), all);
    assertEquals(3, texts.at("/usage/prompt_tokens").intValue(), "a prompt counts once");
    assertEquals(52, texts.at("/usage/completion_tokens").intValue());
    JsonNode ids = post("{\"prompt\": [[72, 105], [74]], \"echo\": true, \"max_tokens\": 5}");
    assertEquals("J upon", ids.at("/choices/1/text").asText());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "prompt | {} | required",
        "prompt | {\"prompt\": {}} | must be a string, an array of strings, token ids",
        "prompt | {\"prompt\": []} | empty",
        "prompt | {\"prompt\": \"\"} | at least one token",
        "prompt[1] | {\"prompt\": [\"a\", []]} | at least one token",
        "prompt[1] | {\"prompt\": [\"a\", 5]} | must be a string",
        "prompt[1] | {\"prompt\": [5, \"a\"]} | must be an integer",
        "prompt[1][0] | {\"prompt\": [[1], [\"a\"]]} | must be an integer",
        "prompt | {\"prompt\": [100000]} | vocabulary",
        "prompt[0] | {\"prompt\": [-5]} | between 0",
        "logprobs | {\"prompt\": \"a\", \"logprobs\": 21} | between 0 and 20",
        "max_tokens | {\"prompt\": \"a\", \"max_tokens\": 0} | between 1",
        "max_tokens | {\"prompt\": \"a\", \"max_tokens\": 4096} | maximum context length",
        "suffix | {\"prompt\": \"a\", \"suffix\": \"b\"} | not supported",
      })
  void faults_areNamed(String param, String body, String says) throws Exception {
    HttpResponse<String> response = server.post("/v1/completions", body);
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(param, error.path("param").asText());
    assertTrue(error.path("message").asText().contains(says), error.path("message").asText());
  }

  @Test
  void logprobs_parallelListsFirstNullOnEcho() throws Exception {
    server.says("é<|im_end|>");
    JsonNode logprobs =
        ok(server.complete("\"logprobs\": 2, \"echo\": true")).at("/choices/0/logprobs");
    assertEquals(
        List.of("O", "n", "c", "e", "bytes:\\xc3", "bytes:\\xa9", "<|im_end|>"),
        Json.MAPPER.convertValue(logprobs.path("tokens"), List.class));
    for (String list : List.of("token_logprobs", "top_logprobs", "text_offset")) {
      assertEquals(7, logprobs.path(list).size(), list);
    }
    assertTrue(logprobs.at("/token_logprobs/0").isNull());
    assertTrue(logprobs.at("/top_logprobs/0").isNull());
    assertEquals(-0.5, logprobs.at("/token_logprobs/1").doubleValue());
    assertEquals(-9999.0, logprobs.at("/top_logprobs/1/b").doubleValue());
    assertEquals(3, logprobs.at("/text_offset/3").intValue());
    JsonNode none = ok(server.complete("\"logprobs\": 0")).at("/choices/0/logprobs");
    assertEquals(1, none.at("/top_logprobs/0").size(), "the drawn token itself");
  }

  @Test
  void echoAlone_scoresThePrompt() throws Exception {
    JsonNode body = ok(server.complete("\"echo\": true, \"max_tokens\": 0, \"logprobs\": 1"));
    assertEquals("Once", body.at("/choices/0/text").asText());
    assertEquals(4, body.at("/choices/0/logprobs/tokens").size());
    assertEquals("length", body.at("/choices/0/finish_reason").asText());
    assertEquals(0, body.at("/usage/completion_tokens").intValue());
    String stream = server.complete("\"echo\": true, \"max_tokens\": 0, \"stream\": true").body();
    assertEquals(1, Events.parse(stream).chunks().size());
  }

  @Test
  void promptLogprobs() throws Exception {
    JsonNode scores =
        ok(server.complete("\"prompt_logprobs\": 1")).at("/choices/0/prompt_logprobs");
    assertEquals(4, scores.size());
    assertTrue(scores.get(0).isNull());
    assertEquals("n", scores.get(1).path("110").path("decoded_token").asText());
  }

  @Test
  void stream_ofSeveralPrompts() throws Exception {
    String body =
        "{\"prompt\": [\"A\", \"B\", \"C\"], \"n\": 2, \"stream\": true, \"echo\": true,"
            + " \"logprobs\": 1, \"stream_options\": {\"include_usage\": true}}";
    Events events = Events.parse(server.post("/v1/completions", body).body());
    assertTrue(events.done());
    for (int i = 0; i < 6; i++) {
      StringBuilder text = new StringBuilder();
      int tokens = 0;
      for (JsonNode choice : events.of(i)) {
        text.append(choice.path("text").asText());
        tokens += choice.at("/logprobs/tokens").size();
      }
      assertEquals("ABC".charAt(i / 2) + " upon a time", text.toString());
      assertEquals(14, tokens);
      assertEquals("stop", events.of(i).getLast().path("finish_reason").asText());
    }
    assertEquals(3, events.chunks().getLast().at("/usage/prompt_tokens").intValue());
    assertFalse(events.chunks().getFirst().path("usage").isContainerNode());
  }

  @Test
  void severalPrompts_thatDontAllFitTheQueueLeaveNothing() throws Exception {
    try (TestServer full = new TestServer(TestServer.USUAL.saying("x").withRoom(1, 16, 3))) {
      full.backend.stepMillis = 20;
      full.engine.pause().get();
      full.engine.submit(new GenerationRequest("w", new int[] {1}, SamplingParams.greedy(1)));
      String body = "{\"prompt\": [\"A\", \"B\", \"C\"], \"max_tokens\": 999}";
      assertEquals(429, full.post("/v1/completions", body).statusCode());
      assertEquals(1, full.engine.stats().waiting(), "all or none");
      full.engine.resume();
      full.awaitIdle();
    }
  }
}
