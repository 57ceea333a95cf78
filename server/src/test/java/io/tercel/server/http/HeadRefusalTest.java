package io.tercel.server.http;

import static io.tercel.server.http.ConnectionTest.CHAT;
import static io.tercel.server.http.ConnectionTest.PATH;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RawClient.Answer;
import io.tercel.server.testing.TestServer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the head alone refuses takes no memory for its body. */
class HeadRefusalTest {
  private static final String KEY = "\r\nAuthorization: Bearer secret";

  private static String head(String method, String path, String type, String more) {
    return "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s%s\r\n\r\n"
        .formatted(method, path, type, more);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "POST | /v1/chat/completions | application/json | false | 401",
        "POST | /nope | application/json | true | 404",
        "GET | /v1/chat/completions | application/json | true | 405",
        "POST | /v1/models | application/json | true | 405",
        "POST | /v1/chat/completions | text/plain | true | 415",
      })
  void manySockets_areAnsweredBeforeTheirBodies_andHoldNothing(
      String method, String path, String type, boolean key, int status) throws Exception {
    int length = 30 << 20; // sixty of them would be far above what all bodies may hold
    List<RawClient> clients = new ArrayList<>();
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"))) {
      try {
        for (int i = 0; i < 60; i++) {
          RawClient client = new RawClient(server.http.port());
          clients.add(client);
          String more = (key ? KEY : "") + "\r\nContent-Length: " + length;
          client.send(head(method, path, type, more) + "x".repeat(20_000));
        }
        for (RawClient client : clients) {
          Answer answer = client.read(); // the rest of its body never comes
          assertEquals(status, answer.status());
          assertEquals("close", answer.headers().get("connection"));
          assertTrue(client.closed());
        }
        assertEquals(0, server.http.bufferedBytes());
      } finally {
        for (RawClient client : clients) {
          client.close();
        }
      }
      server.awaitIdle();
    }
  }

  /** A body that is under way all the while is thrown away, part by part. */
  @Test
  void bodyThatComesAllTheSame_isThrownAway() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"));
        RawClient client = new RawClient(server.http.port())) {
      client.send(head("POST", PATH, "application/json", "\r\nContent-Length: " + (16 << 20)));
      long most = 0;
      try {
        for (int i = 0; i < 16; i++) {
          client.send("x".repeat(1 << 20));
          most = Math.max(most, server.http.bufferedBytes());
        }
      } catch (java.io.IOException e) {
        // closed meanwhile
      }
      assertEquals(0, most);
      server.awaitIdle();
    }
  }

  @Test
  void chunkedBody_closes_sinceNobodyKnowsItsLength() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"));
        RawClient client = new RawClient(server.http.port())) {
      client.send(head("POST", PATH, "application/json", "\r\nTransfer-Encoding: chunked"));
      Answer answer = client.read();
      assertEquals(401, answer.status());
      assertEquals("close", answer.headers().get("connection"));
      assertTrue(client.closed());
    }
  }

  /** Up to 64 KiB are read over, so that the SDKs' connections go on. */
  @Test
  void smallBody_keepsTheConnection() throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"));
        RawClient client = new RawClient(server.http.port())) {
      String padded =
          CHAT.substring(0, CHAT.length() - 1) + ", \"x\": \"" + "y".repeat(60_000) + "\"}";
      for (String body : List.of(CHAT, padded)) {
        Answer refused = client.send(RawClient.post(PATH, body)).read();
        assertEquals(401, refused.status());
        assertEquals(null, refused.headers().get("connection"));
      }
      client.send(RawClient.post("/nope", CHAT).replaceFirst("\r\n\r\n", KEY + "\r\n\r\n"));
      assertEquals(404, client.read().status());
      client.send(RawClient.post(PATH, CHAT).replaceFirst("\r\n\r\n", KEY + "\r\n\r\n"));
      assertEquals(200, client.read().status());
      assertEquals(1, server.http.openConnections());
    }
  }

  /** Refused and served ones behind each other, all sent at once. */
  @Test
  void pipelined_afterARefusal() throws Exception {
    try (TestServer server = TestServer.start();
        RawClient client = new RawClient(server.http.port())) {
      StringBuilder all = new StringBuilder();
      for (int i = 0; i < 300; i++) {
        all.append(RawClient.post("/nope", CHAT));
      }
      client.send(RawClient.post(PATH, CHAT) + all + RawClient.post(PATH, CHAT));
      assertEquals(200, client.read().status());
      for (int i = 0; i < 300; i++) {
        assertEquals(404, client.read().status());
      }
      assertEquals(200, client.read().status());
    }
  }
}
