package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.answer.WeightRun;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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

  private static final Map<String, String> REQUESTS =
      Map.of(
          "/v1/chat/completions", "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]",
          "/v1/completions", "\"prompt\": \"hi\"");

  private static String versions(String path, boolean stream) {
    return "{%s, \"n\": 2, \"max_tokens\": 200, \"return_weight_versions\": true, \"stream\": %s}"
        .formatted(REQUESTS.get(path), stream);
  }

  /** New weights once each of both choices has some tokens and lacks many. */
  private void changeInTheMiddle() throws InterruptedException {
    TestServer.await(
        "they are on their way", () -> server.engine.stats().work().generationTokens() >= 40);
    server.backend.weightVersion = 2;
  }

  private static void assertChanged(JsonNode runs) {
    assertEquals(2, runs.size(), runs.toString());
    assertEquals(1, runs.get(0).path("version").asInt());
    assertEquals(2, runs.get(1).path("version").asInt());
    assertTrue(runs.get(0).path("tokens").asInt() >= 19, runs.toString());
    assertEquals(
        200, runs.get(0).path("tokens").asInt() + runs.get(1).path("tokens").asInt(), "tokens");
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions"})
  void whole_saysWhichWeightsMadeEachToken(String path) throws Exception {
    server.says("x".repeat(400));
    server.stepMillis(2);
    try (var tasks = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<String> answer = tasks.submit(() -> server.post(path, versions(path, false)).body());
      changeInTheMiddle();
      JsonNode choices = JSON.readTree(answer.get()).path("choices");
      assertEquals(2, choices.size());
      choices.forEach(choice -> assertChanged(choice.path("weight_versions")));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions"})
  void streamed_eachChunkTellsOfItsTokens(String path) throws Exception {
    server.says("x".repeat(400));
    server.stepMillis(2);
    try (var tasks = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<String> answer = tasks.submit(() -> server.post(path, versions(path, true)).body());
      changeInTheMiddle();
      Events events = Events.parse(answer.get());
      for (int i = 0; i < 2; i++) {
        List<WeightRun> all = List.of();
        for (JsonNode chunk : events.of(i)) {
          for (JsonNode run : chunk.path("weight_versions")) {
            all =
                WeightRun.joined(
                    all,
                    List.of(
                        new WeightRun(run.path("version").asLong(), run.path("tokens").asInt())));
          }
        }
        assertChanged(JSON.valueToTree(all));
      }
    }
  }

  @Test
  void notAsked_saysNothing() throws Exception {
    for (String path : REQUESTS.keySet()) {
      String answer = server.post(path, "{" + REQUESTS.get(path) + "}").body();
      assertFalse(answer.contains("weight_versions"), answer);
    }
    var wrong =
        server.post("/v1/completions", "{\"prompt\": \"a\", \"return_weight_versions\": 3}");
    assertEquals(400, wrong.statusCode());
    assertTrue(wrong.body().contains("\"param\":\"return_weight_versions\""), wrong.body());
  }

  /** An end token that nobody reads was made by weights too, as its id is among the ids. */
  @Test
  void countsAreThoseOfTheTokenIds() throws Exception {
    server.says("abc<|im_end|>");
    for (String path : REQUESTS.keySet()) {
      JsonNode choice =
          JSON.readTree(
                  server
                      .post(
                          path,
                          "{%s, \"return_weight_versions\": true, \"return_token_ids\": true}"
                              .formatted(REQUESTS.get(path)))
                      .body())
              .path("choices")
              .get(0);
      assertEquals(
          choice.path("token_ids").size(),
          choice.at("/weight_versions/0/tokens").asInt(),
          choice.toString());
      assertEquals(1, choice.path("weight_versions").size());
    }
  }

  /** The end of a choice comes in a chunk of its own, and its tokens are not told again. */
  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions"})
  void streamed_tokensOfTheLastTextAreToldOnce(String path) throws Exception {
    server.says("abQc");
    String asked =
        "{%s, \"stream\": true, \"stop\": [\"Q\"], \"include_stop_str_in_output\": true, \"return_weight_versions\": true, \"return_token_ids\": true}";
    Events events = Events.parse(server.post(path, asked.formatted(REQUESTS.get(path))).body());
    int ids = 0;
    int made = 0;
    for (JsonNode chunk : events.of(0)) {
      ids += chunk.path("token_ids").size();
      made += chunk.at("/weight_versions/0/tokens").asInt();
    }
    assertTrue(ids >= 3, "tokens: " + ids);
    assertEquals(ids, made);
  }
}
