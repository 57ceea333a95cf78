package io.tercel.server.grpc;

import com.google.protobuf.ByteString;
import io.tercel.proto.v1.ChatCompletionsResponse;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Call;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.EventStream;
import io.tercel.server.call.Json;

/** A chat completion whose JSON goes out in messages: one, or one a chunk. */
final class GrpcCall implements Call, EventStream {
  private final Outbound<ChatCompletionsResponse> out;

  GrpcCall(Outbound<ChatCompletionsResponse> out) {
    this.out = out;
  }

  @Override
  public void json(int status, Object value) {
    event(value); // what isn't a 200 comes as an exception
  }

  @Override
  public EventStream stream() {
    return this;
  }

  @Override
  public void event(Object json) {
    out.send(
        ChatCompletionsResponse.newBuilder()
            .setJson(ByteString.copyFrom(Json.bytes(json)))
            .build());
  }

  @Override
  public void done() {} // the call ends when its work returns

  @Override
  public void fail(ApiException e) {
    throw e; // there is a status for it, even in the middle of a stream
  }

  @Override
  public void whenGone(Runnable callback) {
    out.whenGone(callback);
  }

  @Override
  public boolean gone() {
    return out.gone();
  }

  @Override
  public CallRecord record() {
    return out.record();
  }
}
