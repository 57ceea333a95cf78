package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.PauseRequest;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.Rights;
import io.tercel.server.call.TestKeys;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Ways around the keys, on every port: all are refused, and nothing runs. */
class KeyBypassTest {
  private static final String CHAT =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"max_tokens\": 1}";
  private static final String ALICE = "Authorization: Bearer alice-secret\r\n";

  private static TestKeys keys;
  private static ServedPorts ports;

  @BeforeAll
  static void start() throws Exception {
    keys =
        new TestKeys("public-secret", "root-secret")
            .with("alice", KeyTerms.CLIENT)
            .with("ops", KeyTerms.CLIENT.withRights(Rights.ADMIN))
            .with("old", KeyTerms.CLIENT.withExpiry(Instant.parse("2026-01-01T00:10:00Z")));
    keys.pass(Duration.ofMinutes(10));
    ports = new ServedPorts(TestServer.USUAL, config -> config.keys(keys.keys));
  }

  @AfterAll
  static void stop() {
    ports.close();
  }

  private static void nothingRan(long before) {
    assertEquals(before, ports.model.engine.stats().work().promptTokens());
  }

  private static long work() {
    return ports.model.engine.stats().work().promptTokens();
  }

  @Test
  void goodKeys_open() throws Exception {
    for (String key : new String[] {"public", "alice", "ops", "root"}) {
      assertEquals(200, ports.post(key + "-secret", "/v1/chat/completions", CHAT).status(), key);
    }
    for (String header :
        new String[] {
          "authorization: bearer alice-secret\r\n",
          "x-api-key: alice-secret\r\n",
          "Authorization: Bearer alice-secret \t\r\n", // HTTP's own white space is no part of it
          ALICE + "x-api-key: anything\r\n"
        }) {
      assertEquals(
          200, ServedPorts.ask(ports.port(), "GET", "/v1/models", header, "").status(), header);
    }
    for (String key : new String[] {"ops", "root"}) {
      String header = "Authorization: Bearer " + key + "-secret\r\n";
      assertEquals(
          200, ServedPorts.ask(ports.adminPort(), "GET", "/info", header, "").status(), key);
    }
  }

