package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.model.ReasoningDefaults;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.ScriptedBackend;
import io.tercel.server.testing.TestServer;
import io.tercel.server.testing.TinyText;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a client sees of the prefix cache, of bounds on thoughts and of priorities. */
class LongReasoningTest {
  private static final String LONG_THOUGHT = "<think>0123456789ABCDE<|im_end|>";

  private static JsonNode ok(HttpResponse<String> response) throws Exception {
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body());
  }

  private static void assertRefused(HttpResponse<String> response, String param, String code)
      throws Exception {
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Json.MAPPER.readTree(response.body()).path("error");
    assertEquals(param, error.path("param").asText(), response.body());
    assertEquals(code, error.path("code").asText());
  }

  @Test
  void cachedTokens_areInTheUsage() throws Exception {
    try (TestServer server = TestServer.start()) {
      JsonNode first = ok(server.chat(""));
      int prompt = first.at("/usage/prompt_tokens").intValue();
      assertEquals(0, first.at("/usage/prompt_tokens_details/cached_tokens").intValue());
      int whole = (prompt - 1) / ScriptedBackend.BLOCK_SIZE * ScriptedBackend.BLOCK_SIZE;
      assertTrue(whole > 0);
      JsonNode second = ok(server.chat("\"n\": 3"));
      assertEquals(prompt, second.at("/usage/prompt_tokens").intValue());
      assertEquals(whole, second.at("/usage/prompt_tokens_details/cached_tokens").intValue());
      String fields = "\"stream\": true, \"stream_options\": {\"include_usage\": true}";
      JsonNode usage = Events.parse(server.chat(fields).body()).chunks().getLast().path("usage");
      assertEquals(whole, usage.at("/prompt_tokens_details/cached_tokens").intValue());
      JsonNode scored = ok(server.chat("\"n\": 3, \"prompt_logprobs\": 0"));
      assertEquals(0, scored.at("/usage/prompt_tokens_details/cached_tokens").intValue());
      server.awaitIdle();
      String hits = "vllm:prefix_cache_hits_total{model_name=\"tercel/tiny\",} ";
      assertTrue(server.get("/metrics").body().contains(hits + 6.0 * whole)); // 3, 1 and 2
    }
  }

  @Test
  void thinkingTokenBudget_closesTheThought() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying(LONG_THOUGHT))) {
      JsonNode body = ok(server.chat("\"thinking_token_budget\": 5, \"return_token_ids\": true"));
      JsonNode message = body.at("/choices/0/message");
      assertEquals("01234", message.path("reasoning").asText());
      assertEquals("\n\n89ABCDE", message.path("content").asText());
      assertEquals("stop", body.at("/choices/0/finish_reason").asText());
      assertEquals(TinyText.END_THINK, body.at("/choices/0/token_ids/6").intValue());
      Events events =
          Events.parse(server.chat("\"thinking_token_budget\": 5, \"stream\": true").body());
      events.assertWellFormed(1);
      assertEquals("01234", events.text(0, "reasoning"));
      assertEquals("\n\n89ABCDE", events.text(0, "content"));
      // n choices have a budget each
      JsonNode both = ok(server.chat("\"thinking_token_budget\": 0, \"n\": 2"));
      for (JsonNode choice : both.path("choices")) {
        assertEquals("\n\n3456789ABCDE", choice.at("/message/content").asText());
      }
    }
  }

  @Test
  void thinkingTokenBudget_whereTheTemplateOpensTheThought() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying("hm hm hm<|im_end|>"))) {
      String kwargs = "\"chat_template_kwargs\": {\"start_thinking\": true}";
      JsonNode message =
          ok(server.chat("\"thinking_token_budget\": 2, " + kwargs)).at("/choices/0/message");
      assertEquals("hm", message.path("reasoning").asText());
      assertEquals("\n\n hm", message.path("content").asText());
    }
  }

  @Test
  void reasoningBudget_isTheDefaultAndTheRequestTheException() throws Exception {
    TestServer.Setup setup =
        TestServer.USUAL.saying(LONG_THOUGHT).withReasoning(new ReasoningDefaults(3, false));
    try (TestServer server = new TestServer(setup)) {
      assertEquals("012", ok(server.chat("")).at("/choices/0/message/reasoning").asText());
      String none = "\"thinking_token_budget\": -1";
      assertEquals(
          "0123456789ABCDE", ok(server.chat(none)).at("/choices/0/message/reasoning").asText());
      assertRefused(
          server.chat("\"thinking_token_budget\": -2"), "thinking_token_budget", "invalid_value");
      String text = "/choices/0/text"; // a bare prompt's text is one, markers included
      assertEquals(
          "<think>01</think>\n\n5",
          ok(server.complete("\"thinking_token_budget\": 2, \"max_tokens\": 7")).at(text).asText());
      assertEquals(
          "<think>012345", ok(server.complete("\"max_tokens\": 7")).at(text).asText(), "unasked");
    }
  }

  @Test
  void loopBreaker_closesTheThoughtThenEndsTheAnswer() throws Exception {
    TestServer.Setup setup =
        TestServer.USUAL.saying("<think>x").withReasoning(new ReasoningDefaults(-1, true));
    try (TestServer server = new TestServer(setup)) {
      JsonNode choice = ok(server.chat("\"max_tokens\": 3000")).at("/choices/0");
      assertEquals("x".repeat(129), choice.at("/message/reasoning").asText());
      assertEquals("\n\n" + "x".repeat(513), choice.at("/message/content").asText());
      assertEquals("stop", choice.path("finish_reason").asText());
      assertEquals("repetition", choice.path("stop_reason").asText());
      JsonNode off = ok(server.chat("\"max_tokens\": 1000, \"loop_breaker\": false"));
      assertEquals("length", off.at("/choices/0/finish_reason").asText());
      JsonNode raw = ok(server.complete("\"max_tokens\": 1000"));
      assertEquals("length", raw.at("/choices/0/finish_reason").asText(), "not in raw text");
      server.awaitIdle();
    }
  }

  @Test
  void minTokens_holdsForStopStringsToo() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying("abSTOPcdSTOPef<|im_end|>"))) {
      String stop = "\"stop\": \"STOP\"";
      assertEquals("ab", ok(server.chat(stop)).at("/choices/0/message/content").asText());
      JsonNode later = ok(server.chat(stop + ", \"min_tokens\": 7"));
      assertEquals("abSTOPcd", later.at("/choices/0/message/content").asText());
      assertEquals("STOP", later.at("/choices/0/stop_reason").asText());
      Events events =
          Events.parse(server.chat(stop + ", \"min_tokens\": 7, \"stream\": true").body());
      assertEquals("abSTOPcd", events.text(0, "content"));
    }
  }

  @Test
  void priority_comesFirst() throws Exception {
    TestServer.Setup setup = TestServer.USUAL.saying("x").withRoom(1, 64, 16);
    try (TestServer server = new TestServer(setup)) {
      server.backend.stepMillis = 2;
      List<Integer> order = Collections.synchronizedList(new ArrayList<>());
      List<Thread> clients = new ArrayList<>();
      int waiting = 0;
      for (int priority : new int[] {3, 7, 5, 1}) {
        clients.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        ok(server.chat("\"max_tokens\": 60, \"priority\": " + priority));
                        order.add(priority);
                      } catch (Exception e) {
                        throw new AssertionError(e);
                      }
                    }));
        int expected = ++waiting;
        TestServer.await(
            "it is there",
            () -> server.engine.stats().running() + server.engine.stats().waiting() == expected);
      }
      for (Thread client : clients) {
        client.join();
      }
      assertEquals(List.of(1, 3, 5, 7), order);
      server.awaitIdle();
      assertEquals(1, server.engine.stats().work().preemptions());
      assertRefused(server.chat("\"priority\": \"high\""), "priority", "invalid_value");
    }
  }

  @Test
  void hopelesslyLongPrompt_isRefusedUntokenized() throws Exception {
    try (TestServer server = TestServer.start()) {
      String huge = "y".repeat(3 * 12 * TestServer.MAX_MODEL_LEN + 3000);
      HttpResponse<String> chat =
          server.post(
              "/v1/chat/completions",
              "{\"messages\": [{\"role\": \"user\", \"content\": \"" + huge + "\"}]}");
      assertRefused(chat, "messages", "context_length_exceeded");
      assertTrue(chat.body().contains("has at least"), chat.body());
      HttpResponse<String> raw = server.post("/v1/completions", "{\"prompt\": \"" + huge + "\"}");
      assertRefused(raw, "prompt", "context_length_exceeded");
      assertTrue(raw.body().contains("has at least"), raw.body());
    }
  }
}
