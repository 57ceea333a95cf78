package io.tercel.trainer.worker;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.call.Keys;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.testing.TinyReasoner;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Workers that come and go, beside an engine whose weights change. */
@Timeout(120)
final class RolloutFleetTest {
  private static final Path MODEL = TinyReasoner.student("w3");
  private static final Prompt PROMPT = new Prompt("a", new int[] {7, 20, 21, 9}, "1");

  private ServedStudent served;
  private Rollouts local;

  @SuppressWarnings("NullAway.Init") // each test opens it
  private RolloutFleet fleet;

  @BeforeEach
  void serve() {
    ServingOptions options =
        new ServingOptions()
            .kvCacheDtype("fp16")
            .maxNumSeqs(8)
            .maxWaiting(10_000)
            .maxModelLen(256)
            .threads(1);
    served =
        ServedStudent.open(
            MODEL,
            options,
            new ServeAddress(ServeAddress.LOOPBACK, 0, null),
            Keys.of(null, null),
            List.of());
    local = new Rollouts(served.running().served().engine(), new Sampling(1, 1, 24));
  }

  @AfterEach
  void stop() {
    fleet.close();
    served.close();
  }

  private void open(double seconds, TestWorker... workers) {
    fleet =
        RolloutFleet.open(
            local,
            served,
            List.of(workers).stream().map(w -> WorkerAddress.parse(w.address())).toList(),
            TestWorker.KEY,
            Duration.ofMillis((long) (1000 * seconds)));
  }

  private WeightStore weights() {
    return served.running().running().weights();
  }

  /** New weights: a norm is another. */
  private void publish(float factor) {
    try (WeightPatch patch = WeightPatch.against(weights(), fleet.student().history())) {
      float[] norm = Objects.requireNonNull(weights().tensors().vector("model.norm.weight"));
      float[] values = norm.clone();
      values[3] *= factor;
      patch.writer().vector("model.norm.weight", norm, values);
      served
          .running()
          .served()
          .engine()
          .betweenSteps(
              () -> {
                weights().update(patch);
                return null;
              })
          .join();
    }
  }

  /** What the engine alone answers, one seed after another. */
  private List<List<Rollout>> alone(int groups) {
    List<List<Rollout>> all = new ArrayList<>();
    for (int i = 0; i < groups; i++) {
      all.add(local.group(PROMPT, 8, 100 * i, StaleKv.DROP).join());
    }
    return all;
  }

  private List<CompletableFuture<List<Rollout>>> ask(int groups) {
    List<CompletableFuture<List<Rollout>>> all = new ArrayList<>();
    for (int i = 0; i < groups; i++) {
      all.add(fleet.group(PROMPT, 8, 100 * i, StaleKv.DROP));
    }
    return all;
  }

  private static void assertSame(
      List<List<Rollout>> expected, List<CompletableFuture<List<Rollout>>> asked) {
    for (int i = 0; i < expected.size(); i++) {
      List<Rollout> group = asked.get(i).join();
      assertEquals(8, group.size());
      for (int n = 0; n < 8; n++) {
        Rollout is = group.get(n);
        Rollout was = expected.get(i).get(n);
        assertArrayEquals(was.tokens(), is.tokens());
        assertArrayEquals(was.logProbs(), is.logProbs());
        assertArrayEquals(was.versions(), is.versions());
        assertArrayEquals(was.forced(), is.forced());
        assertEquals(was.reason(), is.reason());
        assertEquals(PROMPT, is.prompt());
      }
    }
  }

  private JsonNode described() {
    ObjectNode line = new ObjectMapper().createObjectNode();
    fleet.describe(line);
    return line.get("answered_by");
  }

  private String checksum() {
    return WeightChecksum.of(weights()).hex();
  }

  /** An export that it has already is not sent; then no more than what has changed is. */
  @Test
  void sent_isWhatIsMissing() {
    try (TestWorker worker = new TestWorker(MODEL, "fp16", 0)) {
      open(60, worker);
      assertSame(alone(6), ask(6));
      JsonNode first = described();
      assertEquals(0, first.get(worker.address()).get("sent_bytes").asLong());
      assertTrue(first.get(worker.address()).get("answers").asLong() >= 8, first::toString);
      assertEquals(
          48,
          first.get(worker.address()).get("answers").asLong()
              + first.get("here").get("answers").asLong());
      assertEquals(0, worker.version());
      publish(1.5f);
      publish(0.5f);
      assertSame(alone(6), ask(6));
      assertEquals(1, worker.version(), "the trainer's is 2, and tokens said so");
      assertEquals(256, described().get(worker.address()).get("sent_bytes").asLong());
      assertEquals(checksum(), worker.checksum());
    }
  }

