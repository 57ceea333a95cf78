package io.tercel.server.batch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.tercel.server.UserException;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Files of requests against a real server, and against one that is as bad as a test wants. */
@Timeout(60)
class BatchRunTest {
  private static final String CHAT = "\"url\": \"/v1/chat/completions\"";

  @TempDir private Path folder;
  private Path input;
  private Path output;
  private int begun = -1;
  private final List<Boolean> told = new ArrayList<>();

  @BeforeEach
  void names() {
    input = folder.resolve("x.jsonl");
    output = folder.resolve("y.jsonl");
  }

  private final BatchProgress progress =
      new BatchProgress() {
        @Override
        public void begin(int total, int kept) {
          begun = total;
        }

        @Override
        public void answered(long tokens, boolean failed) {
          told.add(failed);
        }

        @Override
        public void close() {}
      };

  private BatchRun.Result run(
      URI server, @Nullable String key, BatchDefaults defaults, int inFlight)
      throws InterruptedException {
    try (BatchClient client = new BatchClient(server, key)) {
      return new BatchRun(client, defaults, inFlight, progress).run(input, output);
    }
  }

  private List<JsonNode> answers() throws IOException {
    List<JsonNode> all = new ArrayList<>();
    for (String line : Files.readAllLines(output)) {
      all.add(Json.MAPPER.readTree(line));
    }
    return all;
  }

  private static String chat(String id, String text) {
    return "{\"custom_id\": \"%s\", \"method\": \"POST\", %s, \"body\": {\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]}}"
        .formatted(id, CHAT, text);
  }

  @Test
  void lines_ofEveryKind_areAnsweredInTheirOrder() throws Exception {
    Files.writeString(
        input,
        String.join(
            "\n",
            chat("first", "hi"),
            "{\"prompt\": \"Once\", \"max_tokens\": 2, \"n\": 3}",
            "",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
            "no json",
            "{\"custom_id\": \"far\", \"url\": \"/v1/embeddings\", \"body\": {}}",
            "{\"custom_id\": \"bare\", " + CHAT + "}",
            "{\"custom_id\": \"hot\", "
                + CHAT
                + ", \"body\": {\"messages\": [], \"temperature\": -1}}",
            "{\"prompt\": \"x\", \"stream\": true}",
            "{\"nothing\": 1}",
            "{\"custom_id\": \"r\", \"url\": \"/v1/responses\", \"body\": {\"input\": \"hi\"}}"));
    try (TestServer server = new TestServer(TestServer.USUAL.saying("ok<|im_end|>").withKey("k"))) {
      BatchRun.Result result = run(server.uri("/v1"), "k", new BatchDefaults(2, "batch"), 4);
      assertEquals(new BatchRun.Result(10, 0, 6), result);
      server.awaitIdle();
    }
    List<JsonNode> answers = answers();
    assertEquals(
        List.of(
            "first", "line-2", "line-4", "line-5", "far", "bare", "hot", "line-9", "line-10", "r"),
        answers.stream().map(answer -> answer.path("custom_id").asText()).toList());
    JsonNode first = answers.getFirst();
    assertEquals(200, first.at("/response/status_code").asInt());
    assertEquals("ok", first.at("/response/body/choices/1/message/content").asText(), "n is 2");
    assertTrue(first.has("error") && first.path("error").isNull());
    assertTrue(first.path("id").asText().startsWith("batch_req_"));
    assertFalse(first.at("/response/request_id").asText().isEmpty());
    assertEquals(3, answers.get(1).at("/response/body/choices").size(), "its own n");
    assertTrue(answers.get(3).path("response").isNull());
    assertEquals("invalid_line", answers.get(3).at("/error/code").asText());
    assertTrue(answers.get(3).at("/error/message").asText().startsWith("line 5: "));
    assertTrue(answers.get(4).at("/error/message").asText().contains("url must be one of"));
    assertTrue(answers.get(5).at("/error/message").asText().contains("body"));
    assertEquals(400, answers.get(6).at("/response/status_code").asInt());
    assertTrue(answers.get(6).at("/response/body/error/param").isTextual());
    assertTrue(answers.get(7).at("/error/message").asText().contains("stream must be false"));
    assertTrue(answers.get(8).at("/error/message").asText().contains("messages or a prompt"));
    assertEquals("completed", answers.get(9).at("/response/body/status").asText());
    assertEquals(10, begun);
    assertEquals(6, told.stream().filter(failed -> failed).count());
  }

