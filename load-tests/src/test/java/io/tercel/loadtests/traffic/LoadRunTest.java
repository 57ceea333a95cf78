package io.tercel.loadtests.traffic;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.ScriptedServer;
import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.RandomDataset;
import io.tercel.loadtests.data.TokenIdPrompts;
import io.tercel.loadtests.metrics.Failures;
import io.tercel.loadtests.metrics.Misbehaviour;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.RequestTrace.Client;
import io.tercel.loadtests.metrics.RequestTrace.Ending;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Load on a server whose answers are scripted. */
@Timeout(60)
class LoadRunTest {
  private static final double INF = Double.POSITIVE_INFINITY;
  private static final long SECOND = 1_000_000_000L;
  private static final Dataset DATASET =
      new RandomDataset(new TokenIdPrompts(new int[] {1, 2, 3}), 1, 12, 6, 0);

  private ScriptedServer server;

  @BeforeEach
  void start() throws IOException {
    server = new ScriptedServer();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static TrafficPlan count(int requests, double rate, int concurrency) {
    return new TrafficPlan(requests, 0, rate, 1, concurrency, 0, 7);
  }

  private RunResult run(TrafficPlan plan, ClientMix mix, Duration timeout)
      throws InterruptedException {
    return run(server.completions(), plan, mix, timeout);
  }

  private static RunResult run(URI url, TrafficPlan plan, ClientMix mix, Duration timeout)
      throws InterruptedException {
    ObjectNode extra = new ObjectMapper().createObjectNode().put("ignore_eos", true);
    AtomicInteger ended = new AtomicInteger();
    try (HttpTarget target = new HttpTarget(url, "key", "m", extra, timeout)) {
      RunResult result =
          new LoadRun(target, DATASET, plan, mix, true, trace -> ended.incrementAndGet()).run();
      assertEquals(result.traces().size(), ended.get());
      return result;
    }
  }

  private RunResult run(TrafficPlan plan) throws InterruptedException {
    return run(plan, ClientMix.patient(), Duration.ofSeconds(30));
  }

  @Test
  void closedLoop_keepsItsConcurrency() throws InterruptedException {
    CyclicBarrier three = new CyclicBarrier(3);
    server.play(
        (request, answer) -> {
          answer.token("a");
          together(three); // answered by threes, or never
          Thread.sleep(20); // it is real time that a load test measures
          answer.end(12, 1, 0);
        });
    RunResult result = run(count(12, INF, 3));
    assertEquals(12, result.traces().size());
    assertEquals(3, server.peak.get());
    for (int i = 0; i < 12; i++) {
      RequestTrace trace = result.traces().get(i);
      assertEquals(i, trace.index());
      assertEquals(Ending.COMPLETED, trace.ending());
      assertEquals(12, trace.promptTokens());
      assertEquals("a", trace.generatedText());
      assertTrue(trace.e2el() >= 20_000_000, () -> "answered in " + trace.e2el());
      assertTrue(result.window().contains(trace.last()));
    }
  }

  private static void together(CyclicBarrier all) throws IOException, InterruptedException {
    try {
      all.await(20, TimeUnit.SECONDS);
    } catch (BrokenBarrierException | TimeoutException e) {
      throw new IOException("they are not there at once", e);
    }
  }

  @Test
  void closedLoop_slowReadersComeBesidesItsPlaces() throws InterruptedException {
    server.play(
        (request, answer) -> {
          answer.token("a".repeat(300));
          answer.end(12, 1, 0);
        });
    RunResult result = run(count(3, INF, 1), new ClientMix(0, 1, 600, 3), Duration.ofSeconds(30));
    assertEquals(3, result.traces().size());
    for (RequestTrace trace : result.traces()) {
      assertEquals(Ending.COMPLETED, trace.ending());
    }
    assertTrue(
        result.traces().get(2).intended() < result.traces().get(0).last(),
        "with one place, they were there at once");
  }

  @Test
  void requests_sayWhatWasAsked() throws InterruptedException {
    run(count(2, INF, 1));
    var request = server.requests.getFirst();
    assertEquals(12, request.get("prompt").size());
    assertEquals(6, request.get("max_tokens").asInt());
    assertTrue(request.get("ignore_eos").asBoolean());
    assertTrue(request.at("/stream_options/include_usage").asBoolean());
    assertEquals(DATASET.request(0).seed(), request.get("seed").asLong());
  }

  @Test
  void openLoop_sendsAtItsRateWhateverTheServerDoes() throws InterruptedException {
    CountDownLatch all = new CountDownLatch(10);
    server.play(
        (request, answer) -> {
          all.countDown(); // nobody is answered before everybody has asked
          if (!all.await(20, TimeUnit.SECONDS)) {
            throw new IOException("they wait for each other");
          }
          answer.token("a");
          answer.end(1, 1, 0);
        });
    RunResult result = run(count(10, 50, 0));
    assertEquals(10, server.peak.get());
    long first = result.traces().getFirst().intended();
    long last = result.traces().getLast().intended();
    assertEquals(SECOND * 10 / 50, last - result.window().from());
    assertTrue(last > first);
  }

  /** A server that stalls for one request: those that had to wait for it say so. */
  @Test
  void openLoop_countsFromTheIntendedTime() throws InterruptedException {
    server.play(
        (request, answer) -> {
          if (server.requests.size() == 1) {
            Thread.sleep(500); // the stall is measured: real time
          }
          answer.token("a");
          answer.end(1, 1, 0);
        });
    RunResult result = run(count(5, 100, 1));
    for (RequestTrace trace : result.traces()) {
      // all arrive within 50 ms, and none could be sent before 500
      assertTrue(trace.ttft() >= 440_000_000, () -> trace.index() + ": " + trace.ttft());
    }
    assertTrue(result.traces().getLast().sentAt() > result.traces().getLast().intended());
  }

  @Test
  void duration_endsTheSending() throws InterruptedException {
    server.play(
        (request, answer) -> {
          answer.token("a");
          Thread.sleep(10); // the server's pace, or half a second is a million answers
          answer.end(1, 1, 0);
        });
    long before = System.nanoTime();
    RunResult result = run(new TrafficPlan(0, SECOND / 2, INF, 1, 2, 0, 7));
    assertTrue(System.nanoTime() - before >= SECOND / 2);
    assertTrue(result.traces().stream().allMatch(t -> t.ending() == Ending.COMPLETED));
    // a client whose answer comes after the time asks no more
    long late =
        result.traces().stream()
            .filter(t -> t.last() - result.window().from() >= SECOND / 2)
            .count();
    assertTrue(late <= 2, () -> late + " were answered after the end");
  }

  @Test
  void refusals_areCountedByStatusAndNotTriedAgain() throws InterruptedException {
    server.play((request, answer) -> answer.refuse(429, "too many"));
    RunResult result = run(count(3, INF, 0));
    Failures failures = Failures.of(result.traces());
    assertEquals(Map.of("http_429", 3L), failures.counts());
    assertEquals("too many", failures.example("http_429"));
    assertEquals(3, failures.retryAfters());
    assertEquals(2, failures.leastRetryAfter());
    assertEquals(3, server.requests.size());
  }

  /** Two seconds, as Retry-After says, would be behind the run's end. */
  @Test
  void closedLoop_thatIsRefused_doesNotHammer() throws InterruptedException {
    server.play((request, answer) -> answer.refuse(503, "later"));
    run(new TrafficPlan(0, SECOND / 5, INF, 1, 2, 0, 7));
    assertEquals(2, server.requests.size());
  }

  @Test
  void brokenStreams_areCountedApartFromConnections() throws InterruptedException {
    server.play(
        (request, answer) -> {
          answer.token("a");
          if (server.requests.size() == 1) {
            answer.raw("data: {\"error\":{\"message\":\"out of room\"}}\n\n");
          }
        });
    assertEquals(Map.of("stream", 2L), Failures.of(run(count(2, INF, 1)).traces()).counts());
    URI nobody = server.completions();
    server.close();
    RunResult refused = run(nobody, count(1, INF, 1), ClientMix.patient(), Duration.ofSeconds(10));
    assertEquals(Map.of("connection", 1L), Failures.of(refused.traces()).counts());
  }

  @Test
  void slowAnswers_timeOut() throws InterruptedException {
    Semaphore never = new Semaphore(0);
    server.play(
        (request, answer) -> {
          answer.token("a");
          never.tryAcquire(20, TimeUnit.SECONDS);
        });
    RunResult result = run(count(1, INF, 1), ClientMix.patient(), Duration.ofMillis(300));
    assertEquals(Map.of("timeout", 1L), Failures.of(result.traces()).counts());
    never.release();
  }

  /** Everybody leaves, and the server sees that of all whose request it began to answer. */
  @Test
  void leavers_leave() throws InterruptedException {
    server.play(
        (request, answer) -> {
          while (true) {
            answer.token("a");
            Thread.sleep(2); // the server's pace; only a write tells that a client has gone
          }
        });
    RunResult result = run(count(20, INF, 4), new ClientMix(1, 0, 1, 3), Duration.ofSeconds(30));
    assertEquals(20, Misbehaviour.of(result.traces(), Client.LEAVER).left());
    assertTrue(server.awaitIdle(), "the server still writes to some");
    assertEquals(server.requests.size(), server.gone.get());
    assertTrue(server.gone.get() >= 10, () -> "only " + server.gone.get() + " were answered");
    List<Integer> tokens = result.traces().stream().map(RequestTrace::tokenEvents).toList();
    // at random points: before the first token, and after several
    assertTrue(tokens.stream().distinct().count() > 2, tokens::toString);
  }

  @Test
  void slowReaders_readSlowlyAndToTheEnd() throws InterruptedException {
    RunResult result = run(count(2, INF, 2), new ClientMix(0, 1, 1500, 3), Duration.ofSeconds(30));
    Misbehaviour slow = Misbehaviour.of(result.traces(), Client.SLOW_READER);
    assertEquals(new Misbehaviour(2, 0, 2, 0, 12), slow);
    for (RequestTrace trace : result.traces()) {
      assertEquals(12, trace.promptTokens());
      // about 600 bytes
      assertTrue(trace.e2el() > 200_000_000, () -> "read in " + trace.e2el());
    }
  }

  @Test
  void slowReaders_seeRefusalsToo() throws InterruptedException {
    server.play((request, answer) -> answer.refuse(429, "too many"));
    RunResult result =
        run(count(1, INF, 1), new ClientMix(0, 1, 100_000, 3), Duration.ofSeconds(30));
    Failures failures = Failures.of(result.traces());
    assertEquals(Map.of("http_429", 1L), failures.counts());
    assertEquals("too many", failures.example("http_429"));
    assertEquals(2, failures.leastRetryAfter());
  }

  @Test
  void mix_hasItsShares() {
    ClientMix mix = new ClientMix(0.3, 0.1, 64, 5);
    int[] counts = new int[Client.values().length];
    for (int i = 0; i < 4000; i++) {
      counts[mix.behaviorOf(DATASET.request(i)).kind().ordinal()]++;
    }
    assertEquals(1200, counts[Client.LEAVER.ordinal()], 120);
    assertEquals(400, counts[Client.SLOW_READER.ordinal()], 80);
  }
}
