package io.tercel.server.trace;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Spans as a collector gets them. */
class CallTracesTest {
  private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
  private static final String PARENT = "b7ad6b7169203331";
  private static final String CHAT =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"confidential\"}], \"n\": 2}";

  private static CallTraces traces(FakeCollector collector) {
    return CallTraces.to(
        collector.endpoint(),
        "0.1-test",
        Map.of("otel.bsp.schedule.delay", "20", "otel.resource.attributes", "deployment=test"));
  }

  private static RawClient.Answer ask(int port, String headers, String path, String json)
      throws Exception {
    try (RawClient client = new RawClient(port)) {
      return client
          .send(RawClient.post(path, json).replaceFirst("\r\n\r\n", "\r\n" + headers + "\r\n"))
          .read();
    }
  }

  private static double number(Map<String, Object> attributes, String name) {
    return ((Number) Objects.requireNonNull(attributes.get(name), name)).doubleValue();
  }

  @Test
  void spansOfACall_belowItsClients() throws Exception {
    try (FakeCollector collector = new FakeCollector();
        TestServer model = TestServer.start();
        CallTraces traces = traces(collector);
        var http = model.another(config -> config.observer(traces))) {
      http.start();
      String header = "traceparent: 00-" + TRACE + "-" + PARENT + "-01\r\nx-request-id: mine\r\n";
      RawClient.Answer answer = ask(http.port(), header, "/v1/chat/completions", CHAT);
      assertEquals(200, answer.status());
      List<FakeCollector.Span> spans = collector.await(4);
      FakeCollector.Span root = FakeCollector.named(spans, "chat " + TestServer.MODEL);
      assertEquals(TRACE, root.traceId());
      assertEquals(PARENT, root.parentId());
      assertEquals(2, root.kind(), "of a server");
      Map<String, Object> attributes = root.attributes();
      assertEquals("chat", attributes.get("gen_ai.operation.name"));
      assertEquals("tercel", attributes.get("gen_ai.provider.name"));
      assertEquals(TestServer.MODEL, attributes.get("gen_ai.request.model"));
      assertEquals(2L, attributes.get("gen_ai.request.choice.count"));
      assertEquals(List.of("stop"), attributes.get("gen_ai.response.finish_reasons"));
      assertEquals(2L * TestServer.ANSWER_TOKENS, attributes.get("gen_ai.usage.output_tokens"));
      assertTrue(number(attributes, "gen_ai.usage.input_tokens") > 10);
      assertEquals("mine", attributes.get("tercel.request.id"));
      assertEquals(200L, attributes.get("http.response.status_code"));
      assertEquals("/v1/chat/completions", attributes.get("http.route"));
      assertTrue(number(attributes, "gen_ai.latency.time_to_first_token") > 0);
      assertTrue(answer.body().contains(String.valueOf(attributes.get("gen_ai.response.id"))));
      assertNull(attributes.get("error.type"));
      long before = root.start();
      for (String name : List.of("queue", "prefill", "decode")) {
        FakeCollector.Span part = FakeCollector.named(spans, name);
        assertEquals(TRACE, part.traceId());
        assertEquals(root.spanId(), part.parentId());
        assertTrue(before <= part.start() && part.start() <= part.end(), spans.toString());
        assertTrue(part.end() <= root.end(), spans.toString());
        before = part.start();
      }
      assertEquals("tercel", collector.resource().get("service.name"));
      assertEquals("test", collector.resource().get("deployment"));
      assertFalse(collector.text().contains("confidential"));
      assertFalse(collector.text().contains("ponder"));
    }
  }

  /** What has no parent begins a trace; what was not to be sampled isn't. */
  @Test
  void noParent_andOneThatIsNotSampled() throws Exception {
    try (FakeCollector collector = new FakeCollector();
        TestServer model = TestServer.start();
        CallTraces traces = traces(collector);
        var http = model.another(config -> config.observer(traces))) {
      http.start();
      String unsampled = "traceparent: 00-" + TRACE + "-" + PARENT + "-00\r\n";
      assertEquals(200, ask(http.port(), unsampled, "/v1/chat/completions", CHAT).status());
      assertEquals(200, ask(http.port(), "", "/tokenize", "{\"prompt\": \"a\"}").status());
      String bad = "traceparent: 00-" + TRACE.replace('0', 'g') + "-" + PARENT + "-01\r\n";
      String refused = "{\"prompt\": 5}";
      assertEquals(400, ask(http.port(), bad, "/v1/completions", refused).status());
      List<FakeCollector.Span> spans = collector.await(1);
      assertEquals(1, spans.size(), spans.toString());
      FakeCollector.Span root = spans.getFirst();
      assertEquals("text_completion", root.name());
      assertEquals("", root.parentId());
      assertEquals("invalid_value", root.attributes().get("error.type"));
      assertEquals(400L, root.attributes().get("http.response.status_code"));
      assertEquals(0, root.status(), "a client's fault is no error of the server's");
    }
  }

  @Test
  void collectorThatIsNotThere_holdsUpNobody() throws Exception {
    try (TestServer model = TestServer.start();
        CallTraces traces =
            CallTraces.to(
                "http://127.0.0.1:1",
                "0",
                Map.of(
                    "otel.bsp.schedule.delay", "1",
                    "otel.java.exporter.otlp.retry.disabled", "true"));
        var http = model.another(config -> config.observer(traces))) {
      http.start();
      for (int i = 0; i < 20; i++) {
        assertEquals(200, ask(http.port(), "", "/v1/chat/completions", CHAT).status());
      }
    }
  }

  @Test
  void endpointThatIsNone_isRefused() {
    assertThrows(RuntimeException.class, () -> CallTraces.to("collector:4318", "0", Map.of()));
  }
}
