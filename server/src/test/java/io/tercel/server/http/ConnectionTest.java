package io.tercel.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RawClient.Answer;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** HTTP as such, byte by byte. */
public class ConnectionTest {
  static final String CHAT =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"seed\": 1}";
  static final String STREAM =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"stream\": true,"
          + " \"max_tokens\": 4000}";
  static final String PATH = "/v1/chat/completions";

  /** Other times. */
  public static HttpLimits times(HttpLimits l, Duration write, Duration keepAlive) {
    return l.toBuilder().writeTimeout(write).keepAlive(keepAlive).build();
  }

  /** A body limit of 100,000 bytes, a header limit of 4,096. */
  private static UnaryOperator<HttpLimits> small(int connections, Duration idle) {
    return l ->
        l.toBuilder()
            .maxBodyBytes(100_000)
            .maxHeaderBytes(4096)
            .maxConnections(connections)
            .maxBufferedBytes(400_000)
            .idleTimeout(idle)
            .bodyTimeout(idle)
            .build();
  }

  /** Goes on until its length ends it. */
  static TestServer endless() throws IOException {
    return new TestServer(
        TestServer.USUAL.saying("x").withLimits(small(64, Duration.ofSeconds(30))));
  }

  @Test
  void keepAlive_twoRequestsOnOneConnection() throws Exception {
    try (TestServer server = TestServer.start();
        RawClient client = new RawClient(server.http.port())) {
      for (int i = 0; i < 2; i++) {
        Answer answer = client.send(RawClient.post(PATH, CHAT)).read();
        assertEquals(200, answer.status());
        assertFalse(answer.headers().containsKey("connection"));
        assertEquals(200, client.send(RawClient.post(PATH, STREAM)).read().status());
      }
      assertEquals(1, server.http.openConnections());
      assertEquals(404, client.send(RawClient.post("/nope", CHAT)).read().status());
      assertEquals(401 - 1, client.send(RawClient.post(PATH, "{")).read().status());
      assertEquals(200, client.send(RawClient.get("/health")).read().status());
    }
  }

  @Test
  void pipelined_answersComeInOrder() throws Exception {
    try (TestServer server = TestServer.start();
        RawClient client = new RawClient(server.http.port())) {
      client.send(
          RawClient.post(PATH, CHAT)
              + RawClient.get("/version")
              + RawClient.post(PATH, STREAM)
              + RawClient.get("/nope")
              + RawClient.get("/v1/models"));
      assertTrue(client.read().body().contains("chat.completion"));
      assertEquals("{\"version\":\"0.1-test\"}", client.read().body());
      assertTrue(client.read().body().endsWith("data: [DONE]\n\n"));
      assertEquals(404, client.read().status());
      assertTrue(client.read().body().contains("\"object\":\"list\""));
    }
  }

