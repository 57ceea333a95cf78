package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.tercel.proto.v1.DrainRequest;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.PauseRequest;
import io.tercel.proto.v1.ResumeRequest;
import io.tercel.server.grpc.GrpcTestServer.Answer;
import io.tercel.server.testing.EngineRounds;
import io.tercel.server.testing.TestServer;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Control, health, reflection and the key. */
class ControlTest {
  private static final List<String> SERVICES =
      List.of("", "tercel.v1.Inference", "tercel.v1.Control");

  private static ServingStatus health(GrpcTestServer server, String service) {
    return HealthGrpc.newBlockingStub(server.channel)
        .withDeadlineAfter(10, TimeUnit.SECONDS)
        .check(HealthCheckRequest.newBuilder().setService(service).build())
        .getStatus();
  }

  private static GetInfoResponse info(GrpcTestServer server) {
    return server.control().getInfo(GetInfoRequest.getDefaultInstance());
  }

  @Test
  void info_saysWhatIsServed() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      GetInfoResponse info = info(server);
      assertEquals(List.of(GrpcTestServer.MODEL, "alias"), info.getModelNamesList());
      assertEquals("0.1-test", info.getVersion());
      assertEquals("scripted", info.getBackend());
      assertEquals("fp_test", info.getSystemFingerprint());
      assertEquals(TestServer.USUAL.maxModelLen(), info.getLimits().getMaxModelLen());
      assertEquals(64, info.getLimits().getMaxNumSeqs());
      assertEquals(16, info.getKvCache().getBlockSize());
      assertEquals(server.http.engine.stats().blocks().total(), info.getKvCache().getFreeBlocks());
      assertFalse(info.getPaused());
      assertFalse(info.getDraining());
    }
  }

  @Test
  void pause_holdsSequences_resumeGoesOn() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      server.http.stepMillis(2);
      server.http.says("x".repeat(400));
      Answer expected = server.generate(r -> r.setMaxTokens(300));
      CompletableFuture<Answer> running =
          CompletableFuture.supplyAsync(() -> server.generate(r -> r.setMaxTokens(300)));
      long before = server.http.engine.stats().work().generationTokens();
      TestServer.await(
          "it runs", () -> server.http.engine.stats().work().generationTokens() > before + 10);
      var unused = server.control().pause(PauseRequest.getDefaultInstance());
      long made = server.http.engine.stats().work().generationTokens();
      CompletableFuture<Answer> late =
          CompletableFuture.supplyAsync(() -> server.generate(r -> r.setMaxTokens(3)));
      TestServer.await("the late one waits", () -> server.http.engine.stats().waiting() == 1);
      EngineRounds.of(server.http.engine);
      long since = server.http.engine.stats().work().generationTokens() - made;
      assertTrue(since <= 1, "tokens while paused: " + since); // the step under way is booked late
      EngineRounds.of(server.http.engine);
      assertEquals(made + since, server.http.engine.stats().work().generationTokens());
      assertEquals(1, server.http.engine.stats().running());
      assertTrue(info(server).getPaused());
      assertEquals(ServingStatus.SERVING, health(server, ""));
      assertFalse(running.isDone() || late.isDone());

      var resumed = server.control().resume(ResumeRequest.getDefaultInstance());
      assertEquals(expected.ids(0), running.get(20, TimeUnit.SECONDS).ids(0));
      assertEquals(3, late.get(20, TimeUnit.SECONDS).ids(0).size());
      assertFalse(info(server).getPaused());
      server.awaitIdle();
    }
  }

  @Test
  void paused_cancelStillFreesBlocks() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      var unused = server.control().pause(PauseRequest.getDefaultInstance());
      StatusRuntimeException e =
          assertThrows(
              StatusRuntimeException.class,
              () ->
                  GrpcTestServer.read(
                      server
                          .inference()
                          .withDeadlineAfter(200, TimeUnit.MILLISECONDS)
                          .generate(GrpcTestServer.once(r -> {}))));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, e.getStatus().getCode());
      server.awaitIdle();
    }
  }

  @Test
  void drain_refusesNewOnes_finishesOldOnes_andHealthSaysSo() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      SERVICES.forEach(s -> assertEquals(ServingStatus.SERVING, health(server, s)));
      server.http.stepMillis(5);
      server.http.says("x".repeat(100));
      CompletableFuture<Answer> running =
          CompletableFuture.supplyAsync(() -> server.generate(r -> r.setMaxTokens(60)));
      TestServer.await("it runs", () -> server.http.engine.stats().work().generationTokens() > 3);
      assertEquals(1, server.control().drain(DrainRequest.getDefaultInstance()).getUnfinished());
      SERVICES.forEach(s -> assertEquals(ServingStatus.NOT_SERVING, health(server, s)));
      server.refused(Status.Code.UNAVAILABLE, r -> {});
      assertEquals(503, server.http.get("/ready").statusCode());
      assertEquals(503, server.http.chat("").statusCode());
      assertTrue(info(server).getDraining());
      assertTrue(server.grpc.awaitIdle(Duration.ofSeconds(10)));
      assertEquals(60, running.get(10, TimeUnit.SECONDS).ids(0).size());
    }
  }

  /** HTTP's drain is gRPC's too. */
  @Test
  void httpDrain_isSeenByHealth() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      assertTrue(server.http.http.drain());
      TestServer.await(
          "NOT_SERVING",
          () -> SERVICES.stream().allMatch(s -> health(server, s) == ServingStatus.NOT_SERVING));
    }
  }

  @Test
  void deadEngine_isNotServing() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      assertEquals(ServingStatus.SERVING, health(server, ""));
      server.http.engine.close();
      TestServer.await("NOT_SERVING", () -> health(server, "") == ServingStatus.NOT_SERVING);
      server.refused(Status.Code.UNAVAILABLE, r -> {});
      StatusRuntimeException e =
          assertThrows(
              StatusRuntimeException.class,
              () -> server.control().pause(PauseRequest.getDefaultInstance()));
      assertEquals(Status.Code.UNAVAILABLE, e.getStatus().getCode());
    }
  }

  @Test
  void health_unknownService_notFound() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      StatusRuntimeException e =
          assertThrows(StatusRuntimeException.class, () -> health(server, "tercel.v1.Nothing"));
      assertEquals(Status.Code.NOT_FOUND, e.getStatus().getCode());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Bearer wrong", "secret", "Basic secret", "Bearer secret2"})
  void wrongKey_opensNothingButHealth(String authorization) throws Exception {
    try (GrpcTestServer server = new GrpcTestServer(TestServer.USUAL.withKey("secret"))) {
      assertEquals(ServingStatus.SERVING, health(server, ""));
      var stub = authorization.isEmpty() ? server.inference() : server.inference(authorization);
      StatusRuntimeException e =
          assertThrows(
              StatusRuntimeException.class,
              () -> GrpcTestServer.read(stub.generate(GrpcTestServer.once(r -> {}))));
      assertEquals(Status.Code.UNAUTHENTICATED, e.getStatus().getCode());
      assertFalse(String.valueOf(e.getMessage()).contains("secret"));
      assertEquals(
          Status.Code.UNAUTHENTICATED,
          assertThrows(StatusRuntimeException.class, () -> info(server)).getStatus().getCode());
      assertThrows(ExecutionException.class, () -> services(server, ""));
      assertEquals(0, server.http.engine.stats().work().promptTokens());
    }
  }

  @Test
  void rightKey_opensAll() throws Exception {
    try (GrpcTestServer server = new GrpcTestServer(TestServer.USUAL.withKey("secret"))) {
      Answer answer =
          GrpcTestServer.read(
              server.inference("bearer secret").generate(GrpcTestServer.once(r -> {})));
      assertTrue(answer.usage().getCompletionTokens() > 0);
      assertTrue(services(server, "Bearer secret").contains("tercel.v1.Control"));
    }
  }

  /** The clients' key opens no control, and priorities below 0 as little. */
  @Test
  void control_needsTheAdminKey() throws Exception {
    try (GrpcTestServer server = new GrpcTestServer(TestServer.USUAL.withKey("secret"))) {
      StatusRuntimeException e =
          assertThrows(
              StatusRuntimeException.class,
              () -> server.control("Bearer secret").pause(PauseRequest.getDefaultInstance()));
      assertEquals(Status.Code.PERMISSION_DENIED, e.getStatus().getCode());
      assertFalse(server.http.engine.paused());
      var unused =
          server.control("Bearer " + TestServer.ADMIN_KEY).pause(PauseRequest.getDefaultInstance());
      assertTrue(server.http.engine.paused());
      server.http.engine.resume();

      var urgent = GrpcTestServer.once(r -> r.setPriority(-1));
      e =
          assertThrows(
              StatusRuntimeException.class,
              () -> GrpcTestServer.read(server.inference("Bearer secret").generate(urgent)));
      assertEquals(Status.Code.PERMISSION_DENIED, e.getStatus().getCode());
      assertTrue(String.valueOf(e.getMessage()).contains("priority"), e.getMessage());
      assertTrue(
          GrpcTestServer.read(server.inference("Bearer " + TestServer.ADMIN_KEY).generate(urgent))
                  .usage()
                  .getCompletionTokens()
              > 0);
    }
  }

  @Test
  void reflection_listsServices_andKnowsTheirMessages() throws Exception {
    try (GrpcTestServer server = GrpcTestServer.start()) {
      List<String> services = services(server, "");
      assertTrue(
          services.containsAll(
              List.of(
                  "tercel.v1.Inference",
                  "tercel.v1.Control",
                  "grpc.health.v1.Health",
                  "grpc.reflection.v1.ServerReflection")),
          services.toString());
      assertFalse(services.contains("tercel.v1.Training"));
      ServerReflectionResponse file =
          reflect(
              server,
              "",
              ServerReflectionRequest.newBuilder()
                  .setFileContainingSymbol("tercel.v1.ErrorDetail")
                  .build());
      assertEquals(1, file.getFileDescriptorResponse().getFileDescriptorProtoCount());
    }
  }

  private static List<String> services(GrpcTestServer server, String authorization)
      throws Exception {
    return reflect(
            server, authorization, ServerReflectionRequest.newBuilder().setListServices("").build())
        .getListServicesResponse()
        .getServiceList()
        .stream()
        .map(ServiceResponse::getName)
        .toList();
  }

  private static ServerReflectionResponse reflect(
      GrpcTestServer server, String authorization, ServerReflectionRequest request)
      throws Exception {
    var headers = new io.grpc.Metadata();
    if (!authorization.isEmpty()) {
      headers.put(KeyInterceptor.AUTHORIZATION, authorization);
    }
    CompletableFuture<ServerReflectionResponse> answer = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> requests =
        ServerReflectionGrpc.newStub(server.channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse response) {
                    answer.complete(response);
                  }

                  @Override
                  public void onError(Throwable t) {
                    answer.completeExceptionally(t);
                  }

                  @Override
                  public void onCompleted() {}
                });
    requests.onNext(request);
    return answer.get(10, TimeUnit.SECONDS);
  }
}
