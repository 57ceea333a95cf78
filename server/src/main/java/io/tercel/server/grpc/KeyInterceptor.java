package io.tercel.server.grpc;

import io.grpc.Contexts;
import io.grpc.ForwardingServerCall;
import io.grpc.ForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthGrpc;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.CallObserver;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.Guard;
import io.tercel.server.call.KeyHolder;
import io.tercel.server.call.RequestId;
import io.tercel.server.http.HttpServerConfig;
import java.util.Iterator;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Asks every call for a key, those for health excepted: Control and what else steers for the
 * admin's, all others for a client's. What a call without it sends is never read.
 */
final class KeyInterceptor implements ServerInterceptor {
  static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> TRACE_PARENT =
      Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);

  private final Guard clients;
  private final Guard control;
  private final Set<String> adminMethods;
  private final CallObserver observer;

  /**
   * For a server.
   *
   * @param config whose keys they are, and who is told of calls that have ended
   * @param adminMethods besides Control's, by their full names: {@code service/method}
   */
  KeyInterceptor(HttpServerConfig config, Set<String> adminMethods) {
    this.adminMethods = Set.copyOf(adminMethods);
    this.observer = config.observer();
    this.clients = config.keys().clients();
    this.control = config.keys().control(config.loopback());
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    String service = String.valueOf(call.getMethodDescriptor().getServiceName());
    if (service.equals(HealthGrpc.SERVICE_NAME)) {
      return next.startCall(call, headers);
    }
    String method = call.getMethodDescriptor().getFullMethodName();
    CallRecord record = new CallRecord("grpc", RequestId.of(headers.get(REQUEST_ID)), observer);
    record.goesTo(method, !service.startsWith("grpc.reflection."));
    record.traceParent(headers.get(TRACE_PARENT));
    GrpcCallRecord current = new GrpcCallRecord(record);
    ServerCall<Q, A> recorded = new Recorded<>(call, current);
    try {
      admit(record, service, method, headers);
    } catch (ApiException e) {
      record.error(e.code());
      StatusRuntimeException refusal = ErrorStatus.of(e);
      Metadata trailers = refusal.getTrailers();
      recorded.close(
          Status.fromCode(refusal.getStatus().getCode()).withDescription(e.getMessage()),
          trailers == null ? new Metadata() : trailers);
      return new ServerCall.Listener<>() {};
    }
    try {
      return new Leaving<>(
          Contexts.interceptCall(current.inContext(), recorded, headers, next), current);
    } catch (RuntimeException e) { // nobody will ever close it
      current.closed();
      throw e;
    }
  }

  private void admit(CallRecord record, String service, String method, Metadata headers) {
    boolean steers = service.equals(ControlGrpc.SERVICE_NAME) || adminMethods.contains(method);
    KeyHolder holder = (steers ? control : clients).admit(authorization(headers));
    record.admitted(holder);
    if (service.equals(InferenceGrpc.SERVICE_NAME)) {
      holder.countRequest();
    }
  }

  /** One that is there twice is none, as of HTTP. */
  private static @Nullable String authorization(Metadata headers) {
    Iterable<String> all = headers.getAll(AUTHORIZATION);
    if (all == null) {
      return null;
    }
    Iterator<String> each = all.iterator();
    String first = each.next();
    return each.hasNext() ? "" : first;
  }

  /** Notes how a call is answered. */
  private static final class Recorded<Q, A>
      extends ForwardingServerCall.SimpleForwardingServerCall<Q, A> {
    private final GrpcCallRecord record;

    Recorded(ServerCall<Q, A> call, GrpcCallRecord record) {
      super(call);
      this.record = record;
    }

    @Override
    public void close(Status status, Metadata trailers) {
      record.record().status(status.getCode().name());
      super.close(status, trailers);
      record.closed();
    }
  }

  /**
   * Notes that a call's client has left, and the end of those that gRPC itself ends, past our own
   * {@code close}: a message that can't be parsed, a service that throws.
   */
  private static final class Leaving<Q>
      extends ForwardingServerCallListener.SimpleForwardingServerCallListener<Q> {
    private final GrpcCallRecord record;

    Leaving(ServerCall.Listener<Q> listener, GrpcCallRecord record) {
      super(listener);
      this.record = record;
    }

    @Override
    public void onComplete() {
      super.onComplete();
      record.closed();
    }

    @Override
    public void onCancel() {
      record.record().clientGone();
      super.onCancel();
      record.closed();
    }
  }
}
