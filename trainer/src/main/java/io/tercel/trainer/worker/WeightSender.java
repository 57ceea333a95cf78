package io.tercel.trainer.worker;

import com.google.protobuf.ByteString;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.tercel.kernels.exchange.Pieces;
import io.tercel.kernels.exchange.PiecesDigest;
import io.tercel.kernels.exchange.WeightHistory;
import io.tercel.proto.v1.ControlGrpc.ControlStub;
import io.tercel.proto.v1.TensorPart;
import io.tercel.proto.v1.UpdateWeightsRequest;
import io.tercel.proto.v1.UpdateWeightsResponse;
import io.tercel.proto.v1.WeightPieces;
import io.tercel.proto.v1.WeightUpdateBegin;
import io.tercel.proto.v1.WeightUpdateEnd;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** One UpdateWeights: sends pieces as fast as they are taken, and waits for the answer. */
final class WeightSender
    implements ClientResponseObserver<UpdateWeightsRequest, UpdateWeightsResponse> {
  private final Deadline deadline;
  private final PiecesDigest digest = new PiecesDigest();
  private @Nullable ClientCallStreamObserver<UpdateWeightsRequest> out;
  private @Nullable UpdateWeightsResponse answer;
  private @Nullable Throwable failure;
  private boolean over;
  private long bytes;

  private WeightSender(Deadline deadline) {
    this.deadline = deadline;
  }

  /**
   * What came of it.
   *
   * @param bytes of pieces
   */
  record Sent(UpdateWeightsResponse answer, long bytes) {}

  /**
   * Sends what has changed since a version of the history, or everything.
   *
   * @param begin what the worker holds; or nothing
   * @throws io.grpc.StatusRuntimeException if the worker doesn't take it, or not in time
   * @throws java.util.ConcurrentModificationException if the weights change meanwhile
   */
  static Sent send(
      ControlStub stub,
      WeightHistory history,
      long since,
      WeightUpdateBegin begin,
      Deadline deadline)
      throws InterruptedException {
    WeightSender sender = new WeightSender(deadline);
    var unused = stub.withDeadline(deadline).updateWeights(sender);
    try {
      sender.next(UpdateWeightsRequest.newBuilder().setBegin(begin).build());
      history.read(since, sender::pieces);
      sender.next(
          UpdateWeightsRequest.newBuilder()
              .setEnd(
                  WeightUpdateEnd.newBuilder()
                      .setSha256(ByteString.copyFrom(sender.digest.bytes())))
              .build());
      return new Sent(sender.await(), sender.bytes);
    } catch (RuntimeException | InterruptedException e) {
      sender.cancel(e);
      throw e;
    }
  }

  private void pieces(Pieces pieces) throws InterruptedException {
    digest.add(pieces);
    WeightPieces.Builder message =
        WeightPieces.newBuilder()
            .setName(pieces.name())
            .setPart(
                switch (pieces.part()) {
                  case CODES -> TensorPart.TENSOR_PART_CODES;
                  case SCALES -> TensorPart.TENSOR_PART_SCALES;
                  case ZEROS -> TensorPart.TENSOR_PART_ZEROS;
                  case VALUES -> TensorPart.TENSOR_PART_VALUES;
                })
            .setData(ByteString.copyFrom(pieces.data(), 0, pieces.bytes()));
    for (int i = 0; i < pieces.count(); i++) {
      message.addOffsets(pieces.offset(i)).addLengths(pieces.length(i));
    }
    next(UpdateWeightsRequest.newBuilder().setPieces(message).build());
    bytes += pieces.bytes();
  }

  private synchronized void next(UpdateWeightsRequest message) throws InterruptedException {
    while (!over && !stream().isReady()) {
      pause();
    }
    if (over) {
      throw ended();
    }
    stream().onNext(message);
  }

  private synchronized UpdateWeightsResponse await() throws InterruptedException {
    stream().onCompleted();
    while (!over) {
      pause();
    }
    UpdateWeightsResponse known = answer;
    if (known == null || failure != null) {
      throw ended();
    }
    return known;
  }

  /** The deadline ends the call, which wakes whoever waits; this is for a library that doesn't. */
  private void pause() throws InterruptedException {
    long left = deadline.timeRemaining(TimeUnit.MILLISECONDS) + 1000;
    if (left <= 0) {
      throw Status.DEADLINE_EXCEEDED.withDescription("it takes too long").asRuntimeException();
    }
    wait(left);
  }

  private RuntimeException ended() {
    return failure == null
        ? Status.INTERNAL.withDescription("no answer").asRuntimeException()
        : Status.fromThrowable(failure).asRuntimeException();
  }

  private synchronized void cancel(Throwable cause) {
    if (!over) {
      stream().cancel("given up", cause);
    }
  }

  private ClientCallStreamObserver<UpdateWeightsRequest> stream() {
    ClientCallStreamObserver<UpdateWeightsRequest> known = out;
    if (known == null) {
      throw new IllegalStateException("the call has not begun");
    }
    return known;
  }

  private synchronized void wake() {
    notifyAll();
  }

  @Override
  public synchronized void beforeStart(ClientCallStreamObserver<UpdateWeightsRequest> stream) {
    out = stream;
    stream.setOnReadyHandler(this::wake);
  }

  @Override
  public synchronized void onNext(UpdateWeightsResponse message) {
    answer = message;
  }

  @Override
  public synchronized void onError(Throwable cause) {
    failure = cause;
    over = true;
    notifyAll();
  }

  @Override
  public synchronized void onCompleted() {
    over = true;
    notifyAll();
  }
}
