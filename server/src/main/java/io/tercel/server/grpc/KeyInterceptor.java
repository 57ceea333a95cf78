package io.tercel.server.grpc;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Guard;
import io.tercel.server.call.Keys;
import io.tercel.server.call.Rights;
import java.util.Set;

/**
 * Asks every call for a key, those for health excepted: Control and what else steers for the
 * admin's, all others for a client's. What a call without it sends is never read.
 */
final class KeyInterceptor implements ServerInterceptor {
  static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Of whoever makes the call that is being begun. */
  static final Context.Key<Rights> RIGHTS = Context.keyWithDefault("rights", Rights.CLIENT);

  private final Guard clients;
  private final Guard control;
  private final Set<String> adminMethods;

  /**
   * For a server.
   *
   * @param loopback whether only this machine reaches it
   * @param adminMethods besides Control's, by their full names: {@code service/method}
   */
  KeyInterceptor(Keys keys, boolean loopback, Set<String> adminMethods) {
    this.adminMethods = Set.copyOf(adminMethods);
    this.clients = keys.clients();
    this.control = keys.control(loopback);
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    String service = String.valueOf(call.getMethodDescriptor().getServiceName());
    if (service.equals(HealthGrpc.SERVICE_NAME)) {
      return next.startCall(call, headers);
    }
    boolean steers =
        service.equals(ControlGrpc.SERVICE_NAME)
            || adminMethods.contains(call.getMethodDescriptor().getFullMethodName());
    Guard guard = steers ? control : clients;
    Rights rights;
    try {
      rights = guard.admit(headers.get(AUTHORIZATION));
    } catch (ApiException e) {
      StatusRuntimeException refusal = ErrorStatus.of(e);
      Metadata trailers = refusal.getTrailers();
      call.close(
          Status.fromCode(refusal.getStatus().getCode()).withDescription(e.getMessage()),
          trailers == null ? new Metadata() : trailers);
      return new ServerCall.Listener<>() {};
    }
    return Contexts.interceptCall(Context.current().withValue(RIGHTS, rights), call, headers, next);
  }
}
