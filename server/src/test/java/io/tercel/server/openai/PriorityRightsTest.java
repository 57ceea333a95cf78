package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.RawClient.Answer;
import io.tercel.server.testing.TestServer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who may go before other clients. */
class PriorityRightsTest {
  private static final String CHAT = "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";

  private static Answer ask(TestServer server, String path, String key, int priority)
      throws Exception {
    String prompt =
        switch (path) {
          case "/v1/chat/completions" -> CHAT;
          case "/v1/responses" -> "\"input\": \"hi\"";
          default -> "\"prompt\": \"hi\"";
        };
    String header = key.isEmpty() ? "" : "\r\nAuthorization: Bearer " + key;
    try (RawClient client = new RawClient(server.http.port())) {
      return client
          .send(
              RawClient.post(path, "{" + prompt + ", \"priority\": " + priority + "}")
                  .replaceFirst("\r\n\r\n", header + "\r\n\r\n"))
          .read();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions", "/v1/responses"})
  void belowZero_withTheAdminKeyOnly(String path) throws Exception {
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("secret"))) {
      assertEquals(200, ask(server, path, "secret", 0).status());
      assertEquals(200, ask(server, path, "secret", 5).status());
      for (int priority : new int[] {-1, Integer.MIN_VALUE}) {
        Answer refused = ask(server, path, "secret", priority);
        assertEquals(403, refused.status());
        JsonNode error = Json.MAPPER.readTree(refused.body()).path("error");
        assertEquals("priority", error.path("param").asText());
        assertTrue(error.path("message").asText().contains("--admin-key"), error.toString());
        assertEquals(200, ask(server, path, TestServer.ADMIN_KEY, priority).status());
      }
      server.awaitIdle();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/chat/completions", "/v1/completions", "/v1/responses"})
  void withoutKeys_nobodyMay(String path) throws Exception {
    try (TestServer server = TestServer.start()) {
      assertEquals(403, ask(server, path, "", -1).status());
      assertEquals(403, ask(server, path, "anything", -1).status());
      assertEquals(200, ask(server, path, "anything", 0).status());
    }
  }
}
