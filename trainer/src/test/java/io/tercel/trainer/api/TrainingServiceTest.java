package io.tercel.trainer.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.CancelRequest;
import io.tercel.proto.v1.CancelResponse;
import io.tercel.proto.v1.Figures;
import io.tercel.proto.v1.GetRunRequest;
import io.tercel.proto.v1.GetRunResponse;
import io.tercel.proto.v1.TrainingGrpc;
import io.tercel.proto.v1.TrainingState;
import io.tercel.proto.v1.WatchRequest;
import io.tercel.proto.v1.WatchResponse;
import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import io.tercel.server.cli.ModelServing;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.StopSignal;
import io.tercel.trainer.run.TrainingRun;
import io.tercel.trainer.share.ServedStudent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A run that the test takes step by step, and those who watch it on real sockets. */
@Timeout(60)
final class TrainingServiceTest {
  private static final int STEPS = 3;
  private static final String KEY = "client-key";
  private static final String ADMIN = "admin-key";

  @TempDir static Path model;
  @TempDir Path directory;
  private final List<ManagedChannel> channels = new ArrayList<>();
  private final StopSignal stop = StopSignal.listen();
  private TrainingRun run;
  private ServedStudent served;

  @BeforeAll
  static void write() {
    TinyCheckpoint.qwen3()
        .hidden(128)
        .ffn(256)
        .heads(4, 2, 32)
        .gptq(GptqVariant.ASYM_V2)
        .write(model);
  }

  @BeforeEach
  void prepare() throws IOException {
    ObjectNode settings = new ObjectMapper().createObjectNode();
    settings.put("command", "distill").put("steps", STEPS).put("lr", 1e-4);
    run = new TrainingRun(RunFolder.open(directory, true, settings), STEPS, stop);
    served = serve(Keys.of(null, null));
  }

  @AfterEach
  void end() {
    run.close();
    channels.forEach(ManagedChannel::shutdownNow);
    served.close();
    stop.close();
  }

  private ServedStudent serve(Keys keys) {
    return ServedStudent.open(
        model,
        new ServingOptions().backend("vector").threads(1).maxModelLen(256),
        new ServeAddress(ServeAddress.LOOPBACK, 0, 0),
        keys,
        List.of(new TrainingService(TrainingRuns.only(run))));
  }

  private ManagedChannel channel(ServedStudent to) {
    ModelServing serving = Objects.requireNonNull(to.serving());
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", Objects.requireNonNull(serving.grpcPort()))
            .usePlaintext()
            .build();
    channels.add(channel);
    return channel;
  }