  @Test
  void pipelined_moreThanTheQueueHolds() throws Exception {
    try (TestServer server = TestServer.start()) {
      server.backend.stepMillis = 20;
      try (RawClient client = new RawClient(server.http.port())) {
        client.send(RawClient.post(PATH, CHAT));
        String padded = CHAT.substring(0, CHAT.length() - 1) + ", \"x\": \"" + "y".repeat(90_000);
        Thread sender =
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        for (int i = 0; i < 40; i++) {
                          client.send(RawClient.post(PATH, padded + "\"}"));
                        }
                      } catch (IOException e) {
                        throw new IllegalStateException(e);
                      }
                    });
        TestServer.await("it reads no more", () -> server.http.unreadConnections() == 1);
        server.backend.stepMillis = 0;
        for (int i = 0; i < 41; i++) {
          assertEquals(200, client.read().status(), "answer " + i);
        }
        sender.join();
      }
      server.awaitIdle();
    }
  }

  @Test
  void close_isHonoured() throws Exception {
    try (TestServer server = TestServer.start()) {
      try (RawClient client = new RawClient(server.http.port())) {
        Answer answer =
            client
                .send("GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .read();
        assertEquals("close", answer.headers().get("connection"));
        assertTrue(client.closed());
      }
      try (RawClient client = new RawClient(server.http.port())) { // HTTP/1.0 closes by default
        assertEquals(200, client.send("GET /version HTTP/1.0\r\n\r\n").read().status());
        assertTrue(client.closed());
      }
      try (RawClient client = new RawClient(server.http.port())) {
        Answer answer = client.send(RawClient.post(PATH, STREAM).replace("1.1", "1.0")).read();
        assertFalse(answer.headers().containsKey("transfer-encoding"));
        assertTrue(answer.body().endsWith("data: [DONE]\n\n"));
      }
    }
  }

  @Test
  void head_isGetWithoutBody() throws Exception {
    try (TestServer server = TestServer.start();
        RawClient client = new RawClient(server.http.port())) {
      Answer head = client.send("HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n").read(false);
      Answer get = client.send(RawClient.get("/v1/models")).read();
      assertEquals(200, head.status());
      assertEquals(get.headers().get("content-length"), head.headers().get("content-length"));
      assertEquals(
          404, client.send("HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n").read(false).status());
      assertEquals(
          200,
          client.send("HEAD /health?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n").read(false).status());
    }
  }

  @Test
  void expectContinue_beforeTheBody() throws Exception {
    try (TestServer server = endless()) {
      try (RawClient client = new RawClient(server.http.port())) {
        String head =
            RawClient.post(PATH, CHAT)
                .replace("Host: localhost", "Host: localhost\r\nExpect: 100-continue");
        int split = head.indexOf("\r\n\r\n") + 4;
        assertEquals(100, client.send(head.substring(0, split)).read().status());
        assertEquals(200, client.send(head.substring(split)).read().status());
      }
      try (RawClient client = new RawClient(server.http.port())) {
        client.send(
            "POST "
                + PATH
                + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
        assertEquals(413, client.read().status());
        assertTrue(client.closed());
      }
    }
  }

  @Test
  void body_chunkedAndLimited() throws Exception {
    try (TestServer server = endless()) {
      String head =
          "POST "
              + PATH
              + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              + "Transfer-Encoding: chunked\r\n\r\n";
      try (RawClient client = new RawClient(server.http.port())) {
        client.send(head);
        for (char c : CHAT.toCharArray()) {
          client.send("1\r\n" + c + "\r\n");
        }
        assertEquals(200, client.send("0\r\n\r\n").read().status());
      }
      try (RawClient client = new RawClient(server.http.port())) {
        client.send(head + "186a1\r\n" + "x".repeat(100_001) + "\r\n");
        Answer answer = client.read();
        assertEquals(413, answer.status());
        assertEquals("close", answer.headers().get("connection"));
        assertTrue(answer.body().contains("100000 bytes"));
        assertTrue(client.closed());
      }
      try (RawClient client = new RawClient(server.http.port())) {
        assertEquals(400, client.send(head + "zz\r\n").read().status());
      }
      server.awaitIdle();
    }
  }

  @Test
  void head_limitsAndNonsense() throws Exception {
    try (TestServer server = endless()) {
      for (String[] attempt :
          new String[][] {
            {"GET /" + "a".repeat(9000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "414"},
            {"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + "a".repeat(5000) + "\r\n\r\n", "431"},
            {"GET /version HTTP/1.1\r\n\r\n", "400"},
            {"nonsense\r\n\r\n", "400"},
            {"GET /version HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n\r\n", "417"},
          }) {
        try (RawClient client = new RawClient(server.http.port())) {
          Answer answer = client.send(attempt[0]).read();
          assertEquals(attempt[1], Integer.toString(answer.status()));
          assertTrue(answer.body().startsWith("{\"error\":{"));
        }
      }
    }
  }

  @Test
  void requestId_echoedOrMade() throws Exception {
    try (TestServer server = TestServer.start();
        RawClient client = new RawClient(server.http.port())) {
      String get = "GET /version HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %s\r\n\r\n";
      assertEquals("a-1", client.send(get.formatted("a-1")).read().headers().get("x-request-id"));
      String made =
          String.valueOf(client.send(get.formatted("a b<")).read().headers().get("x-request-id"));
      assertTrue(String.valueOf(made).matches("[0-9a-f-]{36}"), made);
    }
  }

  @Test
  void apiKey_guardsAllButHealth() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"));
        RawClient client = new RawClient(server.http.port())) {
      for (String path :
          List.of("/v1/models", "/v1/models/a", "/ready", "/metrics", "/version", "/unknown")) {
        Answer answer = client.send(RawClient.get(path)).read();
        assertEquals(401, answer.status(), path);
        assertEquals("Bearer", answer.headers().get("www-authenticate"));
        assertTrue(answer.body().contains("invalid_api_key"));
      }
      assertEquals(401, client.send(RawClient.post(PATH, CHAT)).read().status());
      assertEquals(200, client.send(RawClient.get("/health")).read().status());
      String with = "GET /version HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n";
      assertEquals(200, client.send(with.formatted("Bearer secret")).read().status());
      assertEquals(200, client.send(with.formatted("bearer secret")).read().status());
      assertEquals(401, client.send(with.formatted("Bearer secre")).read().status());
      assertEquals(401, client.send(with.formatted("Basic secret")).read().status());
    }
  }

  @Test
  void halfOpen_isClosedInTime() throws Exception {
    try (TestServer server =
            new TestServer(TestServer.USUAL.withLimits(small(64, Duration.ofMillis(200))));
        RawClient silent = new RawClient(server.http.port());
        RawClient half = new RawClient(server.http.port());
        RawClient bodiless = new RawClient(server.http.port())) {
      half.send("GET /vers");
      bodiless.send(RawClient.post(PATH, CHAT).replace(CHAT, "{"));
      assertTrue(silent.closed());
      assertTrue(half.closed());
      assertEquals(408, bodiless.read().status());
      assertTrue(bodiless.closed());
      server.awaitIdle();
      TestServer.await("all closed", () -> server.http.openConnections() == 0);
    }
  }

  @Test
  void connections_areLimited() throws Exception {
    try (TestServer server =
            new TestServer(TestServer.USUAL.withLimits(small(2, Duration.ofSeconds(30))));
        RawClient first = new RawClient(server.http.port())) {
      assertEquals(200, first.send(RawClient.get("/health")).read().status());
      try (RawClient second = new RawClient(server.http.port())) {
        assertEquals(200, second.send(RawClient.get("/health")).read().status());
        try (RawClient third = new RawClient(server.http.port())) {
          Answer answer = third.read();
          assertEquals(503, answer.status());
          assertTrue(answer.headers().containsKey("retry-after"));
          assertTrue(third.closed());
        }
      }
      TestServer.await("one is free", () -> server.http.openConnections() == 1);
      try (RawClient again = new RawClient(server.http.port())) {
        assertEquals(200, again.send(RawClient.get("/health")).read().status());
      }
    }
  }

  @Test
  void drain_letsRunningRequestsFinish() throws Exception {
    try (TestServer server = endless();
        RawClient client = new RawClient(server.http.port())) {
      server.backend.stepMillis = 5;
      client.send(RawClient.post(PATH, STREAM));
      TestServer.await("it runs", () -> server.engine.stats().running() == 1);
      AtomicBoolean drained = new AtomicBoolean();
      Thread drain = Thread.ofVirtual().start(() -> drained.set(drain(server)));
      TestServer.await("draining", () -> !server.http.ready());
      assertEquals(503, server.get("/ready").statusCode());
      server.backend.stepMillis = 0;
      assertTrue(client.read().body().endsWith("data: [DONE]\n\n"));
      drain.join();
      assertTrue(drained.get());
    }
  }

  private static boolean drain(TestServer server) {
    try {
      return server.http.drain();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void close_endsWhatStillRuns() throws Exception {
    try (TestServer server = endless();
        RawClient client = new RawClient(server.http.port())) {
      server.backend.stepMillis = 5;
      client.send(RawClient.post(PATH, CHAT));
      TestServer.await("it runs", () -> server.engine.stats().running() == 1);
      server.http.close();
      assertTrue(client.closed());
      TestServer.await("it is gone", () -> server.engine.stats().finished(FinishReason.ABORT) == 1);
    }
  }

  @Test
  void engineClosed_tellsTheClient() throws Exception {
    try (TestServer server = endless();
        RawClient whole = new RawClient(server.http.port());
        RawClient streamed = new RawClient(server.http.port())) {
      server.backend.stepMillis = 5;
      whole.send(RawClient.post(PATH, CHAT));
      streamed.send(RawClient.post(PATH, STREAM));
      TestServer.await("both run", () -> server.engine.stats().running() == 2);
      server.engine.close();
      assertEquals(503, whole.read().status());
      Events events = Events.parse(streamed.read().body());
      assertFalse(events.done());
      assertTrue(events.chunks().getLast().has("error"));
    }
  }

  @Test
  void port_inUse() throws Exception {
    try (TestServer server = TestServer.start()) {
      HttpServer second = server.another(null, HttpLimits.DEFAULT, server.http.port());
      IOException e = assertThrows(IOException.class, second::start);
      assertTrue(
          String.valueOf(e.getMessage()).startsWith("port " + server.http.port() + " is in use"),
          e.getMessage());
    }
  }
}
