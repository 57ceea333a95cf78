package io.tercel.server.grpc;

import io.grpc.Context;
import io.tercel.server.call.CallRecord;
import java.util.Objects;

/**
 * The record of the call that is being begun, in gRPC's context. It ends as the call is closed,
 * unless a thread of the call's own says when.
 */
final class GrpcCallRecord {
  private static final Context.Key<GrpcCallRecord> KEY = Context.key("call-record");

  private final CallRecord record;
  private volatile boolean ownThread;

  GrpcCallRecord(CallRecord record) {
    this.record = record;
  }

  /** Of the call that is being begun on this thread. */
  static GrpcCallRecord current() {
    return Objects.requireNonNull(KEY.get(), "every call has come past the key");
  }

  Context inContext() {
    return Context.current().withValue(KEY, this);
  }

  /** The same, for a thread that ends it. */
  CallRecord take() {
    ownThread = true;
    return record;
  }

  CallRecord record() {
    return record;
  }

  /** The call was closed, or its client has left. */
  void closed() {
    if (!ownThread) {
      record.end();
    }
  }
}
