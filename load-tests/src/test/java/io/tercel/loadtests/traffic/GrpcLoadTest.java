package io.tercel.loadtests.traffic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.loadtests.client.GrpcTarget;
import io.tercel.loadtests.client.TargetException;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.RandomDataset;
import io.tercel.loadtests.data.TokenIdPrompts;
import io.tercel.loadtests.data.WordPrompts;
import io.tercel.loadtests.metrics.Failures;
import io.tercel.loadtests.metrics.Misbehaviour;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.RequestTrace.Client;
import io.tercel.loadtests.metrics.RequestTrace.Ending;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.ChatCompletionsResponse;
import io.tercel.proto.v1.ChoiceEnd;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.Phase;
import io.tercel.proto.v1.Token;
import io.tercel.proto.v1.Usage;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Load over gRPC on a server whose answers are scripted. */
@Timeout(60)
class GrpcLoadTest {
  private interface Script {
    void run(ServerCallStreamObserver<GenerateResponse> out) throws InterruptedException;
  }

  private static final ObjectNode EXTRA =
      new ObjectMapper().createObjectNode().put("ignore_eos", true).put("temperature", 0.5);

  private final List<GenerateRequest> requests = new CopyOnWriteArrayList<>();
  private final List<String> keys = new CopyOnWriteArrayList<>();
  private final AtomicInteger running = new AtomicInteger();
  private volatile Script script =
      out -> {
        out.onNext(delta(Phase.PHASE_THINKING, "Hm", 2));
        out.onNext(delta(Phase.PHASE_ANSWER, "4", 1));
        end(out, 3);
      };

  @SuppressWarnings("NullAway.Init") // by start()
  private Server server;

  private static GenerateResponse delta(Phase phase, String text, int tokens) {
    Delta.Builder delta = Delta.newBuilder().setPhase(phase).setText(text);
    for (int i = 0; i < tokens; i++) {
      delta.addTokens(Token.newBuilder().setId(i));
    }
    return GenerateResponse.newBuilder().setDelta(delta).build();
  }

  private static void end(StreamObserver<GenerateResponse> out, int tokens) {
    out.onNext(GenerateResponse.newBuilder().setChoiceEnd(ChoiceEnd.getDefaultInstance()).build());
    Usage.Builder usage =
        Usage.newBuilder().setPromptTokens(12).setCompletionTokens(tokens).setReasoningTokens(2);
    out.onNext(GenerateResponse.newBuilder().setUsage(usage).build());
    out.onCompleted();
  }

  private boolean awaitIdle() throws InterruptedException {
    long deadline = System.nanoTime() + java.time.Duration.ofSeconds(20).toNanos();
    synchronized (running) {
      while (running.get() > 0 && System.nanoTime() < deadline) {
        running.wait(1000);
      }
      return running.get() == 0;
    }
  }

  private final class Scripted extends InferenceGrpc.InferenceImplBase {
    @Override
    public void generate(GenerateRequest request, StreamObserver<GenerateResponse> out) {
      requests.add(request);
      running.incrementAndGet();
      var call = (ServerCallStreamObserver<GenerateResponse>) out;
      call.setOnCancelHandler(() -> {}); // or writing to a cancelled call throws
      try {
        script.run(call);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } finally {
        synchronized (running) {
          running.decrementAndGet();
          running.notifyAll();
        }
      }
    }

    @Override
    public void chatCompletions(
        ChatCompletionsRequest request, StreamObserver<ChatCompletionsResponse> out) {
      for (String json :
          List.of(
              "{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}",
              "{\"choices\":[{\"delta\":{\"reasoning\":\"Hm\"}}]}",
              "{\"choices\":[{\"delta\":{\"content\":\"4\"},\"finish_reason\":\"stop\"}]}",
              "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}")) {
        out.onNext(
            ChatCompletionsResponse.newBuilder().setJson(ByteString.copyFromUtf8(json)).build());
      }
      out.onCompleted();
    }
  }

