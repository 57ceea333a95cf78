package io.tercel.server.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.EOFException;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Damaged requests, each from a seed: refused as the client's fault, and nothing stays behind. */
class MalformedRequestsTest {
  private static final String GOOD =
      """
      {"model": "alias", "messages": [{"role": "system", "content": "s"},
       {"role": "user", "content": [{"type": "text", "text": "hi"}]}], "max_tokens": 30,
       "temperature": 0.7, "top_p": 0.9, "seed": 1, "stop": ["zzz"], "n": 1, "logprobs": true,
       "top_logprobs": 1, "stream": false, "logit_bias": {"1": 2}, "stop_token_ids": [3]}""";

  private static final byte[] NO_MORE = {'\r', '\n', '\r', '\n'};

  /** Values that no field of {@link #GOOD} takes. */
  private static final List<String> WRONG =
      List.of("{\"a\": 1}", "[[[]]]", "\"\\u0000\"", "-1e99", "1.5e-9e", "nul", "1e999");

  private static final List<String> FIELDS =
      List.of(
          "\"messages\": ",
          "\"max_tokens\": ",
          "\"temperature\": ",
          "\"top_p\": ",
          "\"seed\": ",
          "\"stop_token_ids\": ",
          "\"logit_bias\": ",
          "\"n\": ",
          "\"top_logprobs\": ",
          "\"stream\": ",
          "\"role\": ");

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void hundredRequests_only4xx(long seed) throws Exception {
    try (TestServer server = TestServer.start()) {
      String before = answer(server);
      Random random = new Random(seed);
      int answered = 0;
      for (int i = 0; i < 100; i++) {
        answered += attempt(server, random, "seed " + seed + ", request " + i) ? 1 : 0;
      }
      assertTrue(answered >= 70, "the others ended within: " + answered);
      server.awaitIdle();
      TestServer.await("all connections closed", () -> server.http.openConnections() <= 1);
      assertEquals(before, answer(server), "seed " + seed);
      assertEquals(2, server.engine.stats().stopped(), "only the good ones ran");
    }
  }

  private static String answer(TestServer server) throws Exception {
    var response = server.post("/v1/chat/completions", GOOD);
    assertEquals(200, response.statusCode(), response.body());
    return Json.MAPPER.readTree(response.body()).path("choices").toString();
  }

  /** Whether there was an answer, which there isn't to half a request. */
  private static boolean attempt(TestServer server, Random random, String which) throws Exception {
    try (RawClient client = new RawClient(server.http.port())) {
      byte[] bytes = request(random);
      RawClient.Answer answer;
      try {
        client.socket.getOutputStream().write(bytes);
        if (new String(bytes, StandardCharsets.ISO_8859_1).contains("Length: 9")) {
          return false; // its body never comes; the client leaves
        }
        answer = client.read();
      } catch (EOFException | SocketException e) {
        return false;
      }
      String text = which + ": " + answer + " to " + new String(bytes, StandardCharsets.UTF_8);
      assertTrue(answer.status() >= 400 && answer.status() < 500 && answer.status() != 422, text);
      JsonNode error = Json.MAPPER.readTree(answer.body()).path("error");
      assertTrue(error.path("message").isTextual(), text);
      return true;
    }
  }

  private static byte[] request(Random random) {
    return switch (random.nextInt(6)) {
      case 0 -> RawClient.post(path(random), cut(random)).getBytes(StandardCharsets.UTF_8);
      case 1 -> RawClient.post(path(random), wrong(random)).getBytes(StandardCharsets.UTF_8);
      case 2 -> binary(random);
      case 3 -> head(random);
      case 4 -> { // a wrong length: the body ends early
        String post = RawClient.post(path(random), GOOD).replace("Length: ", "Length: 9");
        yield post.getBytes(StandardCharsets.UTF_8);
      }
      default -> {
        byte[] noise = new byte[5 + random.nextInt(300)];
        random.nextBytes(noise);
        System.arraycopy(NO_MORE, 0, noise, noise.length - 4, 4);
        yield noise;
      }
    };
  }

  private static String path(Random random) {
    return random.nextBoolean() ? "/v1/chat/completions" : "/v1/completions";
  }

  private static String cut(Random random) {
    return GOOD.substring(0, random.nextInt(GOOD.length() - 1));
  }

  private static String wrong(Random random) {
    String field = FIELDS.get(random.nextInt(FIELDS.size()));
    String value = WRONG.get(random.nextInt(WRONG.size()));
    return GOOD.replace(field, field + value + ", \"x\": ");
  }

  /** Bytes that are not UTF-8 in the middle of a good request. */
  private static byte[] binary(Random random) {
    byte[] bytes = RawClient.post("/v1/chat/completions", GOOD).getBytes(StandardCharsets.UTF_8);
    int body = bytes.length - GOOD.length();
    bytes[body + random.nextInt(GOOD.length() - 1)] = (byte) (0x80 + random.nextInt(0x40));
    return bytes;
  }

  private static byte[] head(Random random) {
    List<String> heads =
        List.of(
            "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -5\r\nHost: x\r\n\r\n",
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                + "Content-Length: 6\r\n\r\nhello",
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                + "Content-Type: application/json\r\n\r\nffffffffffff\r\n",
            "BREW /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/models/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/models/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET  /v1/models HTTP/9.9\r\nHost: x\r\n\r\n",
            "POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    return heads.get(random.nextInt(heads.size())).getBytes(StandardCharsets.UTF_8);
  }
}
