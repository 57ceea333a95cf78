package io.tercel.server.grpc;

import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.ApiKey;
import org.jspecify.annotations.Nullable;

/**
 * Asks every call for the API key, those for health excepted; what a call without it sends is never
 * read.
 */
final class KeyInterceptor implements ServerInterceptor {
  static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final @Nullable ApiKey key;

  KeyInterceptor(@Nullable String key) {
    this.key = key == null ? null : new ApiKey(key);
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    boolean open = HealthGrpc.SERVICE_NAME.equals(call.getMethodDescriptor().getServiceName());
    if (!open && key != null) {
      try {
        key.check(headers.get(AUTHORIZATION));
      } catch (ApiException e) {
        StatusRuntimeException refusal = ErrorStatus.of(e);
        Metadata trailers = refusal.getTrailers();
        call.close(
            Status.UNAUTHENTICATED.withDescription(e.getMessage()),
            trailers == null ? new Metadata() : trailers);
        return new ServerCall.Listener<>() {};
      }
    }
    return next.startCall(call, headers);
  }
}
