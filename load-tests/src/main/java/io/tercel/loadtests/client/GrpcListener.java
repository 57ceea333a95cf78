package io.tercel.loadtests.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import com.google.rpc.RetryInfo;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import java.net.ConnectException;
import java.util.OptionalDouble;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/** Reads a call's messages into its trace, one after another, at the client's pace. */
final class GrpcListener<R extends MessageLite> extends ClientCall.Listener<R> {
  private final ClientCall<?, R> call;
  private final RequestTrace trace;
  private final GrpcAnswer<R> answer;
  private final int leaveAfter;
  private final LongFunction<Long> pace;
  private final CountDownLatch closed = new CountDownLatch(1);

  /**
   * Of one call.
   *
   * @param leaveAfter leave once tokens have come that many times
   * @param pace nanoseconds to wait after a message of so many bytes
   */
  GrpcListener(
      ClientCall<?, R> call,
      RequestTrace trace,
      GrpcAnswer<R> answer,
      int leaveAfter,
      LongFunction<Long> pace) {
    this.call = call;
    this.trace = trace;
    this.answer = answer;
    this.leaveAfter = leaveAfter;
    this.pace = pace;
  }

  /** Whether it has ended by then. */
  boolean await(long nanos) throws InterruptedException {
    return closed.await(nanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void onMessage(R message) {
    answer.message(message, System.nanoTime());
    if (trace.tokenEvents() >= leaveAfter) {
      trace.left(System.nanoTime());
      call.cancel("the client leaves", null);
      closed.countDown();
      return;
    }
    long wait = pace.apply(message.getSerializedSize());
    if (wait > 0) {
      CompletableFuture.delayedExecutor(wait, TimeUnit.NANOSECONDS).execute(() -> call.request(1));
    } else {
      call.request(1);
    }
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    if (status.isOk()) {
      answer.end(System.nanoTime());
    } else {
      trace.failed(System.nanoTime(), failure(status, trailers));
    }
    closed.countDown();
  }

  private Failure failure(Status status, Metadata trailers) {
    String description = status.getDescription() == null ? "" : status.getDescription();
    if (status.getCode() == Status.Code.DEADLINE_EXCEEDED) {
      return Failure.timeout(description);
    }
    for (Throwable t = status.getCause(); t != null; t = t.getCause()) {
      if (t instanceof ConnectException) {
        return Failure.connection("no connection: " + t.getMessage());
      }
    }
    return Failure.grpc(status.getCode().name(), description, retryAfter(status, trailers));
  }

  private static OptionalDouble retryAfter(Status status, @Nullable Metadata trailers) {
    com.google.rpc.Status details = StatusProto.fromStatusAndTrailers(status, trailers);
    for (Any detail : details.getDetailsList()) {
      if (detail.is(RetryInfo.class)) {
        try {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          return OptionalDouble.of(delay.getSeconds() + delay.getNanos() / 1e9);
        } catch (InvalidProtocolBufferException e) {
          return OptionalDouble.empty();
        }
      }
    }
    return OptionalDouble.empty();
  }
}
