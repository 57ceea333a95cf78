package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.control.ServerControl;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.testing.Events;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How a server ends: what runs is answered to the last byte, or told that it won't be. */
class EndpointsTest {
  private static final String CHAT = "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";

  @TempDir Path directory;
  private TestServer server;
  private WeightStore weights;

  @BeforeEach
  void start() throws Exception {
    server = new TestServer(TestServer.USUAL.saying("x").withLength(1 << 16));
    TinyCheckpoint.qwen3().layers(1).write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  @AfterEach
  void stop() {
    server.close();
    weights.close();
  }

  private Endpoints endpoints(Duration drainTimeout) throws Exception {
    ServerControl control =
        new ServerControl(
            server.api,
            new ServedModelInfo("scripted", "none", 16, 64, 2048, 256),
            new ServedWeights(
                directory, weights, server.engine, LmHeadType.STORED, () -> Long.MAX_VALUE));
    HttpServerConfig config = server.config.toBuilder().drainTimeout(drainTimeout).build();
    Endpoints endpoints = new Endpoints(server.api, control, config, 0, config, true, List.of());
    endpoints.start();
    return endpoints;
  }

  private static String drain(Endpoints endpoints) {
    try {
      return endpoints.drain();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void drainTimeout_endsEveryAnswerWithAnError() throws Exception {
    server.stepMillis(5);
    try (Endpoints endpoints = endpoints(Duration.ofMillis(300));
        RawClient streamed = new RawClient(endpoints.http().port());
        RawClient responses = new RawClient(endpoints.http().port());
        RawClient whole = new RawClient(endpoints.http().port())) {
      streamed.send(RawClient.post("/v1/chat/completions", CHAT + ", \"stream\": true}"));
      responses.send(RawClient.post("/v1/responses", "{\"input\": \"hi\", \"stream\": true}"));
      whole.send(RawClient.post("/v1/chat/completions", CHAT + "}"));
      ManagedChannel channel =
          NettyChannelBuilder.forAddress(
                  "127.0.0.1", Objects.requireNonNull(endpoints.grpc()).port())
              .usePlaintext()
              .build();
      try {
        Iterator<GenerateResponse> generated =
            InferenceGrpc.newBlockingStub(channel)
                .withDeadlineAfter(30, TimeUnit.SECONDS)
                .generate(
                    GenerateRequest.newBuilder().setText("Once").setMaxTokens(60_000).build());
        assertTrue(generated.next().hasStarted());
        TestServer.await("all run", () -> server.engine.stats().running() == 4);

        assertEquals("Drain timeout: requests ended with an error: 4.", drain(endpoints));

        Events events = Events.parse(streamed.read().body());
        assertFalse(events.done());
        assertTrue(events.chunks().getLast().has("error"), events.chunks().getLast().toString());
        String last = responses.read().body();
        assertTrue(last.substring(last.lastIndexOf("event: ")).startsWith("event: error\n"), last);
        assertEquals(503, whole.read().status());
        StatusRuntimeException e =
            assertThrows(StatusRuntimeException.class, () -> generated.forEachRemaining(_ -> {}));
        assertEquals(Status.Code.UNAVAILABLE, e.getStatus().getCode());
      } finally {
        channel.shutdownNow();
      }
    }
  }

  /** The engine is done long before the client has it all, and drain waits for the client. */
  @Test
  void drained_meansFlushed() throws Exception {
    String body =
        CHAT + ", \"max_tokens\": 4000, \"n\": 4, \"logprobs\": true, \"top_logprobs\": 20}";
    try (Endpoints endpoints = endpoints(Duration.ofSeconds(30));
        Socket slow = new Socket()) {
      slow.setReceiveBufferSize(32 << 10);
      slow.setSoTimeout(30_000);
      slow.connect(new InetSocketAddress("127.0.0.1", endpoints.http().port()));
      String request = RawClient.post("/v1/chat/completions", body);
      slow.getOutputStream()
          .write(
              request
                  .replaceFirst("\r\n", "\r\nConnection: close\r\n")
                  .getBytes(StandardCharsets.UTF_8));
      TestServer.await(
          "it is generated", () -> server.engine.stats().finished(FinishReason.LENGTH) == 4);
      CompletableFuture<String> drained = CompletableFuture.supplyAsync(() -> drain(endpoints));
      TestServer.await("draining", () -> !server.api.ready());
      assertEquals(1, endpoints.http().runningRequests(), "its answer is not taken");
      assertFalse(drained.isDone());
      InputStream in = slow.getInputStream();
      long all = 0;
      byte[] part = new byte[1 << 16];
      for (int count = in.read(part); count > 0; count = in.read(part)) {
        all += count;
      }
      assertTrue(all > 10 << 20, "bytes: " + all);
      assertTrue(drained.get(30, TimeUnit.SECONDS).startsWith("Drained: every request"));
    }
  }

  @Test
  void whoDoesNotRead_isCountedAndCut() throws Exception {
    server.stepMillis(0);
    try (Endpoints endpoints = endpoints(Duration.ofMillis(200));
        Socket silent = new Socket()) {
      silent.setReceiveBufferSize(32 << 10);
      silent.connect(new InetSocketAddress("127.0.0.1", endpoints.http().port()));
      String body =
          CHAT + ", \"max_tokens\": 4000, \"n\": 4, \"logprobs\": true, \"top_logprobs\": 20}";
      silent
          .getOutputStream()
          .write(RawClient.post("/v1/chat/completions", body).getBytes(StandardCharsets.UTF_8));
      TestServer.await(
          "it is generated", () -> server.engine.stats().finished(FinishReason.LENGTH) == 4);
      assertEquals(
          "Drain timeout: requests ended with an error: 1; clients that did not read it: 1.",
          drain(endpoints));
    }
  }

  @Test
  void idle_isDrainedAtOnce() throws Exception {
    try (Endpoints endpoints = endpoints(Duration.ofSeconds(30))) {
      assertTrue(drain(endpoints).startsWith("Drained: every request was answered"));
      assertEquals(503, server.get("/ready").statusCode());
    }
  }
}
