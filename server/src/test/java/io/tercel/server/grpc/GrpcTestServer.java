package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.ChoiceEnd;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.Delta;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.Phase;
import io.tercel.proto.v1.Token;
import io.tercel.proto.v1.Usage;
import io.tercel.server.control.ServerControl;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** A scripted model behind both wires on real sockets, and a client of gRPC. */
final class GrpcTestServer implements AutoCloseable {
  static final String MODEL = TestServer.MODEL;

  final TestServer http;
  final ServerControl control;
  final GrpcServer grpc;
  final ManagedChannel channel;
  private final WeightStore weights;

  GrpcTestServer(TestServer.Setup setup) throws IOException {
    http = new TestServer(setup);
    Path directory = Files.createTempDirectory("tiny-weights");
    TinyCheckpoint.qwen3().layers(1).write(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      weights = WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
    control =
        new ServerControl(
            http.api,
            new ServedModelInfo("scripted", "none", 16, setup.maxNumSeqs(), 2048, 256),
            // they have nothing to do with what the script says
            new ServedWeights(
                directory, weights, http.engine, LmHeadType.STORED, () -> Long.MAX_VALUE));
    grpc = new GrpcServer(http.api, http.config, 0, control, List.of());
    grpc.start();
    channel = channel(grpc.port());
  }

  static GrpcTestServer start() throws IOException {
    return new GrpcTestServer(TestServer.USUAL);
  }

  static ManagedChannel channel(int port) {
    return NettyChannelBuilder.forAddress("127.0.0.1", port).usePlaintext().build();
  }

  InferenceGrpc.InferenceBlockingStub inference() {
    return InferenceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  InferenceGrpc.InferenceBlockingStub inference(String authorization) {
    Metadata headers = new Metadata();
    headers.put(KeyInterceptor.AUTHORIZATION, authorization);
    return inference().withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  ControlGrpc.ControlBlockingStub control() {
    return ControlGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  ControlGrpc.ControlBlockingStub control(String authorization) {
    Metadata headers = new Metadata();
    headers.put(KeyInterceptor.AUTHORIZATION, authorization);
    return control().withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  /** Asks for a continuation of "Once" and reads it to its end. */
  Answer generate(Consumer<GenerateRequest.Builder> change) {
    return read(inference().generate(once(change)));
  }

  static GenerateRequest once(Consumer<GenerateRequest.Builder> change) {
    GenerateRequest.Builder request = GenerateRequest.newBuilder().setText("Once");
    change.accept(request);
    return request.build();
  }

  static Answer read(Iterator<GenerateResponse> messages) {
    List<GenerateResponse> all = new ArrayList<>();
    messages.forEachRemaining(all::add);
    return new Answer(all);
  }

  /** The call must fail so; returns the failure. */
  StatusRuntimeException refused(Status.Code code, Consumer<GenerateRequest.Builder> change) {
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> generate(change), () -> "no refusal");
    assertEquals(code, e.getStatus().getCode(), e.getMessage());
    return e;
  }

  void awaitIdle() throws InterruptedException {
    TestServer.await("no gRPC call", () -> grpc.runningCalls() == 0);
    http.awaitIdle();
  }

  /** A whole stream of Generate. */
  record Answer(List<GenerateResponse> messages) {
    List<Delta> deltas(int choice) {
      return messages.stream()
          .filter(GenerateResponse::hasDelta)
          .map(GenerateResponse::getDelta)
          .filter(delta -> delta.getIndex() == choice)
          .toList();
    }

    String text(int choice, Phase phase) {
      return deltas(choice).stream()
          .filter(delta -> delta.getPhase() == phase)
          .map(Delta::getText)
          .collect(Collectors.joining());
    }

    List<Token> tokens(int choice) {
      return deltas(choice).stream().flatMap(delta -> delta.getTokensList().stream()).toList();
    }

    List<Integer> ids(int choice) {
      return tokens(choice).stream().map(Token::getId).toList();
    }

    ChoiceEnd end(int choice) {
      List<ChoiceEnd> ends =
          messages.stream()
              .filter(GenerateResponse::hasChoiceEnd)
              .map(GenerateResponse::getChoiceEnd)
              .filter(end -> end.getIndex() == choice)
              .toList();
      assertEquals(1, ends.size(), "ends of choice " + choice);
      return ends.getFirst();
    }

    Usage usage() {
      assertEquals(true, messages.getLast().hasUsage(), "usage comes last");
      return messages.getLast().getUsage();
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
    grpc.close();
    http.close();
    weights.close();
  }
}