  /** What stands in the head in place of a good key. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "Authorization:",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: alice-secret",
        "Authorization: Basic YWxpY2U6YWxpY2Utc2VjcmV0",
        "Authorization: Token alice-secret",
        "Authorization: Bearer alice-secre",
        "Authorization: Bearer alice-secret2",
        "Authorization: Bearer ALICE-SECRET",
        "Authorization: Bearer alice",
        "Authorization: Bearer  alice-secret",
        "Authorization: Bearer\talice-secret",
        "Authorization: Bearer alice-secret,root-secret",
        "Authorization: Bearer alice-secret; charset=utf-8",
        "Authorization: Bearer \"alice-secret\"",
        "Authorization: Bearer alice%2Dsecret",
        "Authorization: Bearer *",
        "Authorization: Bearer null",
        "Authorization: Bearer Bearer alice-secret",
        "Authorization: Bearer аlice-secret", // the first letter is Cyrillic
        "Authorization: Bearer alice\u00adsecret",
        "Authorization: Bearer alice-secret\u00a0",
        "Authorization: Bearer ａｌｉｃｅ-secret",
        "Authorization: Bearer old-secret", // its time is over
        "Authorization: Bearer wrong\r\nx-api-key: alice-secret",
        "Authorization: Bearer wrong\r\nAuthorization: Bearer alice-secret",
        "Authorization: Bearer alice-secret\r\nAuthorization: Bearer wrong",
        "Authorization: Bearer alice-secret\r\nAuthorization: Bearer alice-secret",
        "x-api-key: wrong\r\nx-api-key: alice-secret",
        "x-api-key: Bearer alice-secret",
        "x-api-key:",
        "x_api_key: alice-secret",
        "api-key: alice-secret",
        "Proxy-Authorization: Bearer alice-secret",
        "X-Forwarded-Authorization: Bearer alice-secret",
        "Cookie: Authorization=Bearer%20alice-secret; api_key=alice-secret",
        "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1",
        "X-HTTP-Method-Override: OPTIONS",
        "X-Original-URL: /health\r\nX-Rewrite-URL: /health",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Protocol: alice-secret",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
      })
  void header(String header) throws Exception {
    long before = work();
    String lines = header.isEmpty() ? "" : header + "\r\n";
    RawClient.Answer answer =
        ServedPorts.ask(ports.port(), "POST", "/v1/chat/completions", lines, CHAT);
    assertEquals(401, answer.status(), answer.body());
    assertTrue(answer.body().contains("invalid_api_key"), answer.body());
    assertFalse(answer.body().contains("secret"), answer.body());
    nothingRan(before);
    assertEquals(401, ServedPorts.ask(ports.adminPort(), "POST", "/pause", lines, "{}").status());
    assertFalse(ports.model.engine.paused());
  }

  /** Targets and methods that may look like another route's to somebody. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "POST | /v1/chat/completions?api_key=alice-secret | 401",
        "POST | /v1/chat/completions?key=alice-secret&access_token=alice-secret | 401",
        "POST | //v1/chat/completions | 401",
        "POST | /v1//chat/completions | 401",
        "POST | /v1/chat/completions/ | 401",
        "POST | /V1/Chat/Completions | 401",
        "POST | /v1/./chat/completions | 401",
        "POST | /health/../v1/chat/completions | 401",
        "POST | /health/%2e%2e/v1/chat/completions | 401",
        "POST | /health%2f..%2fv1%2fchat%2fcompletions | 401",
        "POST | /assets/../v1/chat/completions | 401",
        "POST | /v1/chat/completions%00 | 401",
        "POST | /v1/chat/completions;/health | 401",
        "POST | /v1/chat/completions#/health | 401",
        "POST | http://localhost/v1/chat/completions | 401",
        "POST | http://localhost/health/../v1/chat/completions | 401",
        "POST | /v1/../pause | 401",
        "GET | /v1/models | 401",
        "HEAD | /v1/models | 401",
        "GET | /metrics | 401",
        "GET | /health/../metrics | 401",
        "HEAD | /metrics | 401",
        "GET | /v1/responses/resp_1 | 401",
        "DELETE | /v1/responses/resp_1 | 401",
        "PUT | /v1/chat/completions | 401",
        "TRACE | /v1/models | 401",
        "CONNECT | /v1/models | 401",
        "PATCH | /pause | 401",
        "POST | /health | 405",
        "OPTIONS | /v1/chat/completions | 204",
        "OPTIONS | /pause | 404",
      })
  void target(String method, String target, int status) throws Exception {
    long before = work();
    RawClient.Answer answer = ServedPorts.ask(ports.port(), method, target, "", CHAT);
    assertEquals(status, answer.status(), answer.body());
    assertFalse(answer.body().contains("tercel/tiny"), answer.body());
    nothingRan(before);
  }

  /** What a client's key does not open on the admin port, and how one may try all the same. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "POST | /pause | Authorization: Bearer alice-secret | 403",
        "POST | /pause | Authorization: Bearer public-secret | 403",
        "POST | /pause | x-api-key: alice-secret | 403",
        "POST | /pause | Authorization: Bearer alice-secret~x-api-key: root-secret | 403",
        "POST | /pause | Authorization: Bearer alice-secret~Authorization: Bearer root-secret | 401",
        "POST | /pause | Authorization: Bearer old-secret | 401",
        "POST | /pause?admin_key=root-secret | Authorization: Bearer alice-secret | 403",
        "POST | //pause | Authorization: Bearer alice-secret | 403",
        "POST | /health/../pause | Authorization: Bearer alice-secret | 403",
        "POST | /%70ause | Authorization: Bearer alice-secret | 403",
        "POST | /pause/ | Authorization: Bearer alice-secret | 403",
        "POST | /health/../pause | X-None: x | 401",
        "POST | /%2e/pause | X-None: x | 401",
        "GET | /info | Authorization: Bearer alice-secret | 403",
        "HEAD | /info | X-None: x | 401",
        "GET | /pause | X-None: x | 401",
        "OPTIONS | /pause | X-None: x | 204",
      })
  void adminPort(String method, String target, String headers, int status) throws Exception {
    String lines = headers.replace("~", "\r\n") + "\r\n";
    String body = method.equals("POST") ? "{}" : "";
    RawClient.Answer answer = ServedPorts.ask(ports.adminPort(), method, target, lines, body);
    assertEquals(status, answer.status(), answer.body());
    assertFalse(ports.model.engine.paused());
  }

  /** A public port has no control, whoever asks. */
  @ParameterizedTest
  @ValueSource(strings = {"/pause", "/v1/../pause", "/admin/pause", "/reload", "/drain", "/info"})
  void publicPort_hasNoControl(String path) throws Exception {
    RawClient.Answer answer =
        ServedPorts.ask(ports.port(), "POST", path, "Authorization: Bearer root-secret\r\n", "{}");
    assertEquals(404, answer.status(), answer.body());
    assertFalse(ports.model.engine.paused());
  }

