package io.tercel.server.http;

import static io.tercel.server.http.ConnectionTest.CHAT;
import static io.tercel.server.http.ConnectionTest.PATH;
import static io.tercel.server.http.ConnectionTest.STREAM;
import static io.tercel.server.http.ConnectionTest.times;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.net.StandardSocketOptions;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clients that leave, or don't read: their sequences go, and nobody else's. */
class DisconnectTest {
  @ParameterizedTest
  @ValueSource(strings = {CHAT, STREAM})
  void disconnect_inTheQueue(String body) throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying("x").withRoom(1, 16, 8));
        RawClient first = new RawClient(server.http.port())) {
      server.backend.stepMillis = 5;
      first.send(RawClient.post(PATH, STREAM.replace("4000", "400")));
      TestServer.await("one runs", () -> server.engine.stats().running() == 1);
      RawClient second = new RawClient(server.http.port());
      second.send(RawClient.post(PATH, body));
      TestServer.await("one waits", () -> server.engine.stats().waiting() == 1);
      second.close();
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
      assertEquals(1, server.engine.stats().running(), "and nobody else is");
      server.backend.stepMillis = 0;
      assertTrue(first.read().body().endsWith("data: [DONE]\n\n"));
      server.awaitIdle();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {CHAT, STREAM})
  void disconnect_inPrefill(String body) throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying("x").withRoom(1, 1, 8))) {
      server.backend.stepMillis = 100; // a token of the prompt each
      RawClient client = new RawClient(server.http.port());
      client.send(RawClient.post(PATH, body));
      TestServer.await("it runs", () -> server.engine.stats().running() == 1);
      client.close();
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
      assertEquals(0, server.engine.stats().work().generationTokens());
      server.awaitIdle();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {CHAT, STREAM})
  void disconnect_inDecode(String body) throws Exception {
    try (TestServer server = ConnectionTest.endless()) {
      server.backend.stepMillis = 5;
      RawClient client = new RawClient(server.http.port());
      client.send(RawClient.post(PATH, body));
      TestServer.await("it decodes", () -> server.engine.stats().work().generationTokens() >= 20);
      client.socket.setOption(StandardSocketOptions.SO_LINGER, 0); // a reset, not a close
      client.close();
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
      server.awaitIdle();
      assertTrue(server.get("/metrics").body().contains("finished_reason=\"abort\",} 1.0"));
    }
  }

  @Test
  void disconnect_withAPipelinedRequestBehind() throws Exception {
    try (TestServer server = ConnectionTest.endless()) {
      server.backend.stepMillis = 5;
      RawClient client = new RawClient(server.http.port());
      client.send(RawClient.post(PATH, CHAT) + RawClient.post(PATH, CHAT));
      TestServer.await("it runs", () -> server.engine.stats().running() == 1);
      client.close();
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
      server.awaitIdle();
      assertEquals(1, server.engine.stats().finished(FinishReason.ABORT), "the second never began");
    }
  }

  @Test
  void slowReader_isCancelledAndHoldsUpNobody() throws Exception {
    try (TestServer server =
            new TestServer(
                TestServer.USUAL
                    .saying("x")
                    .withLength(1 << 20)
                    .withLimits(l -> times(l, Duration.ofMillis(500), l.keepAlive())));
        RawClient slow = new RawClient(server.http.port())) {
      slow.send(RawClient.post(PATH, STREAM.replace("4000", "1000000")));
      TestServer.await("it runs", () -> server.engine.stats().running() == 1);
      assertEquals(200, server.chat("\"max_tokens\": 10").statusCode());
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
      assertTrue(server.engine.stats().work().generationTokens() < 500_000, "it was paused");
      server.awaitIdle();
    }
  }

  @Test
  void reader_thatPausesGetsEverything() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.saying("x").withLength(100_000));
        RawClient client = new RawClient(server.http.port())) {
      client.send(RawClient.post(PATH, STREAM.replace("4000", "60000")));
      assertTrue(server.awaitStandstill() < 60_000, "it waits for its reader");
      Events events = Events.parse(client.read().body());
      events.assertWellFormed(1);
      assertEquals("x".repeat(60_000), events.text(0, "content"));
      server.awaitIdle();
    }
  }
}
