package io.tercel.server.api.grpc;

import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import io.tercel.server.api.ApiException;
import io.tercel.server.api.InferenceApi;

/**
 * Asks every call for the API key, those for health excepted; what a call without it sends is never
 * read.
 */
final class KeyInterceptor implements ServerInterceptor {
  static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final InferenceApi api;

  KeyInterceptor(InferenceApi api) {
    this.api = api;
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    boolean open = HealthGrpc.SERVICE_NAME.equals(call.getMethodDescriptor().getServiceName());
    if (!open) {
      try {
        api.checkKey(headers.get(AUTHORIZATION));
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
