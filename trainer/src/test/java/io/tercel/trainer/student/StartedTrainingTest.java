package io.tercel.trainer.student;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.tercel.proto.v1.CancelRequest;
import io.tercel.proto.v1.Figures;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.GetRunRequest;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.RunStatus;
import io.tercel.proto.v1.StartRequest;
import io.tercel.proto.v1.StartResponse;
import io.tercel.proto.v1.TrainingGrpc;
import io.tercel.proto.v1.TrainingGrpc.TrainingBlockingStub;
import io.tercel.proto.v1.TrainingState;
import io.tercel.proto.v1.WatchRequest;
import io.tercel.proto.v1.WatchResponse;
import io.tercel.trainer.testing.Commands;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A server in a process of its own, whose model is trained by gRPC while it is served. */
@Timeout(120)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
final class StartedTrainingTest {
  private static final Pattern PORT = Pattern.compile("gRPC on \\S*:(\\d+)\\s");
  private static final String KEY = "admin-key";

  @TempDir static Path directory;
  private static Process server;
  private static ManagedChannel channel;
  private static TrainingBlockingStub training;

  @BeforeAll
  static void serve() throws Exception {
    Path output = directory.resolve("serve.txt");
    server =
        Commands.start(
            output,
            List.of(
                "serve",
                "--model=" + TinyReasoner.student("w3"),
                "--port=0",
                "--grpc-port=0",
                "--no-warm-up",
                "--admin-key=" + KEY,
                "--training=" + directory.resolve("runs")));
    channel = NettyChannelBuilder.forAddress("127.0.0.1", port(output)).usePlaintext().build();
    training = TrainingGrpc.newBlockingStub(channel).withInterceptors(key(KEY));
  }

  @AfterAll
  static void end() throws Exception {
    channel.shutdownNow();
    server.destroy();
    assertTrue(server.waitFor(60, TimeUnit.SECONDS), "it ends");
  }

  private static int port(Path output) throws Exception {
    while (true) {
      String text = Files.exists(output) ? Files.readString(output) : "";
      Matcher port = PORT.matcher(text);
      if (port.find()) {
        return Integer.parseInt(port.group(1));
      }
      assertTrue(server.isAlive(), text);
      Thread.sleep(20);
    }
  }

