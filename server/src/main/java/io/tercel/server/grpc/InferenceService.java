package io.tercel.server.grpc;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.ChatCompletionsResponse;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.call.ApiException;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.request.CompletionId;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** The service {@code tercel.v1.Inference}; each call has a virtual thread of its own. */
final class InferenceService extends InferenceGrpc.InferenceImplBase {
  private final InferenceApi api;
  private final GrpcCalls calls;
  private final Set<String> ids = ConcurrentHashMap.newKeySet();

  InferenceService(InferenceApi api, GrpcCalls calls) {
    this.api = api;
    this.calls = calls;
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    calls.run(request, observer, out -> generate(request, out));
  }

  @Override
  public void chatCompletions(
      ChatCompletionsRequest request, StreamObserver<ChatCompletionsResponse> observer) {
    calls.run(
        request, observer, out -> api.chat(new GrpcCall(out), request.getJson().toByteArray()));
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
    if (!CompletionId.isUsable(request.getRequestId())) {
      throw ApiException.invalid("request_id", "request_id must be " + CompletionId.USABLE);
    }
    return request.getRequestId();
  }
}
