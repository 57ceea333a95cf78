package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.http.ConnectionTest;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ChatCompletionTest {
  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private JsonNode ok(HttpResponse<String> response) throws Exception {
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  /** The prompt of an answer that was asked to tell it. */
  private String prompt(JsonNode body) {
    int[] ids = Json.MAPPER.convertValue(body.path("prompt_token_ids"), int[].class);
    return server.tokenizer.decode(ids, false);
  }

  @Test
  void whole_answerThoughtAndUsage() throws Exception {
    HttpResponse<String> response = server.chat("\"return_token_ids\": true");
    JsonNode body = ok(response);
    assertEquals("chat.completion", body.path("object").asText());
    assertTrue(body.path("id").asText().startsWith("chatcmpl-"));
    assertEquals(TestServer.MODEL, body.path("model").asText());
    assertEquals("fp_test", body.path("system_fingerprint").asText());
    JsonNode choice = body.path("choices").get(0);
    assertEquals("Hé 😀, ok!", choice.path("message").path("content").asText());
    assertEquals("I ponder.", choice.path("message").path("reasoning").asText());
    assertEquals("I ponder.", choice.path("message").path("reasoning_content").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
    assertTrue(choice.path("stop_reason").isNull() && choice.has("stop_reason"));
    int completion = TinyText.ids(TestServer.ANSWER).length;
    JsonNode usage = body.path("usage");
    assertEquals(completion, usage.path("completion_tokens").intValue());
    assertEquals(body.path("prompt_token_ids").size(), usage.path("prompt_tokens").intValue());
    assertEquals(
        usage.path("prompt_tokens").intValue() + completion, usage.path("total_tokens").intValue());
    assertEquals(
        "I ponder.".length(),
        usage.path("completion_tokens_details").path("reasoning_tokens").intValue());
    assertTrue(usage.path("prompt_tokens_details").path("cached_tokens").isInt());
    assertEquals("application/json", response.headers().firstValue("content-type").orElseThrow());
    assertEquals("no-cache", response.headers().firstValue("cache-control").orElseThrow());
    assertEquals("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", prompt(body));
    server.awaitIdle();
  }

  @Test
  void stream_framing() throws Exception {
    HttpResponse<String> response =
        server.chat("\"stream\": true, \"stream_options\": {\"include_usage\": true}");
    assertEquals(200, response.statusCode());
    assertEquals(
        "text/event-stream; charset=utf-8",
        response.headers().firstValue("content-type").orElseThrow());
    assertEquals("no", response.headers().firstValue("x-accel-buffering").orElseThrow());
    assertEquals("no-cache", response.headers().firstValue("cache-control").orElseThrow());
    Events events = Events.parse(response.body());
    events.assertWellFormed(1);
    assertEquals("Hé 😀, ok!", events.text(0, "content"));
    assertEquals("I ponder.", events.text(0, "reasoning"));
    assertEquals("I ponder.", events.text(0, "reasoning_content"));
    assertFalse(response.body().contains("�"), "no half characters");
    assertTrue(response.body().contains("😀"), "UTF-8, not escapes");
    JsonNode last = events.chunks().getLast();
    assertTrue(last.path("choices").isArray() && last.path("choices").isEmpty());
    assertEquals(25, last.path("usage").path("completion_tokens").intValue());
    for (JsonNode chunk : events.chunks().subList(0, events.chunks().size() - 1)) {
      assertTrue(chunk.has("usage") && chunk.path("usage").isNull());
    }
  }

  @Test
  void stream_withoutUsageSaysNothingOfIt() throws Exception {
    Events events = Events.parse(server.chat("\"stream\": true").body());
    events.assertWellFormed(1);
    events.chunks().forEach(chunk -> assertFalse(chunk.has("usage")));
  }

  @Test
  void n_choicesHaveTheirOwnIndexAndEnd() throws Exception {
    server.backend.script =
        i -> TinyText.ids(i == 1 ? "one goes on and on" : "choice " + i + "<|im_end|>");
    JsonNode body = ok(server.chat("\"n\": 3, \"max_tokens\": 12"));
    assertEquals("choice 0", body.at("/choices/0/message/content").asText());
    assertEquals("one goes on ", body.at("/choices/1/message/content").asText());
    assertEquals("length", body.at("/choices/1/finish_reason").asText());
    assertEquals("choice 2", body.at("/choices/2/message/content").asText());
    Events events =
        Events.parse(server.chat("\"n\": 3, \"max_tokens\": 12, \"stream\": true").body());
    events.assertWellFormed(3);
    assertEquals("one goes on ", events.text(1, "content"));
    assertEquals("choice 2", events.text(2, "content"));
  }

  @Test
  void stopString_isNeverSentAndEndsTheSequence() throws Exception {
    server.says("abcSTxSTOPdefghijklmnopqrstuvwxyz");
    String fields = "\"stop\": [\"STOP\"], \"max_tokens\": 3000";
    JsonNode choice = ok(server.chat(fields)).path("choices").get(0);
    assertEquals("abcSTx", choice.path("message").path("content").asText());
    assertEquals("stop", choice.path("finish_reason").asText());
    assertEquals("STOP", choice.path("stop_reason").asText());
    server.awaitIdle();
    assertEquals(1, server.engine.stats().finished(FinishReason.STOP));
    assertEquals(0, server.engine.stats().finished(FinishReason.ABORT));

    Events events = Events.parse(server.chat(fields + ", \"stream\": true").body());
    events.assertWellFormed(1);
    assertEquals("abcSTx", events.text(0, "content"));
    assertEquals("STOP", events.of(0).getLast().path("stop_reason").asText());

    String included = "\"include_stop_str_in_output\": true, \"stop\": \"STOP\"";
    assertEquals("abcSTxSTOP", ok(server.chat(included)).at("/choices/0/message/content").asText());
  }

  @Test
  void stopTokenId_isTheReason() throws Exception {
    server.says("abcd");
    JsonNode choice = ok(server.chat("\"stop_token_ids\": [99]")).path("choices").get(0);
    assertEquals("ab", choice.path("message").path("content").asText());
    assertEquals('c', choice.path("stop_reason").intValue());
    String shown = "\"stop_token_ids\": [99], \"include_stop_str_in_output\": true";
    assertEquals("abc", ok(server.chat(shown)).at("/choices/0/message/content").asText());
  }

  @Test
  void thoughtAlone_hasNullContent() throws Exception {
    server.says("<think>never done");
    JsonNode message = ok(server.chat("\"max_tokens\": 6")).at("/choices/0/message");
    assertTrue(message.has("content") && message.path("content").isNull());
    assertEquals("never", message.path("reasoning").asText());
  }

  @Test
  void templateThatOpensTheThought_startsThinking() throws Exception {
    server.says("hm</think>yes<|im_end|>");
    JsonNode body =
        ok(
            server.chat(
                "\"chat_template_kwargs\": {\"start_thinking\": true}, \"return_token_ids\": true"));
    JsonNode message = body.at("/choices/0/message");
    assertEquals("hm", message.path("reasoning").asText());
    assertEquals("yes", message.path("content").asText());
    assertTrue(prompt(body).endsWith("<think>\n"));
  }

  @Test
  void effortNone_turnsThinkingOff() throws Exception {
    server.says("yes<|im_end|>");
    JsonNode body = ok(server.chat("\"reasoning_effort\": \"none\", \"return_token_ids\": true"));
    JsonNode message = body.at("/choices/0/message");
    assertTrue(message.path("reasoning").isMissingNode());
    assertEquals("yes", message.path("content").asText());
    assertTrue(prompt(body).endsWith("</think>\n\n"));
  }

  @Test
  void logprobs_withTopAndNoInfinity() throws Exception {
    server.says("é!<|im_end|>");
    JsonNode content =
        ok(server.chat("\"logprobs\": true, \"top_logprobs\": 2"))
            .at("/choices/0/logprobs/content");
    assertEquals(4, content.size());
    assertEquals(List.of(195), Json.MAPPER.convertValue(content.at("/0/bytes"), List.class));
    assertEquals("!", content.at("/2/token").asText());
    assertEquals(-0.5, content.at("/2/logprob").doubleValue());
    assertEquals(2, content.at("/2/top_logprobs").size());
    assertEquals(-9999.0, content.at("/2/top_logprobs/1/logprob").doubleValue());

    String streamed =
        server.chat("\"logprobs\": true, \"top_logprobs\": 2, \"stream\": true").body();
    int entries = 0;
    for (JsonNode choice : Events.parse(streamed).of(0)) {
      entries += choice.at("/logprobs/content").size();
    }
    assertEquals(4, entries, "no token is lost, also those without text");
  }

  @Test
  void promptLogprobsAndTokenIds() throws Exception {
    JsonNode body = ok(server.chat("\"prompt_logprobs\": 1, \"return_token_ids\": true"));
    JsonNode scores = body.path("prompt_logprobs");
    int[] prompt = Json.MAPPER.convertValue(body.path("prompt_token_ids"), int[].class);
    assertEquals(prompt.length, scores.size());
    assertTrue(scores.get(0).isNull());
    JsonNode second = scores.get(1).path(Integer.toString(prompt[1]));
    assertEquals(1, second.path("rank").intValue());
    assertEquals("u", second.path("decoded_token").asText());
    assertEquals(body.at("/usage/prompt_tokens").intValue(), prompt.length);
    assertEquals(25, body.at("/choices/0/token_ids").size());

    Events events =
        Events.parse(server.chat("\"return_token_ids\": true, \"stream\": true").body());
    assertTrue(events.chunks().getFirst().path("prompt_token_ids").isArray());
    int ids = 0;
    for (JsonNode choice : events.of(0)) {
      ids += choice.path("token_ids").size();
    }
    assertEquals(25, ids);
  }

  @Test
  void messages_partsRolesToolsAndReasoning() throws Exception {
    String body =
        """
        {"model": "alias", "messages": [
          {"role": "developer", "content": [{"type": "text", "text": "a"},
                                            {"type": "text", "text": "b"}]},
          {"role": "assistant", "content": null, "reasoning": "why", "tool_calls": [
            {"id": "1", "type": "function",
             "function": {"name": "f", "arguments": "{\\"x\\": 1}"}}]},
          {"role": "tool", "tool_call_id": "1", "content": "42"},
          {"role": "user", "content": "q"}],
         "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
         "tool_choice": "auto", "return_token_ids": true, "response_format": {"type": "text"}}""";
    JsonNode answer = ok(server.post("/v1/chat/completions", body));
    assertEquals("alias", answer.path("model").asText());
    String prompt = prompt(answer);
    assertTrue(
        prompt.startsWith("<|im_start|>tools 1<|im_end|>\n<|im_start|>system\na\nb"), prompt);
    assertTrue(prompt.contains("<|im_start|>assistant\n(why)"), prompt);
    assertTrue(prompt.contains("<|im_start|>tool\n42<|im_end|>"), prompt);
  }

  @Test
  void continueFinalMessage_cutsBehindIt() throws Exception {
    String body =
        """
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Sure, "}],
         "add_generation_prompt": false, "continue_final_message": true,
         "return_token_ids": true}""";
    JsonNode answer = ok(server.post("/v1/chat/completions", body));
    assertTrue(prompt(answer).endsWith("<|im_start|>assistant\nSure, "), prompt(answer));
  }

  @Test
  void keepAlive_whileTheRequestPrefills() throws Exception {
    server.close();
    server =
        new TestServer(
            TestServer.USUAL
                .withRoom(1, 16, 256)
                .withLimits(l -> ConnectionTest.times(l, l.writeTimeout(), Duration.ofMillis(50))));
    server.backend.stepMillis = 10;
    String body =
        "{\"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \""
            + "x".repeat(800)
            + "\"}]}";
    Events events = Events.parse(server.post("/v1/chat/completions", body).body());
    events.assertWellFormed(1);
    assertTrue(events.comments() >= 3, "comments: " + events.comments());
  }

  @Test
  void failure_midStreamIsAnEventAndTheEnd() throws Exception {
    server.backend.failure = "the backend is gone";
    Events events = Events.parse(server.chat("\"stream\": true").body());
    assertFalse(events.done());
    JsonNode error = events.chunks().getLast().path("error");
    assertTrue(error.path("message").asText().endsWith("the backend is gone"), error.toString());
    assertEquals("server_error", error.path("type").asText());
    assertEquals(500, server.chat("").statusCode());
    assertNotNull(error.get("param"));
    server.awaitIdle();
  }
}
