package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RequestMutator;
import io.tercel.server.testing.TestServer;
import java.io.EOFException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Five thousand requests that no client should send, on every route that takes a body. */
class MalformedRequestsTest {
  private static final int REQUESTS = 500;
  private static final String GOOD =
      """
      {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 30, "temperature": 0.7,
       "seed": 1, "logprobs": true, "top_logprobs": 1}""";

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void fiveHundredRequests_noFaultNothingLeftSameAnswer(long seed) throws Exception {
    TestServer.Setup impatient =
        TestServer.USUAL.withLimits(
            l ->
                l.toBuilder()
                    .bodyTimeout(Duration.ofMillis(100)) // for the bodies that never come
                    .build());
    try (TestServer server = new TestServer(impatient)) {
      String before = answer(server);
      RequestMutator mutator = new RequestMutator(seed);
      int refused = 0;
      for (int i = 0; i < REQUESTS; i++) {
        int status = attempt(server, mutator.next(), "seed " + seed + ", request " + i);
        refused += status >= 400 ? 1 : 0;
      }
      assertTrue(refused >= REQUESTS / 2, "most were bad: " + refused);
      server.awaitIdle();
      TestServer.await("all connections closed", () -> server.http.openConnections() <= 1);
      assertEquals(before, answer(server), "seed " + seed);
    }
  }

  private static String answer(TestServer server) throws Exception {
    var response = server.post("/v1/chat/completions", GOOD);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body()).path("choices").toString();
  }

  /** The answer's status; 0 where there was none. */
  private static int attempt(TestServer server, byte[] request, String which) throws Exception {
    try (RawClient client = new RawClient(server.http.port())) {
      RawClient.Answer answer;
      try {
        client.socket.getOutputStream().write(request);
        answer = client.read();
      } catch (EOFException | SocketException e) {
        return 0; // such as a head that is no HTTP at all
      }
      String text =
          which
              + ": "
              + answer
              + " to "
              + new String(
                  Arrays.copyOf(request, Math.min(request.length, 3000)), StandardCharsets.UTF_8);
      assertTrue(answer.status() < 500 && answer.status() != 422, text);
      if (answer.status() >= 400) {
        JsonNode error = Json.MAPPER.readTree(answer.body()).path("error");
        assertTrue(error.path("message").isTextual(), text);
        assertTrue(error.path("type").isTextual(), text);
      }
      return answer.status();
    } catch (SocketTimeoutException e) {
      throw new AssertionError(which + " got no answer", e);
    }
  }
}
