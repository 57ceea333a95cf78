package io.tercel.trainer.share;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import io.tercel.server.cli.ModelServing;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.client.ChatAnswer;
import io.tercel.server.client.ChatCall;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatSink;
import io.tercel.server.client.ChatTurn;
import io.tercel.server.model.ServingOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A student on real sockets that is trained meanwhile. */
@Timeout(120)
class ServedStudentTest {
  private static final Keys NO_KEYS = Keys.of(null, null);
  private static final ChatSink SILENT =
      new ChatSink() {
        @Override
        public void thinking(String text) {}

        @Override
        public void answer(String text) {}
      };

  @TempDir private Path directory;

  @BeforeEach
  void write() {
    TinyCheckpoint.qwen3()
        .hidden(128)
        .ffn(256)
        .heads(4, 2, 32)
        .gptq(GptqVariant.ASYM_V2)
        .write(directory);
  }

  private static ServingOptions options() {
    return new ServingOptions().backend("vector").threads(1).maxModelLen(512);
  }

  private ServedStudent open() {
    return ServedStudent.open(
        directory, options(), new ServeAddress(ServeAddress.LOOPBACK, 0, 0), NO_KEYS, List.of());
  }

  private static ModelServing serving(ServedStudent student) {
    return Objects.requireNonNull(student.serving());
  }

  @Test
  void chatIsAnswered_whileWeightsArePublished() throws Exception {
    try (Arena arena = Arena.ofShared();
        ServedStudent student = open();
        HttpClient http = HttpClient.newHttpClient();
        ChatClient chat = new ChatClient(serving(student).url(), null);
        ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      TinyStudent trained = new TinyStudent(directory, arena, 3);
      student.share(trained.trained());
      String model = chat.model();
      AtomicBoolean done = new AtomicBoolean();
      List<Future<Integer>> chats = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        int number = i;
        chats.add(clients.submit(() -> chatUntil(done, chat, model, number)));
      }
      List<String> fingerprints = new ArrayList<>();
      for (int step = 1; step <= 40; step++) {
        trained.step(0.1);
        Publication publication = student.publish();
        assertEquals(step, publication.version());
        student.metrics().stepped(new TrainingMetrics.Step(step, 1.5, 2000, 1e-5, 0.25));
        student.metrics().gauge("reward", "Mean reward.").accept(step); // each step asks for it
        if (step % 10 == 0) {
          fingerprints.add(fingerprint(http, serving(student).url(), model));
        }
      }
      done.set(true);
      int answers = 0;
      for (Future<Integer> each : chats) {
        answers += each.get();
      }
      assertTrue(answers >= 4);
      for (int i = 0; i < fingerprints.size(); i++) {
        assertTrue(fingerprints.get(i).endsWith("-w" + 10 * (i + 1)), fingerprints + " at " + i);
      }
      String metrics = get(http, serving(student).url() + "/metrics");
      for (String line :
          List.of(
              "tercel_training_step{model_name=\"%s\",} 40.0",
              "tercel_training_loss{model_name=\"%s\",} 1.5",
              "tercel_training_reward{model_name=\"%s\",} 40.0",
              "tercel_training_learning_rate{model_name=\"%s\",} 1.0E-5",
              "tercel_training_weight_version{model_name=\"%s\",} 40.0",
              "tercel_weight_version{model_name=\"%s\",} 40.0")) {
        assertTrue(metrics.contains(line.formatted(model)), line + " in " + metrics);
      }
      assertTrue(metrics.contains("tercel_training_publish_pause_seconds"));
      assertNotNull(serving(student).grpcPort());
    }
  }

  /** How many answers there were. */
  private static int chatUntil(AtomicBoolean done, ChatClient chat, String model, int number)
      throws Exception {
    int answers = 0;
    do {
      ChatCall call =
          new ChatCall(model, List.of(ChatTurn.user("hello " + number)), 1.0, null, 40, 7L);
      ChatAnswer answer = chat.open(call).read(SILENT);
      assertTrue(answer.completionTokens() > 0, answer.toString());
      answers++;
    } while (!done.get());
    return answers;
  }

  private static String fingerprint(HttpClient http, URI server, String model)
      throws IOException, InterruptedException {
    String body =
        """
        {"model": "%s", "max_completion_tokens": 3, "messages": [{"role": "user", "content": "hi"}]}
        """
            .formatted(model);
    HttpResponse<String> response =
        http.send(
            HttpRequest.newBuilder(URI.create(server + "/v1/chat/completions"))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertEquals(200, response.statusCode(), response.body());
    JsonNode answer = new ObjectMapper().readTree(response.body());
    return answer.path("system_fingerprint").asText();
  }

  private static String get(HttpClient http, String url) throws IOException, InterruptedException {
    return http.send(
            HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  @Test
  void close_freesThePort() throws Exception {
    URI url;
    try (HttpClient http = HttpClient.newHttpClient()) {
      try (ServedStudent student = open()) {
        url = serving(student).url();
        assertTrue(get(http, url + "/health").length() < 100);
        assertThrows(IllegalStateException.class, student::publish, "nothing is shared");
        ServeAddress taken = new ServeAddress(ServeAddress.LOOPBACK, url.getPort(), null);
        assertThrows(
            UserException.class,
            () -> ServedStudent.open(directory, options(), taken, NO_KEYS, List.of()));
      }
      assertThrows(ConnectException.class, () -> get(http, url + "/health"));
    }
  }

  /** The engine alone: for a trainer that asks its student itself. */
  @Test
  void withoutAnAddress_nothingIsBound_andCurvesGoNowhere() {
    try (Arena arena = Arena.ofShared();
        ServedStudent student =
            ServedStudent.open(directory, options(), null, NO_KEYS, List.of())) {
      assertNull(student.serving());
      student.share(new TinyStudent(directory, arena, 3).trained());
      assertEquals(1, student.publish().version());
      student.metrics().gauge("accuracy", "Share of right answers.").accept(0.5);
      assertFalse(student.running().running().engine().failed());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "8000,127.0.0.1,8000",
    "0.0.0.0:80,0.0.0.0,80",
    "[::1]:8000,::1,8000",
    "box.example:0,box.example,0"
  })
  void address_isRead(String text, String host, int port) {
    assertEquals(new ServeAddress(host, port, 1), ServeAddress.parse("--serve", text, 1));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ":", ":8000", "host:", "host:x", "host:70000", "::1:8000", "-1"})
  void address_thatIsNone_isRefused(String text) {
    var e = assertThrows(UserException.class, () -> ServeAddress.parse("--serve", text, null));
    assertTrue(String.valueOf(e.getMessage()).contains("--serve: "), e.getMessage());
  }
}
