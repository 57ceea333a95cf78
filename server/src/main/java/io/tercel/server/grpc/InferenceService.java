package io.tercel.server.grpc;

import com.google.protobuf.MessageLite;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.ChatCompletionsResponse;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.RunningCalls;
import io.tercel.server.openai.InferenceApi;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The service {@code tercel.v1.Inference}; each call has a virtual thread of its own. */
final class InferenceService extends InferenceGrpc.InferenceImplBase {
  private static final Logger log = LoggerFactory.getLogger(InferenceService.class);

  private final InferenceApi api;
  private final RunningCalls calls;
  private final Duration writeTimeout;
  private final Set<String> ids = ConcurrentHashMap.newKeySet();

  InferenceService(InferenceApi api, RunningCalls calls, Duration writeTimeout) {
    this.api = api;
    this.calls = calls;
    this.writeTimeout = writeTimeout;
  }

  /** What a call does; its end is the call's. */
  private interface Work {
    void run() throws Exception;
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    Outbound<GenerateResponse> out = outbound(observer);
    run(out, request, () -> generate(request, out));
  }

  @Override
  public void chatCompletions(
      ChatCompletionsRequest request, StreamObserver<ChatCompletionsResponse> observer) {
    Outbound<ChatCompletionsResponse> out = outbound(observer);
    run(out, request, () -> api.chat(new GrpcCall(out), request.getJson().toByteArray()));
  }

  private <T> Outbound<T> outbound(StreamObserver<T> observer) {
    return new Outbound<>((ServerCallStreamObserver<T>) observer, writeTimeout);
  }

  private void generate(GenerateRequest request, Outbound<GenerateResponse> out)
      throws InterruptedException {
    GenerateStream stream = new GenerateStream(out, request);
    String id = id(request);
    if (id != null && !ids.add(id)) {
      throw Status.ALREADY_EXISTS
          .withDescription("request_id '" + id + "' is in use")
          .asRuntimeException();
    }
    try {
      api.generate(
          stream, id, request.getSerializedSize(), () -> GenerateRequestFields.of(request), stream);
    } finally {
      if (id != null) {
        ids.remove(id);
      }
    }
  }

  private static @Nullable String id(GenerateRequest request) {
    if (!request.hasRequestId()) {
      return null;
    }
    // only what is safe to repeat in a log
    if (!request.getRequestId().matches("[A-Za-z0-9._:/+=-]{1,128}")) {
      throw ApiException.invalid(
          "request_id", "request_id must be 1 to 128 letters, digits or any of . _ : / + = -");
    }
    return request.getRequestId();
  }

  private void run(Outbound<?> out, MessageLite request, Work work) {
    int bytes = request.getSerializedSize();
    try {
      calls.begin(bytes);
    } catch (ApiException e) {
      out.fail(e);
      return;
    }
    // callbacks of the call come on the thread that is here now: it must not wait for the client
    Thread.ofVirtual()
        .name("grpc-call")
        .start(
            () -> {
              try {
                work.run();
                out.end();
              } catch (ClientGoneException e) {
                log.debug("a gRPC call ended early: {}", e.getMessage());
                out.fail(e);
              } catch (Throwable e) { // a virtual thread has nobody above it
                out.fail(e);
              } finally {
                awaitClosed(out);
                calls.end(bytes);
              }
            });
  }

  /** A call runs until its client has all of it. */
  private static void awaitClosed(Outbound<?> out) {
    try {
      out.awaitClosed();
    } catch (ClientGoneException e) {
      log.debug("a gRPC call's end was not read: {}", e.getMessage());
    }
  }
}
