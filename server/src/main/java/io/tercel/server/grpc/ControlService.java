package io.tercel.server.grpc;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.proto.v1.AbortRequest;
import io.tercel.proto.v1.AbortResponse;
import io.tercel.proto.v1.AbortStartedBeforeRequest;
import io.tercel.proto.v1.AbortStartedBeforeResponse;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.DrainRequest;
import io.tercel.proto.v1.DrainResponse;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.GetModelRequest;
import io.tercel.proto.v1.GetModelResponse;
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
import io.tercel.proto.v1.ServiceClassLoad;
import io.tercel.proto.v1.UpdateWeightsRequest;
import io.tercel.proto.v1.UpdateWeightsResponse;
import io.tercel.server.control.ServerControl;
import io.tercel.server.control.ServerInfo;
import io.tercel.server.model.ServedWeights;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** The service {@code tercel.v1.Control}. */
final class ControlService extends ControlGrpc.ControlImplBase {
  private final ServerControl control;
  private final int maxMessageBytes;
  private final Runnable onDrain;
  private final AtomicReference<@Nullable WeightUpload> lastUpload = new AtomicReference<>();

  /**
   * Of one served model.
   *
   * @param maxMessageBytes of one message to the server
   * @param onDrain called when admissions have stopped
   */
  ControlService(ServerControl control, int maxMessageBytes, Runnable onDrain) {
    this.control = control;
    this.maxMessageBytes = maxMessageBytes;
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
          control.abort(request.getRequestId());
          return AbortResponse.getDefaultInstance();
        });
  }

  @Override
  public void abortStartedBefore(
      AbortStartedBeforeRequest request, StreamObserver<AbortStartedBeforeResponse> observer) {
    answer(
        observer,
        () ->
            AbortStartedBeforeResponse.newBuilder()
                .setAborted(control.abortStartedBefore(request.getWeightVersion()))
                .build());
  }

  @Override
  public void pause(PauseRequest request, StreamObserver<PauseResponse> observer) {
    answer(
        observer,
        () -> {
          control.pause();
          return PauseResponse.getDefaultInstance();
        });
  }

  @Override
  public void resume(ResumeRequest request, StreamObserver<ResumeResponse> observer) {
    answer(
        observer,
        () -> {
          control.resume();
          return ResumeResponse.getDefaultInstance();
        });
  }

  @Override
  public void reload(ReloadRequest request, StreamObserver<ReloadResponse> observer) {
    onItsOwnThread(
        "reload",
        observer,
        () -> ReloadResponse.newBuilder().setWeightVersion(control.reload()).build());
  }

  @Override
  public void getWeightChecksum(
      GetWeightChecksumRequest request, StreamObserver<GetWeightChecksumResponse> observer) {
    onItsOwnThread("weight-checksum", observer, this::checksum);
  }

  @Override
  public void getModel(GetModelRequest request, StreamObserver<GetModelResponse> observer) {
    ServedWeights weights = control.weights();
    answer(observer, () -> ModelMessages.of(weights.store(), weights.instance()));
  }

  @Override
  public StreamObserver<UpdateWeightsRequest> updateWeights(
      StreamObserver<UpdateWeightsResponse> observer) {
    return WeightUpload.begin(control.weights(), lastUpload, observer);
  }

  /** For work that computes: on a virtual thread it would keep others from running. */
  private static <T> void onItsOwnThread(
      String name, StreamObserver<T> observer, Callable<T> work) {
    // who has cancelled gets no answer, and that is no failure
    ((ServerCallStreamObserver<T>) observer).setOnCancelHandler(() -> {});
    Thread.ofPlatform().daemon().name(name).start(() -> answer(observer, work));
  }

  private GetWeightChecksumResponse checksum() {
    WeightChecksum checksum = control.checksum();
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
          int unfinished = control.drain();
          onDrain.run();
          return DrainResponse.newBuilder().setUnfinished(unfinished).build();
        });
  }

  private GetInfoResponse info() {
    ServerInfo info = control.info();
    List<ServiceClassLoad> classes = new ArrayList<>();
    for (ServerInfo.ClassLoad of : info.classes()) {
      classes.add(
          ServiceClassLoad.newBuilder()
              .setServiceClass(of.serviceClass())
              .setRunning(of.running())
              .setWaiting(of.waiting())
              .setGenerationTokens(of.generationTokens())
              .setPreemptions(of.preemptions())
              .build());
    }
    return GetInfoResponse.newBuilder()
        .addAllClasses(classes)
        .setVersion(info.version())
        .addAllModelNames(info.modelNames())
        .setBackend(info.backend())
        .setWeightVersion(info.weightVersion())
        .setSystemFingerprint(info.systemFingerprint())
        .setLimits(
            Limits.newBuilder()
                .setMaxModelLen(info.limits().maxModelLen())
                .setMaxNumSeqs(info.limits().maxNumSeqs())
                .setMaxNumBatchedTokens(info.limits().maxNumBatchedTokens())
                .setMaxWaiting(info.limits().maxWaiting())
                .setMaxChoices(info.limits().maxChoices())
                .setMaxMessageBytes(maxMessageBytes))
        .setKvCache(
            KvCache.newBuilder()
                .setType(info.kvCache().type())
                .setBlockSize(info.kvCache().blockSize())
                .setNumBlocks(info.kvCache().numBlocks())
                .setFreeBlocks(info.kvCache().freeBlocks()))
        .setRunning(info.load().running())
        .setWaiting(info.load().waiting())
        .setPaused(info.load().paused())
        .setDraining(info.load().draining())
        .build();
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

  static Throwable explained(Throwable failure) {
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