  /** One that was started again has the export's weights, and is sent all. */
  @Test
  void startedAgain_isSentEverything() throws InterruptedException {
    TestWorker worker = new TestWorker(MODEL, "fp16", 0);
    int port = worker.port();
    open(60, worker);
    try {
      assertSame(alone(4), ask(4));
      publish(1.5f);
      assertSame(alone(4), ask(4));
      worker.kill();
      publish(0.9f);
      assertSame(alone(4), ask(4));
      JsonNode lost = described().get(worker.address());
      assertEquals(1, lost.get("put_aside").asLong());
    } finally {
      worker.close();
    }
    try (TestWorker again = new TestWorker(MODEL, "fp16", port)) {
      float factor = 1.1f;
      while (!again.checksum().equals(checksum())) {
        publish(factor);
        var unused = ask(1).getFirst().join();
        Thread.sleep(100); // it is tried again after a second
        factor = 2.1f - factor;
      }
      TestWorker.await(() -> fleet.ready() == 1);
      assertSame(alone(8), ask(8));
      JsonNode back = described().get(again.address());
      assertTrue(back.get("answers").asLong() > 0, back::toString);
      assertTrue(back.get("sent_bytes").asLong() > 70_000, back::toString);
    }
  }

  /** Somebody else's reload there is noticed, by its tokens if by nothing else. */
  @Test
  void reloadedThere_isNotUsed() throws Exception {
    try (TestWorker worker = new TestWorker(MODEL, "fp16", 0)) {
      open(60, worker);
      publish(1.5f);
      assertSame(alone(4), ask(4));
      assertEquals(checksum(), worker.checksum());
      worker.reload();
      assertNotEquals(checksum(), worker.checksum());
      assertSame(alone(6), ask(6));
      assertEquals(1, described().get(worker.address()).get("put_aside").asLong());
      assertEquals(0, fleet.ready());
    }
  }

  /** A reload just before new weights are sent: they are no change of what is there now. */
  @Test
  void reloadedBetween_isSentEverything() throws Exception {
    try (TestWorker worker = new TestWorker(MODEL, "fp16", 0)) {
      open(60, worker);
      publish(1.5f);
      assertSame(alone(4), ask(4));
      worker.reload();
      publish(0.9f);
      assertSame(alone(6), ask(6));
      assertEquals(checksum(), worker.checksum());
      assertEquals(1, fleet.ready());
      assertEquals(0, described().get(worker.address()).get("put_aside").asLong());
    }
  }

  /** A group under way when it dies, by the same seed elsewhere. */
  @Test
  void killedInTheMiddle_isAskedElsewhere() throws InterruptedException {
    try (TestWorker lost = new TestWorker(MODEL, "fp16", 0);
        TestWorker other = new TestWorker(MODEL, "fp16", 0)) {
      open(60, lost, other);
      List<List<Rollout>> expected = alone(12);
      lost.engine().pause().join();
      List<CompletableFuture<List<Rollout>>> asked = ask(12);
      TestWorker.await(lost::holdsAnswers);
      assertTrue(asked.stream().anyMatch(group -> !group.isDone()));
      lost.kill();
      assertSame(expected, asked);
      JsonNode by = described();
      assertEquals(0, by.get(lost.address()).get("answers").asLong());
      assertEquals(1, by.get(lost.address()).get("put_aside").asLong());
      assertEquals(
          96,
          by.get("here").get("answers").asLong() + by.get(other.address()).get("answers").asLong());
    }
  }

  /** What hangs is put aside after the time that it has. */
  @Test
  void hanging_isPutAside() throws InterruptedException {
    try (TestWorker lost = new TestWorker(MODEL, "fp16", 0)) {
      open(0.3, lost);
      List<List<Rollout>> expected = alone(6);
      lost.engine().pause().join();
      assertSame(expected, ask(6));
      assertEquals(0, fleet.ready());
      TestWorker.await(() -> !lost.holdsAnswers()); // its calls are cancelled, so it frees them
    }
  }

  /** One that goes on, but far behind: what it has is answered here too, and counted once. */
  @Test
  void lagging_isBeaten() throws InterruptedException {
    try (TestWorker slow = new TestWorker(MODEL, "fp16", 0)) {
      open(0.5, slow);
      List<List<Rollout>> expected = alone(6);
      Thread brake = Thread.ofPlatform().start(() -> slow.crawl(60));
      try {
        assertSame(expected, ask(6));
        JsonNode by = described();
        assertEquals(1, by.get(slow.address()).get("put_aside").asLong());
        assertEquals(
            48,
            by.get("here").get("answers").asLong()
                + by.get(slow.address()).get("answers").asLong());
        assertTrue(by.get("here").get("answers").asLong() > 8, by::toString);
        assertEquals(0, fleet.ready());
      } finally {
        brake.interrupt();
        brake.join();
      }
    }
  }

  /** Its figures are at /metrics, by its address. */
  @Test
  void metrics_nameTheWorker() throws Exception {
    try (TestWorker worker = new TestWorker(MODEL, "fp16", 0)) {
      open(60, worker);
      assertSame(alone(6), ask(6));
      long answers = described().get(worker.address()).get("answers").asLong();
      String line = "worker=\"%s\",} %.1f".formatted(worker.address(), (double) answers);
      URI metrics = Objects.requireNonNull(served.serving()).url().resolve("/metrics");
      try (HttpClient client = HttpClient.newHttpClient()) {
        String text =
            client.send(HttpRequest.newBuilder(metrics).build(), BodyHandlers.ofString()).body();
        assertTrue(
            text.lines()
                .anyMatch(l -> l.startsWith("tercel_training_worker_answers{") && l.contains(line)),
            text);
        assertTrue(text.contains("tercel_training_worker_ready{"), text);
      }
    }
  }
}
