package io.tercel.server.http;

import static io.tercel.server.http.ConnectionTest.PATH;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.testing.TestServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Whole answers that are larger than what a socket takes at once, and clients that read slowly. */
class SlowAnswerTest {
  private static final Duration SHORT = Duration.ofMillis(700);

  /** All waits are short, a whole answer takes many times as long. */
  private static TestServer impatient() throws IOException {
    return new TestServer(
        TestServer.USUAL
            .saying("x")
            .withLength(1 << 16)
            .withLimits(
                l ->
                    l.toBuilder()
                        .idleTimeout(SHORT)
                        .writeTimeout(SHORT)
                        .bodyTimeout(SHORT)
                        .build()));
  }

  private static String large(int tokens) {
    String body =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"max_tokens\": "
            + tokens
            + ", \"n\": 4, \"ignore_eos\": true, \"logprobs\": true, \"top_logprobs\": 20}";
    return "POST "
        + PATH
        + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + "Content-Length: "
        + body.length()
        + "\r\n\r\n"
        + body;
  }

  /** A socket whose kernel holds little. */
  private static Socket narrow(TestServer server) throws IOException {
    Socket socket = new Socket();
    socket.setReceiveBufferSize(32 << 10);
    socket.connect(new InetSocketAddress("127.0.0.1", server.http.port()));
    socket.setSoTimeout(30_000);
    return socket;
  }

  @Test
  void slowReader_getsAllOfALargeAnswer_andTheConnectionGoesOn() throws Exception {
    try (TestServer server = impatient();
        Socket socket = narrow(server)) {
      OutputStream out = socket.getOutputStream();
      out.write(large(4000).getBytes(StandardCharsets.US_ASCII));
      InputStream in = socket.getInputStream();
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      byte[] part = new byte[1 << 20];
      long begun = System.nanoTime();
      String tail = "";
      while (!tail.endsWith("\r\n0\r\n\r\n")) {
        int count = in.read(part);
        assertTrue(count > 0, "cut after " + all.size() + " bytes");
        all.write(part, 0, count);
        int from = Math.max(0, count - 7);
        tail += new String(part, from, count - from, StandardCharsets.ISO_8859_1);
        tail = tail.substring(Math.max(0, tail.length() - 7));
        if (System.nanoTime() - begun < 4 * SHORT.toNanos()) {
          Thread.sleep(10); // the client's pace: the limits under test are of real time
        }
      }
      long took = System.nanoTime() - begun;
      // at once: it is closed when nothing comes for as long, and reading the answer takes its time
      out.write(
          "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertEquals('H', in.read(), "the connection goes on");
      assertTrue(took > 4 * SHORT.toNanos(), "it was not slow");
      JsonNode answer = new ObjectMapper().readTree(unchunked(all.toByteArray()));
      assertEquals(4, answer.path("choices").size());
      for (JsonNode choice : answer.path("choices")) {
        assertEquals(4000, choice.at("/logprobs/content").size());
      }
    }
  }

  @Test
  void whoReadsNothing_isGivenUp_andHeldInLittleMemory() throws Exception {
    try (TestServer server = impatient();
        Socket socket = narrow(server)) {
      socket.getOutputStream().write(large(4000).getBytes(StandardCharsets.US_ASCII));
      TestServer.await("it runs", () -> server.http.runningRequests() == 1);
      TestServer.await(
          "it is generated", () -> server.engine.stats().finished(FinishReason.LENGTH) == 4);
      TestServer.await("it is given up", () -> server.http.runningRequests() == 0);
      TestServer.await("and closed", () -> server.http.openConnections() == 0);
    }
  }

  /** An answer that has been written but not taken is not over: draining waits for its end. */
  @Test
  void drain_waitsUntilNothingIsOnItsWay() throws Exception {
    try (TestServer server = impatient();
        Socket socket = narrow(server)) {
      socket.getOutputStream().write(large(4000).getBytes(StandardCharsets.US_ASCII));
      TestServer.await(
          "it is generated", () -> server.engine.stats().finished(FinishReason.LENGTH) == 4);
      assertEquals(1, server.http.runningRequests());
      server.http.drain();
      assertEquals(0, server.http.runningRequests(), "given up by now, and not before");
    }
  }

  private static byte[] unchunked(byte[] answer) {
    String text = new String(answer, StandardCharsets.ISO_8859_1);
    assertTrue(text.startsWith("HTTP/1.1 200 "), text.substring(0, 100));
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    int at = text.indexOf("\r\n\r\n") + 4;
    while (true) {
      int line = text.indexOf("\r\n", at);
      int size = Integer.parseInt(text.substring(at, line), 16);
      if (size == 0) {
        return body.toByteArray();
      }
      body.write(answer, line + 2, size);
      at = line + 2 + size + 2;
    }
  }
}
