package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The fingerprint names the weights that made the last token, not those at admission. */
@Timeout(60)
class FingerprintTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private TestServer server;

  @BeforeEach
  void start() throws Exception {
    server = TestServer.start();
  }

  @AfterEach
  void close() {
    server.engine.resume();
    server.close();
  }

  /** New weights while the request waits: it is admitted with the old ones and made by these. */
  private void changeOnceOneWaits() throws InterruptedException {
    TestServer.await("it waits", () -> server.engine.stats().waiting() == 1);
    server.backend.weightVersion = 7;
    server.engine.resume();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/v1/chat/completions | {\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
        "/v1/completions | {\"prompt\": \"hi\"}",
        "/v1/responses | {\"input\": \"hi\"}"
      })
  void whole_namesTheWeightsThatMadeIt(String path, String body) throws Exception {
    server.engine.pause().get();
    Thread change =
        Thread.ofVirtual()
            .start(
                () -> {
                  try {
                    changeOnceOneWaits();
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    JsonNode answer = JSON.readTree(server.post(path, body).body());
    change.join();
    assertEquals("fp_test-w7", answer.path("system_fingerprint").asText(), answer.toString());
  }

  @Test
  void streamed_namesTheWeightsKnownThen() throws Exception {
    server.says("x".repeat(400));
    server.stepMillis(2);
    Iterator<String> events =
        server.streaming(
            "/v1/chat/completions",
            """
            {"messages": [{"role": "user", "content": "hi"}], "stream": true, "max_tokens": 200}""");
    List<String> fingerprints = new ArrayList<>();
    while (events.hasNext()) {
      String event = events.next();
      if (!event.startsWith("data: {")) {
        continue;
      }
      fingerprints.add(
          JSON.readTree(event.substring("data: ".length())).path("system_fingerprint").asText());
      if (fingerprints.size() == 5) {
        server.backend.weightVersion = 2;
      }
    }
    assertEquals("fp_test", fingerprints.getFirst());
    assertEquals("fp_test-w2", fingerprints.getLast());
    int change = fingerprints.indexOf("fp_test-w2");
    assertTrue(change >= 5, "those before the change name the old weights");
    assertEquals(
        List.of("fp_test-w2"),
        fingerprints.subList(change, fingerprints.size()).stream().distinct().toList());
  }
}
