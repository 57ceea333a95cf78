package io.tercel.server.grpc;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.kernels.exchange.TensorPart;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.proto.v1.UpdateWeightsRequest;
import io.tercel.proto.v1.UpdateWeightsResponse;
import io.tercel.proto.v1.WeightPieces;
import io.tercel.proto.v1.WeightUpdateBegin;
import io.tercel.proto.v1.WeightUpdateEnd;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.model.ServedWeights.Incoming;
import java.security.MessageDigest;
import java.util.ConcurrentModificationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * A call of UpdateWeights. Messages are read one at a time, and unpacked on a thread of their own:
 * on a virtual one that would keep others from running.
 */
final class WeightUpload implements StreamObserver<UpdateWeightsRequest> {
  private final ServedWeights weights;
  private final AtomicReference<@Nullable WeightUpload> last;
  private final ServerCallStreamObserver<UpdateWeightsResponse> call;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("weights-in").factory());
  private @Nullable Incoming incoming;
  private boolean ended;

  private WeightUpload(
      ServedWeights weights,
      AtomicReference<@Nullable WeightUpload> last,
      ServerCallStreamObserver<UpdateWeightsResponse> call) {
    this.weights = weights;
    this.last = last;
    this.call = call;
  }

  /**
   * To be called by the service's method.
   *
   * @param last holds the upload that has begun last, which alone goes on
   */
  static StreamObserver<UpdateWeightsRequest> begin(
      ServedWeights weights,
      AtomicReference<@Nullable WeightUpload> last,
      StreamObserver<UpdateWeightsResponse> observer) {
    var call = (ServerCallStreamObserver<UpdateWeightsResponse>) observer;
    WeightUpload upload = new WeightUpload(weights, last, call);
    call.disableAutoRequest();
    call.setOnCancelHandler(() -> upload.onItsThread(upload::end));
    call.setOnCloseHandler(() -> upload.onItsThread(upload::end)); // of a message that is none
    call.request(1);
    return upload;
  }

  @Override
  public void onNext(UpdateWeightsRequest message) {
    onItsThread(
        () -> {
          take(message);
          call.request(1);
        });
  }

  @Override
  public void onError(Throwable failure) {
    onItsThread(this::end);
  }

  @Override
  public void onCompleted() {
    onItsThread(() -> fail(invalid("the stream has ended before its end was said")));
  }

  private void onItsThread(Runnable work) {
    try {
      thread.execute(
          () -> {
            if (ended) {
              return;
            }
            try {
              work.run();
            } catch (Throwable e) { // nobody else is told
              fail(e);
            }
          });
    } catch (RejectedExecutionException e) { // it has ended
    }
  }

  private void take(UpdateWeightsRequest message) {
    switch (message.getPartCase()) {
      case BEGIN -> begin(message.getBegin());
      case PIECES -> put(begun(), message.getPieces());
      case END -> apply(begun(), message.getEnd());
      case PART_NOT_SET -> throw invalid("a message is one of begin, pieces and end");
    }
  }

  private Incoming begun() {
    Incoming known = incoming;
    if (known == null) {
      throw invalid("begin comes first");
    }
    return known;
  }

  private void begin(WeightUpdateBegin begin) {
    if (incoming != null) {
      throw invalid("begin comes once");
    }
    if (begin.hasBaseVersion() != begin.hasInstance()) {
      throw invalid("instance and base_version are both given, or neither");
    }
    WeightUpload before = last.getAndSet(this);
    if (before != null) {
      before.onItsThread(
          () -> before.fail(new ConcurrentModificationException("another update has begun")));
    }
    boolean everything = !begin.hasBaseVersion();
    Incoming begun;
    try {
      begun = weights.receive(everything);
    } catch (IllegalArgumentException e) {
      throw Status.FAILED_PRECONDITION.withDescription(e.getMessage()).asRuntimeException();
    }
    incoming = begun;
    if (!everything
        && (!begin.getInstance().equals(weights.instance())
            || begin.getBaseVersion() != begun.baseVersion())) {
      throw Status.FAILED_PRECONDITION
          .withDescription(
              "version %d of instance %s is to be changed, but version %d of %s is here; send all"
                  .formatted(
                      begin.getBaseVersion(),
                      // it may be anything
                      begin.getInstance().matches("[0-9a-f-]{1,36}")
                          ? begin.getInstance()
                          : "another server",
                      begun.baseVersion(),
                      weights.instance()))
          .asRuntimeException();
    }
  }

  private static void put(Incoming to, WeightPieces pieces) {
    if (pieces.getOffsetsCount() != pieces.getLengthsCount()) {
      throw invalid(
          "%d offsets and %d lengths"
              .formatted(pieces.getOffsetsCount(), pieces.getLengthsCount()));
    }
    TensorPart part = part(pieces.getPart());
    byte[] data = bytes(pieces.getData());
    int from = 0;
    for (int i = 0; i < pieces.getOffsetsCount(); i++) {
      int length = pieces.getLengths(i);
      if (length < 0 || length > data.length - from) {
        throw invalid("lengths are those of more than the %d bytes of data".formatted(data.length));
      }
      to.put(pieces.getName(), part, pieces.getOffsets(i), data, from, length);
      from += length;
    }
    if (from != data.length) {
      throw invalid("lengths are those of %d of %d bytes of data".formatted(from, data.length));
    }
  }

  private static byte[] bytes(ByteString data) {
    return data.toByteArray();
  }

  private static TensorPart part(io.tercel.proto.v1.TensorPart part) {
    return switch (part) {
      case TENSOR_PART_CODES -> TensorPart.CODES;
      case TENSOR_PART_SCALES -> TensorPart.SCALES;
      case TENSOR_PART_ZEROS -> TensorPart.ZEROS;
      case TENSOR_PART_VALUES -> TensorPart.VALUES;
      case TENSOR_PART_UNSPECIFIED, UNRECOGNIZED ->
          throw invalid("part is CODES, SCALES, ZEROS or VALUES");
    };
  }

  private void apply(Incoming all, WeightUpdateEnd end) {
    if (!MessageDigest.isEqual(all.digest(), end.getSha256().toByteArray())) {
      throw invalid("sha256 differs from that of the pieces that have come");
    }
    if (call.isCancelled()) {
      end();
      return;
    }
    long version = all.apply();
    UpdateWeightsResponse answer =
        UpdateWeightsResponse.newBuilder()
            .setWeightVersion(version)
            .setInstance(weights.instance())
            .build();
    end();
    call.onNext(answer);
    call.onCompleted();
  }

  private static RuntimeException invalid(String why) {
    return Status.INVALID_ARGUMENT.withDescription(why).asRuntimeException();
  }

  private void fail(Throwable failure) {
    end();
    if (!call.isCancelled()) {
      call.onError(ErrorStatus.of(explained(failure)));
    }
  }

  private static Throwable explained(Throwable failure) {
    return switch (failure) {
      case IllegalArgumentException e -> invalid(String.valueOf(e.getMessage()));
      case NonFiniteWeightsException e -> invalid(String.valueOf(e.getMessage()));
      default -> ControlService.explained(failure);
    };
  }

  /** Lets go of all that has come. */
  private void end() {
    ended = true;
    last.compareAndSet(this, null);
    Incoming known = incoming;
    if (known != null) {
      known.close();
    }
    thread.shutdown();
  }
}