  private TrainingGrpc.TrainingBlockingStub training() {
    return TrainingGrpc.newBlockingStub(channel(served)).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  private static ObjectNode step(int step) {
    ObjectNode line = RunLog.line(step).put("loss", 1.0 / step).put("lr", 1e-4);
    return line.put("tokens_per_second", 1000).put("version", step).put("codes_flipped", 7);
  }

  private Future<List<WatchResponse>> watch(WatchRequest request) {
    Iterator<WatchResponse> messages = training().watch(request);
    return CompletableFuture.supplyAsync(
        () -> {
          List<WatchResponse> all = new ArrayList<>();
          messages.forEachRemaining(all::add);
          return all;
        });
  }

  private static WatchRequest from(int step) {
    return WatchRequest.newBuilder().setFromStep(step).build();
  }

  private static List<Integer> steps(List<WatchResponse> messages) {
    return messages.stream()
        .filter(WatchResponse::hasFigures)
        .map(message -> message.getFigures().getStep())
        .toList();
  }

  @Test
  void watch_seesEachLineAsItIsLogged_andTheEnd() throws Exception {
    Iterator<WatchResponse> live = training().watch(from(0));
    RunLog log = run.folder().openLog(0);
    log.append(RunLog.line(0).put("accuracy", 0.25).put("greedy_length", 12));
    Figures before = live.next().getFigures();
    assertEquals(0.25, before.getAccuracy());
    assertEquals(12, before.getLength());
    assertFalse(before.hasLoss());
    assertFalse(before.hasSecondsLeft(), "there is no pace yet");
    log.append(step(1));
    Figures first = live.next().getFigures(); // comes before there is another
    assertEquals(1, first.getStep());
    assertEquals(STEPS, first.getTotalSteps());
    assertEquals(1.0, first.getLoss());
    assertEquals(1e-4, first.getLearningRate());
    assertEquals(1000, first.getTokensPerSecond());
    assertEquals(1, first.getWeightVersion());
    assertFalse(first.hasReward());
    assertTrue(first.hasSecondsLeft());
    assertEquals(step(1).toString(), first.getJson());
    log.append(step(2));
    assertEquals(2, live.next().getFigures().getStep());
    run.carryOut(() -> log.append(step(3)));
    Figures last = live.next().getFigures();
    assertEquals(3, last.getStep());
    assertFalse(last.hasSecondsLeft(), "it has ended");
    assertEquals(TrainingState.TRAINING_STATE_FINISHED, live.next().getEnded().getState());
    assertFalse(live.hasNext());
    assertEquals(
        List.of(0, 1, 2, 3), steps(watch(from(0)).get()), "who comes late gets all the same");
    assertEquals(List.of(2, 3), steps(watch(from(2)).get()));
    assertEquals(List.of(), steps(watch(WatchRequest.getDefaultInstance()).get()));
  }

  @Test
  void watch_ofAResumedRun_hasTheStepsBefore() throws Exception {
    Files.writeString(
        directory.resolve(RunLog.FILE), step(1) + "\n" + step(2) + "\n{\"step\": 3, \"cut");
    Future<List<WatchResponse>> all = watch(from(0));
    Future<List<WatchResponse>> present = watch(WatchRequest.getDefaultInstance());
    assertEquals(
        TrainingState.TRAINING_STATE_PREPARING,
        training().getRun(GetRunRequest.getDefaultInstance()).getStatus().getState());
    RunLog log = run.folder().openLog(1); // what step 2 has said was not saved
    run.carryOut(
        () -> {
          log.append(step(2));
          log.append(step(3));
        });
    assertEquals(List.of(1, 2, 3), steps(all.get()));
    List<Integer> later = steps(present.get());
    assertTrue(List.of(1, 2, 3).containsAll(later) && !later.contains(1), later.toString());
  }

  /** Lines that are longer than what is read at a time, and more of them. */
  @Test
  void watch_ofLongLines_losesNone() throws Exception {
    RunLog log = run.folder().openLog(0);
    String text = "ä".repeat(100_000);
    log.append(step(1).put("text", text));
    for (int i = 0; i < 500; i++) {
      log.append(step(2).put("text", "ä".repeat(i)));
    }
    run.carryOut(() -> log.append(step(3)));
    List<WatchResponse> all = watch(from(0)).get();
    assertEquals(503, all.size());
    assertEquals(step(1).put("text", text).toString(), all.getFirst().getFigures().getJson());
    assertEquals(
        step(2).put("text", "ä".repeat(499)).toString(), all.get(500).getFigures().getJson());
  }

  @Test
  void getRun_saysWhatItWasTold() throws Exception {
    RunLog log = run.folder().openLog(0);
    log.append(step(1));
    GetRunResponse answer = training().getRun(GetRunRequest.getDefaultInstance());
    assertEquals("distill", answer.getCommand());
    assertEquals(directory.toAbsolutePath().toString(), answer.getFolder());
    assertEquals(
        Files.readString(directory.resolve("settings.json")),
        new ObjectMapper().readTree(answer.getSettingsJson()).toPrettyString() + "\n");
    assertEquals(TrainingState.TRAINING_STATE_RUNNING, answer.getStatus().getState());
    assertEquals(1, answer.getStatus().getStep());
    assertTrue(answer.getStatus().hasSecondsLeft());
  }

  @Test
  void cancel_isAnsweredOnceTheRunHasEnded() throws Exception {
    RunLog log = run.folder().openLog(0);
    log.append(step(1));
    Future<List<WatchResponse>> watched = watch(from(0));
    TrainingGrpc.TrainingFutureStub asking = TrainingGrpc.newFutureStub(channel(served));
    Future<CancelResponse> cancelled = asking.cancel(CancelRequest.getDefaultInstance());
    while (!stop.asked()) {
      Thread.onSpinWait();
    }
    assertFalse(cancelled.isDone(), "the step goes on");
    run.carryOut(() -> log.append(step(2))); // the step under way
    CancelResponse answer = cancelled.get();
    assertEquals(TrainingState.TRAINING_STATE_STOPPED, answer.getStatus().getState());
    assertEquals(2, answer.getStatus().getStep());
    assertEquals(List.of(1, 2), steps(watched.get()));
    assertEquals(
        TrainingState.TRAINING_STATE_STOPPED, watched.get().getLast().getEnded().getState());
    assertEquals(answer, training().cancel(CancelRequest.getDefaultInstance()), "once more");
  }

  @Test
  void failure_isTold() throws Exception {
    Future<List<WatchResponse>> watched = watch(from(0));
    RunLog log = run.folder().openLog(0);
    assertThrows(
        UserException.class,
        () ->
            run.carryOut(
                () -> {
                  log.append(step(1));
                  throw new UserException("step 2: the loss is NaN");
                }));
    WatchResponse last = watched.get().getLast();
    assertEquals(TrainingState.TRAINING_STATE_FAILED, last.getEnded().getState());
    assertEquals("step 2: the loss is NaN", last.getEnded().getFailure());
    assertEquals(1, last.getEnded().getStep());
  }

  /** Of a run whose data can't be read, say: those who wait for its first line are told. */
  @Test
  void runThatNeverBegins_isTold() throws Exception {
    Future<List<WatchResponse>> watched = watch(from(0));
    run.close();
    assertEquals(1, watched.get().size());
    assertEquals(
        TrainingState.TRAINING_STATE_FAILED, watched.get().getFirst().getEnded().getState());
  }

  /** Closing the server waits for calls that run, not for those that were left. */
  @Test
  void whoLeaves_isForgotten() throws Exception {
    run.folder().openLog(0).append(step(1));
    ManagedChannel channel = channel(served);
    Iterator<WatchResponse> live = TrainingGrpc.newBlockingStub(channel).watch(from(0));
    assertEquals(1, live.next().getFigures().getStep());
    channel.shutdownNow();
    ModelServing serving = Objects.requireNonNull(served.serving());
    assertTrue(serving.drain().startsWith("Drained: "), "it waited for somebody who has left");
  }

  @Test
  void keys_clientsMayLook_theAdminMayCancel() throws Exception {
    run.folder().openLog(0).append(step(1));
    try (ServedStudent guarded = serve(Keys.of(KEY, ADMIN))) {
      TrainingGrpc.TrainingBlockingStub nobody = TrainingGrpc.newBlockingStub(channel(guarded));
      GetRunRequest get = GetRunRequest.getDefaultInstance();
      CancelRequest cancel = CancelRequest.getDefaultInstance();
      assertRefused(Status.Code.UNAUTHENTICATED, () -> nobody.getRun(get));
      assertRefused(Status.Code.UNAUTHENTICATED, () -> nobody.watch(from(0)).next());
      assertRefused(Status.Code.UNAUTHENTICATED, () -> nobody.cancel(cancel));
      assertNotNull(with(nobody, KEY).getRun(get));
      assertRefused(Status.Code.PERMISSION_DENIED, () -> with(nobody, KEY).cancel(cancel));
      assertFalse(stop.asked());
      run.carryOut(() -> {});
      assertEquals(
          TrainingState.TRAINING_STATE_STOPPED,
          with(nobody, ADMIN).cancel(cancel).getStatus().getState());
      assertTrue(stop.asked());
    }
  }

  private static TrainingGrpc.TrainingBlockingStub with(
      TrainingGrpc.TrainingBlockingStub stub, String key) {
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + key);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private static void assertRefused(Status.Code code, Executable call) {
    assertEquals(code, assertThrows(StatusRuntimeException.class, call).getStatus().getCode());
  }

  @Test
  void badStep_isRefused() {
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> training().watch(from(-1)).next());
    assertEquals(Status.Code.INVALID_ARGUMENT, e.getStatus().getCode());
    assertTrue(String.valueOf(e.getMessage()).contains("from_step"), e.getMessage());
  }

  @Test
  void reflectionAndHealth_knowIt() throws Exception {
    ManagedChannel channel = channel(served);
    CompletableFuture<List<String>> services = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> ask =
        ServerReflectionGrpc.newStub(channel)
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse answer) {
                    services.complete(
                        answer.getListServicesResponse().getServiceList().stream()
                            .map(ServiceResponse::getName)
                            .toList());
                  }

                  @Override
                  public void onError(Throwable e) {
                    services.completeExceptionally(e);
                  }

                  @Override
                  public void onCompleted() {}
                });
    ask.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    List<String> known = services.get();
    ask.onCompleted();
    assertTrue(known.contains("tercel.v1.Training"), known.toString());
    assertEquals(
        ServingStatus.SERVING,
        HealthGrpc.newBlockingStub(channel)
            .check(HealthCheckRequest.newBuilder().setService("tercel.v1.Training").build())
            .getStatus());
  }
}
