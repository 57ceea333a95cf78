package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.server.access.KeyFile;
import io.tercel.server.call.KeyTerms;
import io.tercel.server.call.Keys;
import io.tercel.server.call.TestKeys;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A key that is taken away: nothing comes in by it, and what runs by it ends. */
class KeyRevocationTest {
  private static final String ENDLESS = "{\"prompt\": \"Once\", \"max_tokens\": 60000";
  private static final String ALICE = "\r\nAuthorization: Bearer alice-secret\r\n\r\n";

  private static ServedPorts serve(Keys keys) throws Exception {
    ServedPorts ports =
        new ServedPorts(
            TestServer.USUAL.saying("x").withLength(1 << 16), config -> config.keys(keys));
    ports.model.stepMillis(2);
    return ports;
  }

  private static String post(String json) {
    return RawClient.post("/v1/completions", json).replaceFirst("\r\n\r\n", ALICE);
  }

  @Test
  void whatRuns_endsWithA401_andOthersGoOn() throws Exception {
    TestKeys keys =
        new TestKeys(null, null).with("alice", KeyTerms.CLIENT).with("bob", KeyTerms.CLIENT);
    try (ServedPorts ports = serve(keys.keys);
        RawClient streamed = new RawClient(ports.port());
        RawClient whole = new RawClient(ports.port());
        RawClient slow = new RawClient(ports.port());
        RawClient counting = new RawClient(ports.port())) {
      String upload = post(ENDLESS + "}");
      slow.send(
          upload.substring(0, upload.length() - 1)); // its key is looked at, its end not there
      String tokenize = upload.replace("/v1/completions", "/tokenize");
      counting.send(tokenize.substring(0, tokenize.length() - 1));
      streamed.send(post(ENDLESS + ", \"stream\": true}"));
      whole.send(post(ENDLESS + "}"));
      CompletableFuture<RawClient.Answer> bob =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return ports.post(
                      "bob-secret", "/v1/completions", "{\"prompt\": \"O\", \"max_tokens\": 300}");
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              });
      Iterator<GenerateResponse> generated =
          ports
              .inference(ServedPorts.metadata("authorization", "Bearer alice-secret"))
              .generate(GenerateRequest.newBuilder().setText("Once").setMaxTokens(60_000).build());
      assertTrue(generated.next().hasStarted());
      TestServer.await("all run", () -> ports.model.engine.stats().running() == 4);
      keys.without("alice");
      String events = streamed.read().body();
      assertTrue(events.contains("invalid_api_key"), events);
      assertEquals(401, whole.read().status());
      slow.send("}");
      assertEquals(401, slow.read().status());
      counting.send("}");
      assertEquals(401, counting.read().status());
      StatusRuntimeException e =
          assertThrows(StatusRuntimeException.class, () -> generated.forEachRemaining(_ -> {}));
      assertEquals(Status.Code.UNAUTHENTICATED, e.getStatus().getCode());
      assertEquals(401, ports.post("alice-secret", "/v1/completions", ENDLESS + "}").status());
      assertEquals(200, bob.get().status());
      ports.model.awaitIdle();
    }
  }

  @Test
  void expiry_endsWhatRuns() throws Exception {
    TestKeys keys =
        new TestKeys(null, null)
            .with("alice", KeyTerms.CLIENT.withExpiry(Instant.parse("2026-01-01T00:01:00Z")));
    try (ServedPorts ports = serve(keys.keys);
        RawClient whole = new RawClient(ports.port())) {
      whole.send(post(ENDLESS + "}"));
      TestServer.await("it runs", () -> ports.model.engine.stats().running() == 1);
      keys.pass(Duration.ofMinutes(1));
      keys.keys.endExpired();
      assertEquals(401, whole.read().status());
      assertEquals(401, ports.post("alice-secret", "/v1/completions", ENDLESS + "}").status());
    }
  }

  /** The file alone, as it is edited: within five seconds. */
  @Test
  void keyOutOfTheFile_endsWhatRuns(@TempDir Path folder) throws Exception {
    Path path =
        Files.writeString(
            folder.resolve("keys.json"),
            "{\"keys\": [{\"name\": \"a\", \"key\": \"alice-secret\"}]}");
    Keys keys = Keys.withNamed(null, null);
    try (KeyFile file = new KeyFile(path, keys)) {
      file.load();
      file.watch();
      try (ServedPorts ports = serve(keys);
          RawClient whole = new RawClient(ports.port())) {
        whole.send(post(ENDLESS + "}"));
        TestServer.await("it runs", () -> ports.model.engine.stats().running() == 1);
        long start = System.nanoTime();
        Files.writeString(path, "{\"keys\": []}");
        assertEquals(401, whole.read().status());
        assertTrue(Duration.ofNanos(System.nanoTime() - start).toSeconds() < 5);
      }
    }
  }
}