  @BeforeEach
  void start() throws IOException {
    ServerInterceptor key =
        new ServerInterceptor() {
          @Override
          public <Q, R> ServerCall.Listener<Q> interceptCall(
              ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
            keys.add(
                String.valueOf(
                    headers.get(
                        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER))));
            return next.startCall(call, headers);
          }
        };
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .executor(Executors.newVirtualThreadPerTaskExecutor())
            .intercept(key)
            .addService(new Scripted())
            .build()
            .start();
  }

  @AfterEach
  void stop() {
    server.shutdownNow();
  }

  private RunResult run(int requests, boolean chat, ClientMix mix, java.time.Duration timeout)
      throws InterruptedException {
    Dataset dataset =
        new RandomDataset(
            chat ? new WordPrompts(1, 0) : new TokenIdPrompts(new int[] {1, 2, 3}), 1, 12, 6, 0);
    TrafficPlan plan = new TrafficPlan(requests, 0, Double.POSITIVE_INFINITY, 1, 4, 0, 7);
    String target = "127.0.0.1:" + server.getPort();
    try (GrpcTarget grpc = new GrpcTarget(target, "secret", chat, "m", EXTRA, timeout)) {
      return new LoadRun(grpc, dataset, plan, mix, true, trace -> {}).run();
    }
  }

  private RunResult run(int requests, ClientMix mix) throws InterruptedException {
    return run(requests, false, mix, java.time.Duration.ofSeconds(30));
  }

  @Test
  void generate_isAskedAndRead() throws InterruptedException {
    RunResult result = run(3, ClientMix.patient());
    for (RequestTrace trace : result.traces()) {
      assertEquals(Ending.COMPLETED, trace.ending(), () -> String.valueOf(trace.failure()));
      assertEquals("Hm4", trace.generatedText());
      assertEquals(2, trace.tokenEvents());
      assertEquals(3, trace.outputTokens());
      assertEquals(2, trace.reasoningTokens());
      assertEquals(12, trace.promptTokens());
      assertTrue(trace.ttfat() > trace.ttft());
    }
    GenerateRequest request = requests.getFirst();
    assertEquals(12, request.getTokenIds().getIdsCount());
    assertEquals(6, request.getMaxTokens());
    assertTrue(request.getIgnoreEos());
    assertEquals(0.5f, request.getTemperature());
    assertEquals("m", request.getModel());
    assertTrue(request.hasSeed());
    assertEquals("Bearer secret", keys.getFirst());
  }

  @Test
  void chat_isReadAsOverHttp() throws InterruptedException {
    RunResult result = run(2, true, ClientMix.patient(), java.time.Duration.ofSeconds(30));
    for (RequestTrace trace : result.traces()) {
      assertEquals(Ending.COMPLETED, trace.ending(), () -> String.valueOf(trace.failure()));
      assertEquals("Hm4", trace.generatedText());
      assertEquals(2, trace.outputTokens());
      assertTrue(trace.hasAnswer());
    }
  }

  @Test
  void statuses_areCounted() throws InterruptedException {
    script =
        out ->
            out.onError(
                StatusProto.toStatusRuntimeException(
                    com.google.rpc.Status.newBuilder()
                        .setCode(Status.Code.RESOURCE_EXHAUSTED.value())
                        .setMessage("too many")
                        .addDetails(
                            Any.pack(
                                RetryInfo.newBuilder()
                                    .setRetryDelay(Duration.newBuilder().setNanos(5_000_000))
                                    .build()))
                        .build()));
    Failures failures = Failures.of(run(2, ClientMix.patient()).traces());
    assertEquals(Map.of("grpc_RESOURCE_EXHAUSTED", 2L), failures.counts());
    assertEquals("too many", failures.example("grpc_RESOURCE_EXHAUSTED"));
    assertEquals(0.005, failures.leastRetryAfter());
    assertEquals(2, requests.size());
  }

  @Test
  void brokenStreamsDeadlinesAndNobody_areToldApart() throws InterruptedException {
    script = StreamObserver::onCompleted;
    assertEquals(Map.of("stream", 1L), Failures.of(run(1, ClientMix.patient()).traces()).counts());
    script =
        out -> {
          while (!out.isCancelled()) {
            Thread.sleep(5); // until the deadline, which is of real time
          }
        };
    RunResult late = run(1, false, ClientMix.patient(), java.time.Duration.ofMillis(300));
    assertEquals(Map.of("timeout", 1L), Failures.of(late.traces()).counts());
    int port = server.getPort();
    server.shutdownNow();
    server.awaitTermination();
    assertTrue(port > 0);
    try (GrpcTarget grpc =
        new GrpcTarget(
            "127.0.0.1:" + port, null, false, "m", EXTRA, java.time.Duration.ofSeconds(10))) {
      Dataset dataset = new RandomDataset(new TokenIdPrompts(new int[] {1}), 1, 2, 2, 0);
      TrafficPlan plan = new TrafficPlan(1, 0, Double.POSITIVE_INFINITY, 1, 1, 0, 7);
      RunResult result =
          new LoadRun(grpc, dataset, plan, ClientMix.patient(), false, trace -> {}).run();
      assertEquals(Map.of("connection", 1L), Failures.of(result.traces()).counts());
    }
  }

  /** Everybody leaves, and the server sees all of them go. */
  @Test
  void leavers_cancelTheirCalls() throws InterruptedException {
    script =
        out -> {
          while (!out.isCancelled()) {
            out.onNext(delta(Phase.PHASE_ANSWER, "a", 1));
            Thread.sleep(2); // the server's pace
          }
        };
    RunResult result = run(16, new ClientMix(1, 0, 1, 3));
    assertEquals(16, Misbehaviour.of(result.traces(), Client.LEAVER).left());
    assertTrue(awaitIdle(), "the server still writes to some");
    assertTrue(requests.size() >= 8, () -> "only " + requests.size() + " were answered");
  }

  /** A reader that takes little lets the server wait: it is not always ready to be written to. */
  @Test
  void slowReaders_holdTheServerBack() throws InterruptedException {
    List<Boolean> ready = new ArrayList<>();
    script =
        out -> {
          for (int i = 0; i < 40; i++) {
            out.onNext(delta(Phase.PHASE_ANSWER, "x".repeat(2000), 1));
            ready.add(out.isReady());
          }
          end(out, 40);
        };
    RunResult result = run(1, new ClientMix(0, 1, 200_000, 3));
    Misbehaviour slow = Misbehaviour.of(result.traces(), Client.SLOW_READER);
    assertEquals(new Misbehaviour(1, 0, 1, 0, 40), slow);
    assertTrue(ready.contains(false));
    // 80 kB
    long took = result.traces().getFirst().e2el();
    assertTrue(took > 300_000_000, () -> "read in " + took);
  }

  @Test
  void unknownField_isNamed() {
    ObjectNode extra = new ObjectMapper().createObjectNode().put("best_of", 3);
    TargetException e =
        assertThrows(
            TargetException.class,
            () ->
                new GrpcTarget(
                    "127.0.0.1:1", null, false, "m", extra, java.time.Duration.ofSeconds(1)));
    assertTrue(String.valueOf(e.getMessage()).contains("best_of"), e.getMessage());
  }
}
