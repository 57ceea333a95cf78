package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.tercel.proto.v1.FinishReason;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.Phase;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.grpc.GrpcTestServer.Answer;
import io.tercel.server.http.Tls;
import io.tercel.server.http.TlsTest;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How calls end early, wait and are refused, and that nothing of them stays. */
class LifecycleTest {
  private GrpcTestServer server;

  @BeforeEach
  void start() throws Exception {
    server = new GrpcTestServer(TestServer.USUAL.saying("x".repeat(3000)));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static GenerateRequest endless() {
    return GrpcTestServer.once(r -> r.setMaxTokens(4000).setIgnoreEos(true));
  }

  @Test
  void cancel_freesBlocksAtOnce() throws Exception {
    server.http.stepMillis(5);
    Context.CancellableContext context = Context.current().withCancellation();
    context.run(
        () -> {
          Iterator<GenerateResponse> answer = server.inference().generate(endless());
          for (int i = 0; i < 5; i++) {
            answer.next();
          }
        });
    assertEquals(1, server.http.engine.stats().running());
    context.cancel(null);
    server.awaitIdle();
    assertTrue(server.http.engine.stats().work().generationTokens() < 2000);
    assertEquals(1, server.http.engine.stats().finished(EngineEvent.FinishReason.ABORT));
  }

  @Test
  void deadline_freesBlocks() throws Exception {
    server.http.stepMillis(5);
    Iterator<GenerateResponse> answer =
        server.inference().withDeadlineAfter(300, TimeUnit.MILLISECONDS).generate(endless());
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> answer.forEachRemaining(_ -> {}));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, e.getStatus().getCode());
    server.awaitIdle();
    assertEquals(1, server.http.engine.stats().finished(EngineEvent.FinishReason.ABORT));
  }

  /** The server keeps the deadline itself, for clients that don't. */
  @Test
  void deadline_keptByTheServer() throws Exception {
    server.http.stepMillis(5);
    ClientCall<GenerateRequest, GenerateResponse> call =
        server.channel.newCall(InferenceGrpc.getGenerateMethod(), CallOptions.DEFAULT);
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of("grpc-timeout", Metadata.ASCII_STRING_MARSHALLER), "300m");
    call.start(new ClientCall.Listener<>() {}, headers);
    call.request(Integer.MAX_VALUE);
    call.sendMessage(endless());
    call.halfClose();
    TestServer.await("it began", () -> server.http.engine.stats().work().generationTokens() > 0);
    server.awaitIdle();
    assertEquals(1, server.http.engine.stats().finished(EngineEvent.FinishReason.ABORT));
  }

  @Test
  void abort_endsWithWhatThereIs_onBothWires() throws Exception {
    server.http.stepMillis(5);
    CompletableFuture<Answer> generate =
        CompletableFuture.supplyAsync(
            () -> server.generate(r -> r.mergeFrom(endless()).setRequestId("r-1").setN(2)));
    TestServer.await("it runs", () -> server.http.engine.stats().work().generationTokens() > 5);
    StatusRuntimeException twice =
        server.refused(Status.Code.ALREADY_EXISTS, r -> r.setRequestId("r-1"));
    assertTrue(String.valueOf(twice.getMessage()).contains("r-1"));
    assertEquals(Status.Code.NOT_FOUND, codeOf(() -> abort("r")), "a beginning is no id");
    abort("r-1");
    Answer answer = generate.get(10, TimeUnit.SECONDS);
    assertEquals(FinishReason.FINISH_REASON_ABORT, answer.end(0).getFinishReason());
    assertEquals(FinishReason.FINISH_REASON_ABORT, answer.end(1).getFinishReason());
    assertEquals(answer.ids(0).size() + answer.ids(1).size(), answer.usage().getCompletionTokens());
    server.awaitIdle();
    assertEquals(Status.Code.NOT_FOUND, codeOf(() -> abort("r-1")));
  }

  /** What began with version 1 ends, what began with 3 goes on. */
  @Test
  void abortStartedBefore_endsWhatOlderWeightsBegan() throws Exception {
    server.http.stepMillis(5);
    CompletableFuture<Answer> old =
        CompletableFuture.supplyAsync(
            () -> server.generate(r -> r.mergeFrom(endless()).setRequestId("old").setN(2)));
    TestServer.await("it runs", () -> server.http.engine.stats().work().generationTokens() > 5);
    assertEquals(0, abortStartedBefore(1), "it began with that one");
    assertEquals(Status.Code.INVALID_ARGUMENT, codeOf(() -> abortStartedBefore(0)));
    server.http.weightVersion(3);
    CompletableFuture<Answer> young =
        CompletableFuture.supplyAsync(
            () -> server.generate(r -> r.mergeFrom(endless()).setRequestId("young")));
    TestServer.await("both run", () -> server.http.engine.stats().running() == 3);
    assertEquals(2, abortStartedBefore(3));
    Answer answer = old.get(10, TimeUnit.SECONDS);
    assertEquals(FinishReason.FINISH_REASON_ABORT, answer.end(0).getFinishReason());
    assertEquals(FinishReason.FINISH_REASON_ABORT, answer.end(1).getFinishReason());
    assertEquals(0, abortStartedBefore(3), "idempotent");
    assertEquals(1, abortStartedBefore(4));
    assertEquals(
        FinishReason.FINISH_REASON_ABORT, young.get(10, TimeUnit.SECONDS).end(0).getFinishReason());
    server.awaitIdle();
  }

  @Test
  void abort_ofAnHttpRequest_byTheIdOfItsAnswer() throws Exception {
    server.http.stepMillis(5);
    var stream =
        server.http.streaming(
            "/v1/completions",
            "{\"prompt\": [\"Once\", \"Upon\"], \"max_tokens\": 4000, \"stream\": true}");
    String first = stream.next();
    abort(first.replaceAll(".*\"id\":\"([^\"]+)\".*", "$1"));
    String last = "";
    while (stream.hasNext()) {
      String line = stream.next();
      last = line.startsWith("data: {") ? line : last;
    }
    assertTrue(last.contains("\"finish_reason\":\"abort\""), last);
    server.awaitIdle();
  }

  private int abortStartedBefore(long version) {
    return server
        .control()
        .abortStartedBefore(
            io.tercel.proto.v1.AbortStartedBeforeRequest.newBuilder()
                .setWeightVersion(version)
                .build())
        .getAborted();
  }

  private void abort(String id) {
    var unused =
        server
            .control()
            .abort(io.tercel.proto.v1.AbortRequest.newBuilder().setRequestId(id).build());
  }

  private static Status.Code codeOf(Runnable call) {
    return assertThrows(StatusRuntimeException.class, call::run).getStatus().getCode();
  }

  /** A client that doesn't read stops its own sequence, in bounded memory, and nobody else's. */
  @Test
  void slowReader_pausesItsOwnSequenceAlone() throws Exception {
    ManagedChannel narrow =
        NettyChannelBuilder.forAddress("127.0.0.1", server.grpc.port())
            .usePlaintext()
            .flowControlWindow(65_535)
            .build();
    AtomicInteger tokens = new AtomicInteger();
    AtomicBoolean closed = new AtomicBoolean();
    ClientCall<GenerateRequest, GenerateResponse> call =
        narrow.newCall(InferenceGrpc.getGenerateMethod(), CallOptions.DEFAULT);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(GenerateResponse message) {
            tokens.addAndGet(message.getDelta().getTokensCount());
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            closed.set(status.isOk());
          }
        },
        new Metadata());
    call.sendMessage(endless().toBuilder().setLogprobs(20).build());
    call.halfClose();
    call.request(1);
    long made = server.http.awaitStandstill();
    assertTrue(made > 256 && made < 1500, made + " tokens for a reader of one message");
    assertEquals(1, server.http.engine.stats().running());

    Answer other = server.generate(r -> r.setMaxTokens(200).setReturnText(false));
    assertEquals(200, other.ids(0).size());

    call.request(Integer.MAX_VALUE);
    TestServer.await("the rest", closed::get);
    assertEquals(4000, tokens.get());
    narrow.shutdownNow();
    server.awaitIdle();
  }

  @Test
  void overload_isResourceExhausted_andSaysWhenToComeBack() throws Exception {
    try (GrpcTestServer small =
        new GrpcTestServer(TestServer.USUAL.saying("x".repeat(3000)).withRoom(1, 64, 1))) {
      small.http.stepMillis(5);
      Context.CancellableContext context = Context.current().withCancellation();
      try {
        context.run(
            () -> {
              small.inference().generate(endless()).next();
              var unused = small.inference().generate(endless());
            });
        // the first counts as waiting before it runs
        TestServer.await(
            "one runs, one waits",
            () ->
                small.http.engine.stats().running() == 1
                    && small.http.engine.stats().waiting() == 1);
        StatusRuntimeException e = small.refused(Status.Code.RESOURCE_EXHAUSTED, r -> {});
        assertEquals("2", e.getTrailers().get(ErrorStatus.RETRY_AFTER));
        RetryInfo retry = null;
        for (Any detail : StatusProto.fromThrowable(e).getDetailsList()) {
          retry = detail.is(RetryInfo.class) ? detail.unpack(RetryInfo.class) : retry;
        }
        assertNotNull(retry);
        assertEquals(2, retry.getRetryDelay().getSeconds());
      } finally {
        context.cancel(null);
      }
      small.awaitIdle();
    }
  }

  @Test
  void tooManyCalls_areRefused() throws Exception {
    try (GrpcTestServer small =
        new GrpcTestServer(
            TestServer.USUAL
                .saying("x".repeat(3000))
                .withLimits(l -> l.toBuilder().maxConnections(2).build()))) {
      small.http.stepMillis(5);
      Context.CancellableContext context = Context.current().withCancellation();
      context.run(
          () -> {
            small.inference().generate(endless()).next();
            small.inference().generate(endless()).next();
          });
      small.refused(Status.Code.RESOURCE_EXHAUSTED, r -> {});
      context.cancel(null);
      small.awaitIdle();
    }
  }

  /** Requests stay in memory as long as their calls run. */
  @Test
  void tooManyBytesOfRunningCalls_areRefused() throws Exception {
    try (GrpcTestServer small =
        new GrpcTestServer(
            TestServer.USUAL
                .saying("x".repeat(3000))
                .withLimits(
                    l -> l.toBuilder().maxBodyBytes(4000).maxBufferedBytes(4000).build()))) {
      small.http.stepMillis(5);
      String half = "x".repeat(2000);
      Context.CancellableContext context = Context.current().withCancellation();
      context.run(
          () ->
              small
                  .inference()
                  .generate(endless().toBuilder().setText(half).setMaxTokens(1000).build())
                  .next());
      small.refused(Status.Code.RESOURCE_EXHAUSTED, r -> r.setText(half));
      small.generate(r -> r.setMaxTokens(1));
      context.cancel(null);
      small.awaitIdle();
      small.generate(r -> r.setText(half).setMaxTokens(1));
    }
  }

  @Test
  void longMessage_isRefused_andLeavesNothing() throws Exception {
    server.refused(Status.Code.RESOURCE_EXHAUSTED, r -> r.setText("x".repeat(5 << 20)));
    server.awaitIdle();
    assertEquals(
        4 << 20,
        server
            .control()
            .getInfo(GetInfoRequest.getDefaultInstance())
            .getLimits()
            .getMaxMessageBytes());
    assertEquals(0, server.http.engine.stats().work().promptTokens());
  }

  @Test
  void close_endsWhatRuns() throws Exception {
    server.http.stepMillis(5);
    Iterator<GenerateResponse> answer = server.inference().generate(endless());
    answer.next();
    server.grpc.close();
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> answer.forEachRemaining(_ -> {}));
    assertFalse(e.getStatus().isOk());
    server.http.awaitIdle();
  }

  @Test
  void portInUse_isOneLine() throws Exception {
    try (GrpcServer second =
        new GrpcServer(
            server.http.api, server.http.config, server.grpc.port(), server.control, List.of())) {
      IOException e = assertThrows(IOException.class, second::start);
      assertEquals(
          "gRPC port %d is in use on 127.0.0.1: stop what listens there, or choose another port"
              .formatted(server.grpc.port()),
          e.getMessage());
    }
    server.generate(r -> r.setMaxTokens(2)); // the first goes on
  }

  @Test
  void metrics_countGrpcRequests() throws Exception {
    server.generate(r -> r.setMaxTokens(5));
    String metrics = server.http.get("/metrics").body();
    String labels = "{model_name=\"" + GrpcTestServer.MODEL + "\",finished_reason=\"length\",}";
    assertTrue(metrics.contains("vllm:request_success_total" + labels + " 1.0"), metrics);
    assertTrue(
        metrics.contains(
            "vllm:time_to_first_token_seconds_count{model_name=\""
                + GrpcTestServer.MODEL
                + "\",} 1.0"),
        metrics);
  }

  @Test
  void tls_withTheCertificateOfHttp(@TempDir Path dir) throws Exception {
    TlsTest.certificate(dir);
    Tls tls = Tls.load(dir.resolve("cert.pem"), dir.resolve("key.pem"));
    try (GrpcServer secure =
        new GrpcServer(server.http.api, server.http.secured(tls), 0, server.control, List.of())) {
      secure.start();
      ManagedChannel channel =
          NettyChannelBuilder.forAddress("127.0.0.1", secure.port())
              .sslContext(
                  GrpcSslContexts.forClient()
                      .trustManager(dir.resolve("cert.pem").toFile())
                      .build())
              .build();
      try {
        var stub = InferenceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
        assertEquals(
            "xxxxx",
            GrpcTestServer.read(stub.generate(GrpcTestServer.once(r -> r.setMaxTokens(5))))
                .text(0, Phase.PHASE_ANSWER));
      } finally {
        channel.shutdownNow();
      }
    }
  }
}