  /** What comes in gRPC's metadata in place of a good key. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "x-none|x",
        "authorization|",
        "authorization|alice-secret",
        "authorization|Bearer ",
        "authorization|Bearer alice-secre",
        "authorization|Bearer alice-secret,",
        "authorization|Bearer ALICE-SECRET",
        "authorization|Bearer old-secret",
        "authorization|Basic YWxpY2U6YWxpY2Utc2VjcmV0",
        "x-api-key|alice-secret",
        "api-key|alice-secret",
        "proxy-authorization|Bearer alice-secret",
        "grpc-authorization|Bearer alice-secret",
      })
  void metadata(String name, String value) {
    long before = work();
    refused(Status.Code.UNAUTHENTICATED, ServedPorts.metadata(name, value == null ? "" : value));
    nothingRan(before);
  }

  @Test
  void metadataTwice() {
    refused(
        Status.Code.UNAUTHENTICATED,
        ServedPorts.metadata(
            "authorization", "Bearer wrong", "authorization", "Bearer alice-secret"));
    refused(
        Status.Code.UNAUTHENTICATED,
        ServedPorts.metadata(
            "authorization", "Bearer alice-secret", "authorization", "Bearer wrong"));
  }

  private static void refused(Status.Code code, Metadata metadata) {
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () ->
                ports
                    .inference(metadata)
                    .generate(GenerateRequest.newBuilder().setText("Once").build())
                    .next());
    assertEquals(code, e.getStatus().getCode(), e.getMessage());
    StatusRuntimeException control =
        assertThrows(
            StatusRuntimeException.class,
            () -> ports.control(metadata).pause(PauseRequest.getDefaultInstance()));
    assertEquals(code, control.getStatus().getCode(), control.getMessage());
    assertFalse(ports.model.engine.paused());
  }

  @Test
  void clientsKey_opensNoControlOfGrpc() {
    for (String key : new String[] {"alice-secret", "public-secret"}) {
      StatusRuntimeException e =
          assertThrows(
              StatusRuntimeException.class,
              () ->
                  ports
                      .control(ServedPorts.metadata("authorization", "Bearer " + key))
                      .pause(PauseRequest.getDefaultInstance()));
      assertEquals(Status.Code.PERMISSION_DENIED, e.getStatus().getCode());
    }
    assertTrue(
        ports
            .inference(ServedPorts.metadata("authorization", "Bearer alice-secret"))
            .generate(GenerateRequest.newBuilder().setText("Once").setMaxTokens(1).build())
            .next()
            .hasStarted());
  }
}
