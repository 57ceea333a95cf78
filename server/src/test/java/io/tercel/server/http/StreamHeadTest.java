package io.tercel.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A proxy may give a request to another server, if this one dies, as long as no byte of an answer
 * has come.
 */
class StreamHeadTest {
  private static final int STEP_MILLIS = 300;

  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions"})
  void nothing_comesBeforeTheFirstToken(String path) throws Exception {
    try (TestServer slow = new TestServer(TestServer.USUAL.saying("ab<|im_end|>"))) {
      slow.stepMillis(STEP_MILLIS);
      long begun = System.nanoTime();
      Iterator<String> lines = slow.streaming(path, body(path)); // is back with the head
      long waited = Duration.ofNanos(System.nanoTime() - begun).toMillis();
      assertTrue(waited >= STEP_MILLIS, "the head came after " + waited + " ms");
      assertTrue(lines.next().startsWith("data: {"));
      lines.forEachRemaining(_ -> {});
    }
  }

  /** But a client that waits long learns that it is heard. */
  @Test
  void silence_isBrokenWithTheHead() throws Exception {
    try (TestServer slow =
        new TestServer(
            TestServer.USUAL
                .saying("ab<|im_end|>")
                .withLimits(l -> l.toBuilder().keepAlive(Duration.ofMillis(20)).build()))) {
      slow.stepMillis(STEP_MILLIS);
      Iterator<String> lines = slow.streaming("/v1/chat/completions", body("/v1/chat/completions"));
      assertEquals(": keep-alive", lines.next());
      lines.forEachRemaining(_ -> {});
    }
  }

  /** What fails before its first event is a status of HTTP, so that a proxy asks another server. */
  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions"})
  void failureBeforeTheFirstToken_isAStatus(String path) throws Exception {
    try (TestServer ending = new TestServer(TestServer.USUAL.saying("ab<|im_end|>"))) {
      ending.engine.pause().join();
      var asked = CompletableFuture.supplyAsync(() -> post(ending, path));
      TestServer.await("it waits", () -> ending.engine.stats().waiting() == 1);
      ending.engine.close();
      HttpResponse<String> answer = asked.join();
      assertEquals(503, answer.statusCode(), answer.body());
      assertTrue(answer.body().startsWith("{\"error\""), answer.body());
    }
  }

  private static HttpResponse<String> post(TestServer server, String path) {
    try {
      return server.post(path, body(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String body(String path) {
    String prompt =
        path.contains("chat")
            ? "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]"
            : "\"prompt\": \"hi\"";
    return "{\"stream\": true, " + prompt + "}";
  }
}