  /** As a killed process leaves it: whole lines and one that is cut. */
  @Test
  void whatIsThere_isKept_andTheCutLineAnsweredAgain() throws Exception {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      lines.add(chat("id-" + i, "hi"));
    }
    Files.write(input, lines);
    try (TestServer server = TestServer.start()) {
      BatchDefaults defaults = new BatchDefaults(0, "batch");
      assertEquals(new BatchRun.Result(20, 0, 0), run(server.uri(""), null, defaults, 8));
      String whole = Files.readString(output);
      List<String> before = whole.lines().toList();
      int cut = whole.indexOf(before.get(7)) + before.get(7).length() - 30;
      Files.writeString(output, whole.substring(0, cut));
      assertEquals(new BatchRun.Result(20, 7, 0), run(server.uri(""), null, defaults, 8));
      List<String> after = Files.readAllLines(output);
      assertEquals(before.subList(0, 7), after.subList(0, 7), "not asked again");
      assertEquals(20, after.size());
      for (int i = 0; i < 20; i++) {
        assertEquals("id-" + i, answers().get(i).path("custom_id").asText());
      }
      // all but its end is there
      Files.writeString(output, String.join("\n", after));
      assertEquals(new BatchRun.Result(20, 19, 0), run(server.uri(""), null, defaults, 8));
      // a line of zeros, as a machine that lost its power may leave
      Files.writeString(output, String.join("\n", after.subList(0, 5)) + "\n\0\0\0\n");
      assertEquals(new BatchRun.Result(20, 5, 0), run(server.uri(""), null, defaults, 8));
      // nothing is left to do
      assertEquals(new BatchRun.Result(20, 20, 0), run(server.uri(""), null, defaults, 8));
      server.awaitIdle();
    }
  }

  private void assertRefused(String says) {
    UserException e =
        assertThrows(
            UserException.class,
            () -> run(URI.create("http://127.0.0.1:9"), null, new BatchDefaults(0, "batch"), 4));
    assertTrue(String.valueOf(e.getMessage()).contains(says), e.getMessage());
  }

  @Test
  void anOutputOfOtherRequests_isLeftAlone() throws Exception {
    Files.write(input, List.of(chat("a", "hi"), chat("b", "hi")));
    String other = "{\"custom_id\": \"a\"}\n{\"custom_id\": \"c\"}\n";
    Files.writeString(output, other);
    assertRefused("line 2 of " + output + " answers 'c', which is not what is asked there ('b')");
    assertEquals(other, Files.readString(output));
    Files.writeString(
        output, "{\"custom_id\": \"a\"}\n{\"custom_id\": \"b\"}\n{\"custom_id\": \"d\"}\n");
    assertRefused("line 3 of " + output + " answers 'd'");
    Files.writeString(output, "a table\nof something\n");
    assertRefused("line 1 of " + output + " is no answer");
    Files.delete(output);
    output = input;
    assertRefused("is the input itself");
    output = folder.resolve("no/such/y.jsonl");
    assertRefused("there is no such folder");
    input = folder.resolve("absent");
    assertRefused("--input: " + input + " can't be read");
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aFullDisk_isSaidWithWhatIsThere() throws Exception {
    Files.write(input, List.of(chat("a", "hi")));
    output = Path.of("/dev/full");
    try (TestServer server = TestServer.start()) {
      UserException e =
          assertThrows(
              UserException.class,
              () -> run(server.uri(""), null, new BatchDefaults(0, "batch"), 4));
      assertTrue(
          String.valueOf(e.getMessage()).contains("No space left on device; 0 answers are there"),
          e.getMessage());
      server.awaitIdle();
    }
  }

  /** A server that answers as it is told. */
  private static final class Fake implements AutoCloseable {
    interface Script {
      void answer(HttpExchange exchange, JsonNode body) throws Exception;
    }

    final HttpServer http;

    Fake(Script script) throws IOException {
      http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      http.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
      http.createContext(
          "/",
          exchange -> {
            try (exchange) {
              script.answer(exchange, Json.MAPPER.readTree(exchange.getRequestBody()));
            } catch (Exception e) {
              throw new IOException(e);
            }
          });
      http.start();
    }

    URI uri() {
      return URI.create("http://127.0.0.1:" + http.getAddress().getPort());
    }

    static void send(HttpExchange exchange, int status, String text) throws IOException {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    }

    @Override
    public void close() {
      http.stop(0);
    }
  }

  /** The first request is answered last; no more are under way than was said. */
  @Test
  void answersThatComeEarly_waitForTheirTurn() throws Exception {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      lines.add("{\"prompt\": \"%d\"%s}".formatted(i, i == 5 ? ", \"n\": 9" : ""));
    }
    Files.write(input, lines);
    CountDownLatch others = new CountDownLatch(11);
    AtomicInteger now = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    try (Fake server =
        new Fake(
            (exchange, body) -> {
              most.accumulateAndGet(now.addAndGet(body.path("n").asInt(1)), Math::max);
              String prompt = body.path("prompt").asText();
              boolean first = prompt.equals("0");
              if (first && !body.path("service_class").asText().equals("rollout")) {
                Fake.send(exchange, 500, "no");
                return;
              }
              if (first) {
                others.await();
              } else {
                others.countDown();
              }
              now.addAndGet(-body.path("n").asInt(1));
              Fake.send(exchange, 200, "{\"echo\":\n\"" + prompt + "\"}");
            })) {
      assertEquals(
          new BatchRun.Result(12, 0, 0),
          run(server.uri(), null, new BatchDefaults(0, "rollout"), 10));
    }
    for (int i = 0; i < 12; i++) {
      assertEquals(Integer.toString(i), answers().get(i).at("/response/body/echo").asText());
    }
    assertTrue(most.get() <= 10, most + " under way");
  }

  /** While the first two are under way, many others come and go; of the file's none does. */
  @Test
  void noMore_areUnderWayThanWasSaid() throws Exception {
    Files.write(
        input,
        List.of("{\"prompt\": \"a\"}", "{\"prompt\": \"b\"}", "{\"prompt\": \"c\", \"n\": 2}"));
    List<String> seen = new CopyOnWriteArrayList<>();
    try (HttpClient strangers = HttpClient.newHttpClient();
        Fake server =
            new Fake(
                (exchange, body) -> {
                  String prompt = body.path("prompt").asText("stranger");
                  if (prompt.equals("b")) {
                    HttpRequest other =
                        HttpRequest.newBuilder(
                                URI.create("http:/" + exchange.getLocalAddress() + "/other"))
                            .POST(HttpRequest.BodyPublishers.ofString("{}"))
                            .build();
                    for (int i = 0; i < 30; i++) {
                      strangers.send(other, HttpResponse.BodyHandlers.discarding());
                    }
                    seen.add("30 others");
                  }
                  seen.add(prompt);
                  Fake.send(exchange, 200, "{}");
                })) {
      BatchDefaults defaults = new BatchDefaults(0, "batch");
      assertEquals(new BatchRun.Result(3, 0, 0), run(server.uri(), null, defaults, 2));
    }
    assertTrue(seen.indexOf("c") > seen.indexOf("b"), seen.toString());
    assertTrue(seen.indexOf("b") > seen.indexOf("30 others"));
  }

  /** Busy, restarting, and a proxy's page in place of an answer. */
  @Test
  void aServerThatIsBusy_isAskedAgain() throws Exception {
    Files.write(
        input, List.of("{\"prompt\": \"429\"}", "{\"prompt\": \"503\"}", "{\"prompt\": \"500\"}"));
    Map<String, AtomicInteger> asked = new ConcurrentHashMap<>();
    try (Fake server =
        new Fake(
            (exchange, body) -> {
              String prompt = body.path("prompt").asText();
              int times = asked.computeIfAbsent(prompt, _ -> new AtomicInteger()).incrementAndGet();
              if (prompt.equals("500")) {
                Fake.send(exchange, 500, "<html>\noh</html>");
              } else if (times == 1) {
                exchange.getResponseHeaders().add("retry-after", "1");
                Fake.send(exchange, Integer.parseInt(prompt), "{}");
              } else {
                Fake.send(exchange, 200, "{\"usage\": {\"completion_tokens\": 3}}");
              }
            })) {
      assertEquals(
          new BatchRun.Result(3, 0, 1), run(server.uri(), null, new BatchDefaults(0, "batch"), 10));
    }
    assertEquals(2, asked.getOrDefault("429", new AtomicInteger()).get());
    assertEquals(2, asked.getOrDefault("503", new AtomicInteger()).get());
    assertEquals(1, asked.getOrDefault("500", new AtomicInteger()).get(), "that is an answer");
    assertEquals(500, answers().get(2).at("/response/status_code").asInt());
    assertEquals("<html>\noh</html>", answers().get(2).at("/response/body").asText());
  }

  @Test
  void aWrongKey_endsTheRun_andLeavesNoErrorsInTheFile() throws Exception {
    Files.write(input, List.of(chat("a", "hi")));
    try (TestServer server = new TestServer(TestServer.USUAL.withKey("k"))) {
      UserException e =
          assertThrows(
              UserException.class,
              () -> run(server.uri(""), "wrong", new BatchDefaults(0, "batch"), 4));
      assertTrue(String.valueOf(e.getMessage()).contains("answered 401"), e.getMessage());
    }
    assertEquals(0, Files.size(output));
  }
}
