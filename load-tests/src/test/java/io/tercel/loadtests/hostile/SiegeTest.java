package io.tercel.loadtests.hostile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.tercel.loadtests.client.HonestClient;
import io.tercel.loadtests.client.ServerProbe;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SiegeTest {
  private static final String METRICS =
      """
      process_resident_memory_bytes 1.048576E8
      jvm_memory_bytes_used{area="heap",} 5.24288E7
      jvm_buffer_pool_used_bytes{pool="direct",} 1048576.0
      vllm:num_requests_running{model_name="m",} 0.0
      vllm:num_requests_waiting{model_name="m",} %d.0
      vllm:kv_cache_usage_perc{model_name="m",} 0.0
      """;

  private HttpServer server;
  private volatile String text = "770";
  private volatile int attackStatus = 400;
  private final AtomicInteger attacks = new AtomicInteger();

  /** What the honest client is answered, one after the other; 200 when they are used up. */
  private final Queue<Integer> honest = new ConcurrentLinkedQueue<>();

  private volatile CountDownLatch asked = new CountDownLatch(0);

  @BeforeEach
  void start() throws Exception {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/metrics", exchange -> answer(exchange, 200, METRICS.formatted(0)));
    server.createContext("/v1/chat/completions", this::chat);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void chat(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    if (body.equals("bad")) {
      attacks.incrementAndGet();
      answer(exchange, attackStatus, "{}");
    } else {
      Integer status = honest.poll();
      if (status != null) {
        asked.countDown();
      }
      answer(
          exchange,
          status == null ? 200 : status,
          "{\"id\":\"x\",\"choices\":[\"" + text + "\"],\"usage\":{}}");
    }
  }

  private static void answer(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private Siege.Result siege(Attack.Client client) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    Attack.Door door = new Attack.Door(uri, "key", "m", Duration.ofSeconds(1));
    try (ServerProbe probe = new ServerProbe(uri.toString(), "key", Duration.ofSeconds(10))) {
      return new Siege(door, probe).run(new Attack("test", 5, client));
    }
  }

  private static void bad(Attack.Door door, Tally tally) throws IOException {
    try (RawSocket socket = door.open()) {
      socket.post("/v1/chat/completions", "bad".getBytes(StandardCharsets.UTF_8));
      tally.add(socket.status());
    }
  }

  @Test
  void refusals_areBorne() throws Exception {
    Siege.Result result = siege(SiegeTest::bad);
    assertEquals(5, attacks.get());
    assertEquals("400 x5", result.tally().toString());
    assertEquals(0, result.broken());
    assertEquals("100", ServerReading.mib(result.before().resident()));
    assertEquals("50", ServerReading.mib(result.peak().heap()));
    assertTrue(result.answers().same() + result.afterwards().same() >= 2);
    assertTrue(result.borne());
  }

  @Test
  void faults_areNot() throws Exception {
    attackStatus = 500;
    assertFalse(siege(SiegeTest::bad).borne());
    attackStatus = 503;
    assertTrue(siege(SiegeTest::bad).borne(), "a server may say that it is full");
  }

  @Test
  void anotherAnswerForTheHonest_isNot() throws Exception {
    assertFalse(siege((door, tally) -> text = "771").borne());
  }

  /** Until the honest client has had the answers that were laid out for it. */
  private Siege.Result siegeOf(Integer... answers) throws Exception {
    asked = new CountDownLatch(answers.length);
    CountDownLatch laidOut = asked;
    return siege(
        (door, tally) -> {
          if (attacks.incrementAndGet() == 1) {
            honest.addAll(List.of(answers)); // its questions before the attack are behind it
          }
          if (!laidOut.await(30, TimeUnit.SECONDS)) {
            throw new IOException("the honest client asks no more");
          }
        });
  }

  @Test
  void honestClientSentAwayMostly_isLockedOut() throws Exception {
    Siege.Result result = siegeOf(200, 429, 503, 429, 429, 503, 429, 503, 429);
    assertEquals(8, result.answers().refused());
    assertTrue(result.answers().lockedOut());
    assertTrue(result.answers().allTheSame(), "and right when it is answered");
    assertTrue(result.afterwards().allTheSame(), "nothing else is wrong");
    assertFalse(result.borne());
  }

  @Test
  void honestClientSentAwayAtTimes_isNotLockedOut() throws Exception {
    Siege.Result result = siegeOf(200, 429, 200);
    assertEquals(1, result.answers().refused());
    assertTrue(result.borne());
  }

  @Test
  void lockedOut_isMoreOftenSentAwayThanAnswered() throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    HonestClient client = new HonestClient(uri, "key", "m");
    HonestClient.Answers answers = new HonestClient.Answers();
    assertFalse(answers.lockedOut(), "never asked");
    honest.addAll(List.of(429, 200, 503));
    boolean[] lockedOut = new boolean[3];
    for (int i = 0; i < 3; i++) {
      client.ask(answers);
      lockedOut[i] = answers.lockedOut();
    }
    assertArrayEquals(new boolean[] {true, false, true}, lockedOut);
    assertTrue(answers.allTheSame(), "being sent away is not another answer");
    honest.add(500);
    client.ask(answers);
    assertFalse(answers.allTheSame());
    assertEquals(2, answers.refused());
  }

  @Test
  void idle_nothingWaits() {
    assertTrue(ServerReading.of(METRICS.formatted(0)).idle());
    assertFalse(ServerReading.of(METRICS.formatted(3)).idle());
  }
}
