package io.tercel.server.cli;

import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.server.control.ServerControl;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** All ports of a scripted model on real sockets, as {@code tercel serve} opens them. */
final class ServedPorts implements AutoCloseable {
  final TestServer model;
  final Endpoints endpoints;
  final ManagedChannel channel;
  private final WeightStore weights;

  ServedPorts(TestServer.Setup setup, UnaryOperator<HttpServerConfig.Builder> change)
      throws Exception {
    model = new TestServer(setup);
    Path directory = Files.createTempDirectory("tiny-weights");
    TinyCheckpoint.qwen3().layers(1).write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
    ServerControl control =
        new ServerControl(
            model.api,
            new ServedModelInfo("scripted", "none", 16, 64, 2048, 256),
            new ServedWeights(
                directory, weights, model.engine, LmHeadType.STORED, () -> Long.MAX_VALUE));
    HttpServerConfig config = change.apply(model.config.toBuilder()).build();
    endpoints = new Endpoints(model.api, control, config, 0, config, true, List.of());
    endpoints.start();
    channel =
        NettyChannelBuilder.forAddress("127.0.0.1", Objects.requireNonNull(endpoints.grpc()).port())
            .usePlaintext()
            .build();
  }

  int port() {
    return endpoints.http().port();
  }

  int adminPort() {
    return Objects.requireNonNull(endpoints.admin()).port();
  }

  /** Asks one of the ports, with these lines in the head besides. */
  static RawClient.Answer ask(int port, String method, String target, String headers, String json)
      throws Exception {
    String body =
        json.isEmpty()
            ? ""
            : "Content-Type: application/json\r\nContent-Length: " + json.length() + "\r\n";
    try (RawClient client = new RawClient(port)) {
      return client
          .send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + body)
          .send("\r\n" + json)
          .read(!method.equals("HEAD"));
    }
  }

  /** Asks the public port with a key. */
  RawClient.Answer post(String key, String path, String json) throws Exception {
    return ask(port(), "POST", path, "Authorization: Bearer " + key + "\r\n", json);
  }

  InferenceGrpc.InferenceBlockingStub inference(Metadata metadata) {
    return InferenceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  ControlGrpc.ControlBlockingStub control(Metadata metadata) {
    return ControlGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  /** Metadata of these names and values, in turn. */
  static Metadata metadata(String... namesAndValues) {
    Metadata metadata = new Metadata();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      metadata.put(
          Metadata.Key.of(namesAndValues[i], Metadata.ASCII_STRING_MARSHALLER),
          namesAndValues[i + 1]);
    }
    return metadata;
  }

  @Override
  public void close() {
    channel.shutdownNow();
    endpoints.close();
    model.close();
    weights.close();
  }
}
