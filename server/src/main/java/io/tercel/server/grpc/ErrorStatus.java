package io.tercel.server.grpc;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.proto.v1.ErrorDetail;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.Json;
import io.tercel.server.openai.wire.ErrorBody;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Errors as gRPC knows them: a code, a message for people, and details for programs, among them the
 * body that HTTP would answer.
 */
final class ErrorStatus {
  private static final Logger log = LoggerFactory.getLogger(ErrorStatus.class);

  /** As HTTP has it, for clients that don't unpack details. */
  static final Metadata.Key<String> RETRY_AFTER =
      Metadata.Key.of("retry-after", Metadata.ASCII_STRING_MARSHALLER);

  private ErrorStatus() {}

  /** What a client shall see of a failure; our own faults go to the log. */
  static StatusRuntimeException of(Throwable failure) {
    return switch (failure) {
      case StatusRuntimeException e -> e;
      case StatusException e -> new StatusRuntimeException(e.getStatus(), e.getTrailers());
      case ClientGoneException e ->
          Status.CANCELLED.withDescription(e.getMessage()).asRuntimeException();
      case CheckpointException e ->
          Status.FAILED_PRECONDITION.withDescription(e.getMessage()).asRuntimeException();
      default -> {
        ApiException e = ApiException.of(failure);
        if (e.status() == 500 && e != failure) {
          log.error("a gRPC call failed", failure);
        }
        yield of(e);
      }
    };
  }

  private static StatusRuntimeException of(ApiException e) {
    String param = e.param();
    String text = String.valueOf(e.getMessage());
    // many clients show nothing but this
    String message = param == null || text.contains(param) ? text : param + ": " + text;
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder()
            .setCode(code(e.status()).value())
            .setMessage(message)
            .addDetails(Any.pack(detail(e)));
    if (param != null) {
      status.addDetails(
          Any.pack(
              BadRequest.newBuilder()
                  .addFieldViolations(
                      BadRequest.FieldViolation.newBuilder().setField(param).setDescription(text))
                  .build()));
    }
    Metadata trailers = new Metadata();
    e.headers()
        .forEach(
            (name, value) ->
                trailers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value));
    int seconds = e.retryAfterSeconds();
    if (seconds > 0) {
      trailers.put(RETRY_AFTER, Integer.toString(seconds));
      status.addDetails(
          Any.pack(
              RetryInfo.newBuilder()
                  .setRetryDelay(Duration.newBuilder().setSeconds(seconds))
                  .build()));
    }
    return StatusProto.toStatusRuntimeException(status.build(), trailers);
  }

  private static ErrorDetail detail(ApiException e) {
    return ErrorDetail.newBuilder()
        .setHttpStatus(e.status())
        .setJson(ByteString.copyFrom(Json.bytes(ErrorBody.of(e))))
        .build();
  }

  private static Status.Code code(int httpStatus) {
    return switch (httpStatus) {
      case 400 -> Status.Code.INVALID_ARGUMENT;
      case 401 -> Status.Code.UNAUTHENTICATED;
      case 403 -> Status.Code.PERMISSION_DENIED;
      case 404 -> Status.Code.NOT_FOUND;
      case 408 -> Status.Code.DEADLINE_EXCEEDED;
      case 409 -> Status.Code.FAILED_PRECONDITION;
      case 413, 429 -> Status.Code.RESOURCE_EXHAUSTED;
      case 503 -> Status.Code.UNAVAILABLE;
      default -> Status.Code.INTERNAL;
    };
  }
}
