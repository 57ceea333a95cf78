package io.tercel.server.grpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.tercel.kernels.exchange.PiecesDigest;
import io.tercel.kernels.exchange.WeightHistory;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.GetModelRequest;
import io.tercel.proto.v1.GetModelResponse;
import io.tercel.proto.v1.ReloadRequest;
import io.tercel.proto.v1.TensorPart;
import io.tercel.proto.v1.UpdateWeightsRequest;
import io.tercel.proto.v1.UpdateWeightsResponse;
import io.tercel.proto.v1.WeightPieces;
import io.tercel.proto.v1.WeightUpdateBegin;
import io.tercel.proto.v1.WeightUpdateEnd;
import io.tercel.server.testing.TestServer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Weights that come by gRPC, and what pretends to be some. */
@Timeout(60)
class UpdateWeightsTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";

  @TempDir private Path temp;

  private GrpcTestServer server;
  private WeightStore other;

  @BeforeEach
  void start() throws Exception {
    server = GrpcTestServer.start();
    other = load(9);
  }

  @AfterEach
  void stop() {
    server.close();
    other.close();
  }

  /** Of the server's shape. */
  private WeightStore load(long seed) {
    Path directory = TinyCheckpoint.qwen3().layers(1).seed(seed).write(temp.resolve("w" + seed));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private WeightStore served() {
    return server.control.weights().store();
  }

  private String checksum() {
    return WeightChecksum.of(served()).hex();
  }

  /** All of a store as messages, from begin to end. */
  private static List<UpdateWeightsRequest> everything(WeightStore of) throws Exception {
    List<UpdateWeightsRequest> messages = new ArrayList<>();
    messages.add(begin(WeightUpdateBegin.getDefaultInstance()));
    PiecesDigest digest = new PiecesDigest();
    new WeightHistory(of)
        .read(
            WeightHistory.NONE,
            pieces -> {
              digest.add(pieces);
              WeightPieces.Builder message =
                  WeightPieces.newBuilder()
                      .setName(pieces.name())
                      .setPart(TensorPart.forNumber(pieces.part().ordinal() + 1))
                      .setData(ByteString.copyFrom(pieces.data(), 0, pieces.bytes()));
              for (int i = 0; i < pieces.count(); i++) {
                message.addOffsets(pieces.offset(i)).addLengths(pieces.length(i));
              }
              messages.add(UpdateWeightsRequest.newBuilder().setPieces(message).build());
            });
    messages.add(end(digest.bytes()));
    return messages;
  }

  private static UpdateWeightsRequest begin(WeightUpdateBegin begin) {
    return UpdateWeightsRequest.newBuilder().setBegin(begin).build();
  }

  private static UpdateWeightsRequest end(byte[] sha256) {
    return UpdateWeightsRequest.newBuilder()
        .setEnd(WeightUpdateEnd.newBuilder().setSha256(ByteString.copyFrom(sha256)))
        .build();
  }

  private UpdateWeightsRequest base(String instance, long version) {
    return begin(
        WeightUpdateBegin.newBuilder().setInstance(instance).setBaseVersion(version).build());
  }

  private static UpdateWeightsRequest piece(
      String name, TensorPart part, long offset, byte[] data, int... lengths) {
    WeightPieces.Builder pieces =
        WeightPieces.newBuilder().setName(name).setPart(part).setData(ByteString.copyFrom(data));
    long at = offset;
    for (int length : lengths) {
      pieces.addOffsets(at).addLengths(length);
      at += length;
    }
    return UpdateWeightsRequest.newBuilder().setPieces(pieces).build();
  }

  /** A call under way. */
  private static final class Upload implements StreamObserver<UpdateWeightsResponse> {
    final CompletableFuture<UpdateWeightsResponse> answer = new CompletableFuture<>();
    final StreamObserver<UpdateWeightsRequest> out;

    Upload(ControlGrpc.ControlStub stub) {
      out = stub.updateWeights(this);
    }

    Upload send(List<UpdateWeightsRequest> messages) {
      messages.forEach(out::onNext);
      return this;
    }

    @Override
    public void onNext(UpdateWeightsResponse message) {
      answer.complete(message);
    }

    @Override
    public void onError(Throwable failure) {
      answer.completeExceptionally(failure);
    }

    @Override
    public void onCompleted() {
      answer.completeExceptionally(new IllegalStateException("no answer"));
    }
  }

  private ControlGrpc.ControlStub stub() {
    return ControlGrpc.newStub(server.channel).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  private UpdateWeightsResponse update(List<UpdateWeightsRequest> messages) {
    Upload upload = new Upload(stub()).send(messages);
    upload.out.onCompleted();
    return upload.answer.join();
  }

  private void assertRefused(Status.Code code, String why, List<UpdateWeightsRequest> messages) {
    long version = served().version();
    String before = checksum();
    Upload upload = new Upload(stub()).send(messages);
    upload.out.onCompleted();
    assertFails(code, why, upload);
    assertEquals(before, checksum());
    assertEquals(version, served().version());
  }

  private static void assertFails(Status.Code code, String why, Upload upload) {
    try {
      upload.answer.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof StatusRuntimeException status) {
        assertEquals(code, status.getStatus().getCode(), status.getMessage());
        assertTrue(String.valueOf(status.getMessage()).contains(why), status.getMessage());
        return;
      }
      throw e;
    }
    throw new AssertionError("no refusal, but should be: " + why);
  }

  private GetModelResponse model() {
    return server.control().getModel(GetModelRequest.getDefaultInstance());
  }

  @Test
  void everything_thenWhatIsLaidOverIt() throws Exception {
    assertNotEquals(WeightChecksum.of(other).hex(), checksum());
    UpdateWeightsResponse first = update(everything(other));
    assertEquals(1, first.getWeightVersion());
    assertEquals(WeightChecksum.of(other).hex(), checksum());
    assertEquals(model().getInstance(), first.getInstance());
    assertEquals(1, model().getWeightVersion());

    PiecesDigest digest = new PiecesDigest();
    byte[] zeros = new byte[2048];
    digest.add(EMBEDDING, io.tercel.kernels.exchange.TensorPart.VALUES, 0, zeros, 0, 1024);
    digest.add(EMBEDDING, io.tercel.kernels.exchange.TensorPart.VALUES, 1024, zeros, 0, 1024);
    UpdateWeightsResponse second =
        update(
            List.of(
                base(first.getInstance(), 1),
                piece(EMBEDDING, TensorPart.TENSOR_PART_VALUES, 0, zeros, 1024, 1024),
                end(digest.bytes())));
    assertEquals(2, second.getWeightVersion());
    assertEquals(0, served().embedding().segment().get(java.lang.foreign.ValueLayout.JAVA_LONG, 0));
    assertNotEquals(WeightChecksum.of(other).hex(), checksum());
    assertRefused(
        Status.Code.FAILED_PRECONDITION,
        "version 1 of instance " + first.getInstance() + " is to be changed, but version 2",
        List.of(base(first.getInstance(), 1)));
    assertRefused(
        Status.Code.FAILED_PRECONDITION,
        "of instance another server",
        List.of(base("somebody <else>", 2)));
  }

  @Test
  void model_saysWhatFits() {
    GetModelResponse model = model();
    assertEquals("qwen3", model.getShape().getArchitecture());
    assertEquals(served().config().vocabSize(), model.getShape().getVocabSize());
    assertEquals(EMBEDDING, model.getTensors(0).getName());
    assertEquals("bf16", model.getTensors(0).getFormat());
    assertEquals(
        served().tensors().matrices().size() + served().tensors().vectors().size(),
        model.getTensorsCount());
    assertEquals(model, ModelMessages.of(served(), model.getInstance()));
  }

  @Test
  void hostileStreams_changeNothing() throws Exception {
    List<UpdateWeightsRequest> all = everything(other);
    UpdateWeightsRequest begin = all.getFirst();
    UpdateWeightsRequest base = base(model().getInstance(), 0);
    byte[] bytes = new byte[1024];
    TensorPart values = TensorPart.TENSOR_PART_VALUES;
    Status.Code invalid = Status.Code.INVALID_ARGUMENT;

    assertRefused(invalid, "ended before its end", List.of());
    assertRefused(invalid, "ended before its end", all.subList(0, all.size() - 1));
    assertRefused(invalid, "begin comes first", all.subList(1, 3));
    assertRefused(invalid, "begin comes first", List.of(end(bytes)));
    assertRefused(invalid, "begin comes once", List.of(begin, begin));
    assertRefused(
        invalid, "a message is one of", List.of(UpdateWeightsRequest.getDefaultInstance()));
    assertRefused(
        invalid,
        "both given",
        List.of(begin(WeightUpdateBegin.newBuilder().setBaseVersion(0).build())));
    assertRefused(invalid, "no tensor x", List.of(base, piece("x", values, 0, bytes, 1024)));
    assertRefused(
        invalid,
        "no CODES",
        List.of(base, piece(EMBEDDING, TensorPart.TENSOR_PART_CODES, 0, bytes, 1024)));
    assertRefused(
        invalid,
        "part is",
        List.of(base, piece(EMBEDDING, TensorPart.TENSOR_PART_UNSPECIFIED, 0, bytes, 1024)));
    assertRefused(
        invalid,
        "1024 bytes at -1024",
        List.of(base, piece(EMBEDDING, values, -1024, bytes, 1024)));
    assertRefused(
        invalid,
        "1024 bytes at " + (1L << 50),
        List.of(base, piece(EMBEDDING, values, 1L << 50, bytes, 1024)));
    assertRefused(
        invalid,
        "more than the 1024 bytes",
        List.of(base, piece(EMBEDDING, values, 0, bytes, 2048)));
    assertRefused(
        invalid, "more than the 1024 bytes", List.of(base, piece(EMBEDDING, values, 0, bytes, -1)));
    assertRefused(invalid, "those of 0 of 1024", List.of(base, piece(EMBEDDING, values, 0, bytes)));
    byte[] nan = new byte[1024];
    java.util.Arrays.fill(nan, (byte) 0xff);
    assertRefused(invalid, "not finite", List.of(base, piece(EMBEDDING, values, 0, nan, 1024)));
    List<UpdateWeightsRequest> missing = new ArrayList<>(all);
    missing.remove(missing.size() - 2);
    assertRefused(invalid, "sha256 differs", missing);
    PiecesDigest one = new PiecesDigest();
    one.add(EMBEDDING, io.tercel.kernels.exchange.TensorPart.VALUES, 0, bytes, 0, 1024);
    assertRefused(
        invalid,
        "all weights are to come",
        List.of(begin, piece(EMBEDDING, values, 0, bytes, 1024), end(one.bytes())));
    List<UpdateWeightsRequest> flipped = new ArrayList<>(all);
    flipped.replaceAll(flipFirstBit());
    assertRefused(invalid, "sha256 differs", flipped);
    assertRefused(
        Status.Code.RESOURCE_EXHAUSTED,
        "",
        List.of(base, piece(EMBEDDING, values, 0, new byte[5 << 20], 1024)));
  }

  private static UnaryOperator<UpdateWeightsRequest> flipFirstBit() {
    boolean[] done = new boolean[1];
    return message -> {
      if (done[0] || !message.hasPieces()) {
        return message;
      }
      done[0] = true;
      byte[] data = message.getPieces().getData().toByteArray();
      data[0] ^= 1;
      return message.toBuilder()
          .setPieces(message.getPieces().toBuilder().setData(ByteString.copyFrom(data)))
          .build();
    };
  }

  /** The last that begins goes on: the trainer before it may be gone without a word. */
  @Test
  void anotherUpdate_takesOver() throws Exception {
    List<UpdateWeightsRequest> all = everything(other);
    Upload left = new Upload(stub()).send(all.subList(0, 3));
    TestServer.await("it has begun", () -> server.control.weights().receiving() > 0);
    assertEquals(1, update(all).getWeightVersion());
    assertFails(Status.Code.ABORTED, "another update has begun", left);
    assertEquals(WeightChecksum.of(other).hex(), checksum());
  }

  @Test
  void reloadMeanwhile_isSeen() throws Exception {
    List<UpdateWeightsRequest> all = everything(other);
    Upload upload = new Upload(stub());
    upload.send(all.subList(0, all.size() - 1));
    // it has begun once this is refused; what it is laid over is what was there before the reload
    String before = checksum();
    TestServer.await("it has begun", () -> server.control.weights().receiving() > 0);
    assertEquals(1, server.control().reload(ReloadRequest.getDefaultInstance()).getWeightVersion());
    upload.send(all.subList(all.size() - 1, all.size()));
    assertFails(Status.Code.ABORTED, "compared with version 0", upload);
    assertEquals(before, checksum());
    assertEquals(1, served().version());
  }

  /** A client that is gone in the middle leaves nothing, and nothing stays open. */
  @Test
  void cancelled_leavesNothing() throws Exception {
    String before = checksum();
    List<UpdateWeightsRequest> all = everything(other);
    Upload upload = new Upload(stub()).send(all.subList(0, 3));
    TestServer.await("it has begun", () -> server.control.weights().receiving() > 0);
    upload.out.onError(Status.CANCELLED.asRuntimeException());
    TestServer.await("it is over", () -> server.control.weights().receiving() == 0);
    assertEquals(before, checksum());
    assertEquals(1, update(all).getWeightVersion());
    assertEquals(0, server.control.weights().receiving());
  }

  @Test
  void withoutTheAdminKey_nothingIsRead() throws Exception {
    try (GrpcTestServer guarded = new GrpcTestServer(TestServer.USUAL.withKey("secret"))) {
      for (String key : List.of("", "Bearer secret", "Bearer wrong")) {
        ControlGrpc.ControlStub stub = ControlGrpc.newStub(guarded.channel);
        if (!key.isEmpty()) {
          io.grpc.Metadata headers = new io.grpc.Metadata();
          headers.put(KeyInterceptor.AUTHORIZATION, key);
          stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
        }
        Upload upload = new Upload(stub).send(everything(other));
        upload.out.onCompleted();
        assertFails(
            key.equals("Bearer secret")
                ? Status.Code.PERMISSION_DENIED
                : Status.Code.UNAUTHENTICATED,
            "",
            upload);
        assertEquals(0, guarded.control.weights().store().version());
        assertEquals(0, guarded.control.weights().receiving());
      }
    }
  }
}