  private static io.grpc.ClientInterceptor key(String key) {
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + key);
    return MetadataUtils.newAttachHeadersInterceptor(headers);
  }

  private static StartRequest.Builder grpo(String folder, String... more) {
    return StartRequest.newBuilder()
        .setCommand("grpo")
        .setFolder(folder)
        .addAllArguments(
            List.of(
                "--data=problems:add",
                "--reward=short={\"tokens\": 12}",
                "--batch=2",
                "--group=4",
                "--max-tokens=16"))
        .addAllArguments(List.of(more));
  }

  private static void assertRefused(StartRequest.Builder request, String why) {
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> training.start(request.build()));
    assertEquals(Status.Code.FAILED_PRECONDITION, e.getStatus().getCode(), e::getMessage);
    String said = String.valueOf(e.getStatus().getDescription());
    assertTrue(said.contains(why), said);
  }

  private static List<Figures> watch(int from) {
    Iterator<WatchResponse> watched =
        training.watch(WatchRequest.newBuilder().setFromStep(from).build());
    List<Figures> seen = new ArrayList<>();
    while (watched.hasNext()) {
      WatchResponse message = watched.next();
      if (message.hasFigures()) {
        seen.add(message.getFigures());
      }
    }
    return seen;
  }

  private static long versionNow() {
    long version = -1;
    Iterator<GenerateResponse> answer =
        InferenceGrpc.newBlockingStub(channel)
            .withInterceptors(key(KEY))
            .generate(GenerateRequest.newBuilder().setText("2+2").setMaxTokens(1).build());
    while (answer.hasNext()) {
      GenerateResponse response = answer.next();
      if (response.hasDelta()) {
        version = response.getDelta().getTokens(0).getWeightVersion();
      }
    }
    return version;
  }

  @Test
  @Order(1)
  void noRunYet_othersSaySo() {
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () -> training.getRun(GetRunRequest.getDefaultInstance()));
    assertEquals(Status.Code.FAILED_PRECONDITION, e.getStatus().getCode());
    assertEquals("no run was started yet", e.getStatus().getDescription());
  }

  @Test
  @Order(2)
  void start_takesTheAdminKey() {
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () ->
                TrainingGrpc.newBlockingStub(channel)
                    .withInterceptors(key("another"))
                    .start(grpo("stolen").build()));
    assertTrue(
        List.of(Status.Code.UNAUTHENTICATED, Status.Code.PERMISSION_DENIED)
            .contains(e.getStatus().getCode()),
        e::getMessage);
    assertTrue(Files.notExists(directory.resolve("runs/stolen")));
  }

  @Test
  @Order(3)
  void badWishes_areNamed() throws IOException {
    assertRefused(grpo("../out"), "folder: a name");
    assertRefused(grpo(".hidden"), "folder: a name");
    assertRefused(grpo(""), "folder: a name");
    assertRefused(grpo("a").setCommand("serve"), "command: serve; distill or grpo");
    assertRefused(grpo("a", "--serve=0"), "--serve is not for a run");
    assertRefused(grpo("a", "--out=/tmp/x"), "--out");
    assertRefused(grpo("a", "--student=/tmp/x"), "--student");
    assertRefused(grpo("a", "--stepz=3"), "--stepz");
    Path words = Files.writeString(directory.resolve("words"), "--steps=1");
    assertRefused(grpo("a", "@" + words), "@");
    assertRefused(grpo("a", "--train-kv=int4"), "--train-kv: int4, but the model");
    assertRefused(grpo("a", "--importance-cap=0"), "--importance-cap must be");
    assertRefused(grpo("a").setStudent("/nowhere"), "/nowhere");
    assertEquals(
        List.of(),
        Files.exists(directory.resolve("runs/a"))
            ? List.of(directory.resolve("runs/a").toFile().list())
            : List.of());
  }

  @Test
  @Order(4)
  void run_trainsWhatIsServed() {
    StartResponse started = training.start(grpo("first", "--steps=3").build());
    assertTrue(started.getFolder().endsWith("runs/first"), started.getFolder());
    List<Figures> seen = watch(1);
    assertEquals(List.of(1, 2, 3), seen.stream().map(Figures::getStep).toList());
    long last = seen.getLast().getWeightVersion();
    assertEquals(last, versionNow(), "what has been learned is served");
    RunStatus status = training.getRun(GetRunRequest.getDefaultInstance()).getStatus();
    assertEquals(TrainingState.TRAINING_STATE_FINISHED, status.getState());
    assertRefused(grpo("first", "--steps=3"), "--resume");
  }

  @Test
  @Order(5)
  void secondRun_isCancelledAndGoesOn() {
    String student = directory.resolve("runs/first/model").toString();
    StartRequest endless = grpo("second", "--steps=100000").setStudent(student).build();
    training.start(endless);
    assertRefused(grpo("third"), "a run is under way already");
    RunStatus ended = training.cancel(CancelRequest.getDefaultInstance()).getStatus();
    assertEquals(TrainingState.TRAINING_STATE_STOPPED, ended.getState());
    StartResponse again = training.start(endless.toBuilder().setResume(true).build());
    assertTrue(again.getStatus().getStep() >= ended.getStep(), again::toString);
    training.cancel(CancelRequest.getDefaultInstance());
    assertTrue(versionNow() > 3);
  }

  @Test
  @Order(6)
  void distillation_isStartedToo() {
    training.start(
        StartRequest.newBuilder()
            .setCommand("distill")
            .setFolder("distilled")
            .addAllArguments(
                List.of(
                    "--teacher=" + TinyReasoner.teacher(),
                    "--data=problems:add",
                    "--batch=2",
                    "--steps=2"))
            .build());
    assertEquals(2, watch(1).size());
    assertTrue(Files.exists(directory.resolve("runs/distilled/model/config.json")));
  }
}
