package io.tercel.server.grpc;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.proto.v1.AbortRequest;
import io.tercel.proto.v1.AbortResponse;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.DrainRequest;
import io.tercel.proto.v1.DrainResponse;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.GetWeightChecksumRequest;
import io.tercel.proto.v1.GetWeightChecksumResponse;
import io.tercel.proto.v1.KvCache;
import io.tercel.proto.v1.Limits;
import io.tercel.proto.v1.PauseRequest;
import io.tercel.proto.v1.PauseResponse;
import io.tercel.proto.v1.ReloadRequest;
import io.tercel.proto.v1.ReloadResponse;
import io.tercel.proto.v1.ResumeRequest;
import io.tercel.proto.v1.ResumeResponse;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineStats;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.http.HttpLimits;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.openai.ApiConfig;
import io.tercel.server.openai.InferenceApi;
import java.util.ConcurrentModificationException;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** The service {@code tercel.v1.Control}. */
final class ControlService extends ControlGrpc.ControlImplBase {
  private final InferenceApi api;
  private final ServedModelInfo info;
  private final HttpLimits limits;
  private final ServedWeights weights;
  private final Runnable onDrain;

  /**
   * A service of one served model.
   *
   * @param onDrain called when admissions have stopped
   */
  ControlService(
      InferenceApi api,
      HttpLimits limits,
      ServedModelInfo info,
      ServedWeights weights,
      Runnable onDrain) {
    this.limits = limits;
    this.api = api;
    this.info = info;
    this.weights = weights;
    this.onDrain = onDrain;
  }

  @Override
  public void getInfo(GetInfoRequest request, StreamObserver<GetInfoResponse> observer) {
    answer(observer, this::info);
  }

  @Override
  public void abort(AbortRequest request, StreamObserver<AbortResponse> observer) {
    answer(
        observer,
        () -> {
          if (!api.abort(request.getRequestId())) {
            throw Status.NOT_FOUND
                .withDescription(
                    "no request '" + request.getRequestId() + "' runs or waits (request_id)")
                .asException();
          }
          return AbortResponse.getDefaultInstance();
        });
  }

  @Override
  public void pause(PauseRequest request, StreamObserver<PauseResponse> observer) {
    answer(
        observer,
        () -> {
          engine().pause().get();
          return PauseResponse.getDefaultInstance();
        });
  }

  @Override
  public void resume(ResumeRequest request, StreamObserver<ResumeResponse> observer) {
    answer(
        observer,
        () -> {
          engine().resume();
          return ResumeResponse.getDefaultInstance();
        });
  }

  @Override
  public void reload(ReloadRequest request, StreamObserver<ReloadResponse> observer) {
    onItsOwnThread(
        "reload",
        observer,
        () -> {
          StaleKv stale =
              switch (request.getStaleKv()) {
                case STALE_KV_KEEP -> StaleKv.KEEP;
                case STALE_KV_DROP, STALE_KV_UNSPECIFIED -> StaleKv.DROP;
                case UNRECOGNIZED ->
                    throw Status.INVALID_ARGUMENT
                        .withDescription("stale_kv: " + request.getStaleKvValue() + " is unknown")
                        .asException();
              };
          return ReloadResponse.newBuilder().setWeightVersion(weights.reload(stale)).build();
        });
  }

  @Override
  public void getWeightChecksum(
      GetWeightChecksumRequest request, StreamObserver<GetWeightChecksumResponse> observer) {
    onItsOwnThread("weight-checksum", observer, this::checksum);
  }

  /** For work that computes: on a virtual thread it would keep others from running. */
  private static <T> void onItsOwnThread(
      String name, StreamObserver<T> observer, Callable<T> work) {
    // who has cancelled gets no answer, and that is no failure
    ((ServerCallStreamObserver<T>) observer).setOnCancelHandler(() -> {});
    Thread.ofPlatform().daemon().name(name).start(() -> answer(observer, work));
  }

  private GetWeightChecksumResponse checksum() {
    WeightChecksum checksum = weights.checksum();
    return GetWeightChecksumResponse.newBuilder()
        .setAlgorithm(WeightChecksum.ALGORITHM)
        .setDigest(checksum.hex())
        .setWeightVersion(checksum.version())
        .setHashedBytes(checksum.bytes())
        .build();
  }

  @Override
  public void drain(DrainRequest request, StreamObserver<DrainResponse> observer) {
    answer(
        observer,
        () -> {
          api.drain();
          onDrain.run();
          EngineStats stats = engine().stats();
          return DrainResponse.newBuilder()
              .setUnfinished(stats.running() + stats.waiting())
              .build();
        });
  }

  private GetInfoResponse info() {
    ApiConfig config = api.config();
    EngineStats stats = engine().stats();
    return GetInfoResponse.newBuilder()
        .setVersion(config.version())
        .addAllModelNames(config.modelNames())
        .setBackend(info.backend())
        .setWeightVersion(weights.version())
        .setSystemFingerprint(config.systemFingerprint().get())
        .setLimits(
            Limits.newBuilder()
                .setMaxModelLen(api.model().maxModelLen())
                .setMaxNumSeqs(info.maxNumSeqs())
                .setMaxNumBatchedTokens(info.maxNumBatchedTokens())
                .setMaxWaiting(info.maxWaiting())
                .setMaxChoices(config.maxChoices())
                .setMaxMessageBytes(GrpcServer.maxMessageBytes(limits)))
        .setKvCache(
            KvCache.newBuilder()
                .setType(info.kvType())
                .setBlockSize(info.blockSize())
                .setNumBlocks(stats.blocks().total())
                .setFreeBlocks(stats.blocks().free()))
        .setRunning(stats.running())
        .setWaiting(stats.waiting())
        .setPaused(engine().paused())
        .setDraining(!api.ready())
        .build();
  }

  private Engine engine() {
    return api.model().engine();
  }

  private static <T> void answer(StreamObserver<T> observer, Callable<T> work) {
    T message;
    try {
      message = work.call();
    } catch (Throwable e) { // gRPC would answer UNKNOWN
      observer.onError(ErrorStatus.of(explained(e)));
      return;
    }
    observer.onNext(message);
    observer.onCompleted();
  }

  private static Throwable explained(Throwable failure) {
    return switch (failure) {
      case ExecutionException e when e.getCause() != null -> explained(e.getCause());
      case ConcurrentModificationException e ->
          Status.ABORTED.withDescription(e.getMessage()).asRuntimeException();
      case IllegalStateException e -> // the engine has stopped, or another reload goes on
          Status.UNAVAILABLE.withDescription(e.getMessage()).asRuntimeException();
      default -> failure;
    };
  }
}
