package io.tercel.loadtests.client;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.netty.NettyChannelBuilder;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.proto.v1.ChatCompletionsRequest;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.InferenceGrpc;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.LongFunction;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A Tercel server over gRPC: {@code Inference.Generate}, or {@code Inference.ChatCompletions} with
 * the JSON of the HTTP API. Plain text, one connection for all clients, as gRPC has it; slow
 * readers have another, whose streams take little before they are read.
 */
public final class GrpcTarget implements Target {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /**
   * Kept, or the level that is set here would be lost; below warnings gRPC tells of its transport.
   */
  private static final Logger GRPC_LOG = Logger.getLogger("io.grpc");

  private static final int SLOW_WINDOW_BYTES = 1024;

  private final @Nullable String apiKey;
  private final boolean chat;
  private final RequestBody body;
  private final GenerateFields fields;
  private final Duration timeout;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final ManagedChannel channel;
  private final ManagedChannel slowChannel;

  /**
   * Of one server.
   *
   * @param target HOST:PORT
   * @param apiKey sent as a bearer token; null for none
   * @param chat ChatCompletions instead of Generate
   * @param extra fields for all requests, see {@link RequestBody}
   * @param timeout each call's deadline
   * @throws TargetException if Generate has no field of a name in extra
   */
  public GrpcTarget(
      String target,
      @Nullable String apiKey,
      boolean chat,
      String model,
      ObjectNode extra,
      Duration timeout) {
    GRPC_LOG.setLevel(Level.WARNING);
    this.apiKey = apiKey;
    this.chat = chat;
    this.body = new RequestBody(true, model, extra.deepCopy());
    this.fields = chat ? GenerateFields.none() : GenerateFields.of(model, extra);
    this.timeout = timeout;
    this.channel =
        NettyChannelBuilder.forTarget(target)
            .usePlaintext()
            .disableRetry()
            .executor(executor)
            .build();
    this.slowChannel =
        NettyChannelBuilder.forTarget(target)
            .usePlaintext()
            .disableRetry()
            .executor(executor)
            .flowControlWindow(SLOW_WINDOW_BYTES)
            .build();
  }

  @Override
  public Call prepare(LoadRequest request, ClientBehavior behavior) {
    if (chat) {
      ChatCompletionsRequest message =
          ChatCompletionsRequest.newBuilder()
              .setJson(ByteString.copyFrom(body.of(request)))
              .build();
      return trace ->
          run(
              InferenceGrpc.getChatCompletionsMethod(),
              message,
              behavior,
              trace,
              new GrpcAnswer.Chat(trace));
    }
    GenerateRequest message = fields.of(request);
    return trace ->
        run(
            InferenceGrpc.getGenerateMethod(),
            message,
            behavior,
            trace,
            new GrpcAnswer.Generation(trace));
  }

  private <Q, R extends MessageLite> void run(
      MethodDescriptor<Q, R> method,
      Q message,
      ClientBehavior behavior,
      RequestTrace trace,
      GrpcAnswer<R> answer)
      throws InterruptedException {
    boolean slow = behavior instanceof ClientBehavior.SlowReader;
    ClientBehavior.Leaver leaver = behavior instanceof ClientBehavior.Leaver l ? l : null;
    boolean leavesEarly = leaver != null && leaver.afterTokens() == 0;
    trace.sent(System.nanoTime());
    ClientCall<Q, R> call =
        (slow ? slowChannel : channel)
            .newCall(
                method,
                CallOptions.DEFAULT
                    .withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS)
                    .withExecutor(executor));
    GrpcListener<R> listener =
        new GrpcListener<>(
            call,
            trace,
            answer,
            leaver == null || leavesEarly ? Integer.MAX_VALUE : leaver.afterTokens(),
            pace(behavior));
    call.start(listener, headers());
    call.request(1);
    call.sendMessage(message);
    call.halfClose();
    try {
      if (leaver != null && leavesEarly) {
        if (!listener.await(leaver.delayNanos())) {
          trace.left(System.nanoTime());
        }
      } else if (!listener.await(timeout.toNanos() + 1_000_000_000L)) {
        trace.failed(System.nanoTime(), Failure.timeout("no end after the deadline"));
      }
    } finally {
      call.cancel("the client leaves", null);
    }
  }

  /** How long to wait before the next message, by the last one's bytes. */
  private static LongFunction<Long> pace(ClientBehavior behavior) {
    return behavior instanceof ClientBehavior.SlowReader reader
        ? bytes -> bytes * 1_000_000_000L / reader.bytesPerSecond()
        : bytes -> 0L;
  }

  private Metadata headers() {
    Metadata headers = new Metadata();
    if (apiKey != null) {
      headers.put(AUTHORIZATION, "Bearer " + apiKey);
    }
    return headers;
  }

  @Override
  public void close() {
    channel.shutdownNow();
    slowChannel.shutdownNow();
    executor.shutdownNow();
  }
}
