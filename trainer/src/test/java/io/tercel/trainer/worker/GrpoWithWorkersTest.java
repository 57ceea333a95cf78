package io.tercel.trainer.worker;

import static io.tercel.trainer.testing.Commands.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command with two workers on loopback, against the same command alone. */
@Timeout(120)
final class GrpoWithWorkersTest {
  private static final int STEPS = 6;
  private static final int ANSWERS = 4 * 8;

  @TempDir static Path directory;

  private static String grpo(Path out, String student, List<TestWorker> workers, String... more) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "grpo",
                "--out=" + out,
                "--student=" + TinyReasoner.student(student),
                "--data=problems:add",
                "--reward=short={\"tokens\": 12}",
                "--steps=" + STEPS,
                "--batch=4",
                "--group=8",
                "--updates=1",
                "--max-tokens=16",
                "--lr=1e-3"));
    if (!workers.isEmpty()) {
      all.add(
          "--rollout-servers="
              + String.join(",", workers.stream().map(TestWorker::address).toList()));
      if (!String.join(" ", more).contains("--rollout-key")) {
        all.add("--rollout-key=" + TestWorker.KEY);
      }
    }
    all.addAll(List.of(more));
    return run(all.toArray(String[]::new));
  }

  private static List<JsonNode> steps(Path run) throws IOException {
    return RunLog.read(run.resolve(RunLog.FILE)).stream()
        .filter(line -> line.has("reward"))
        .toList();
  }

  /** What both runs have learned, bit for bit, and what they have learned from. */
  private static void assertSameRun(Path alone, Path with) throws IOException {
    for (String field :
        List.of(
            "rollouts",
            "reward",
            "entropy",
            "logprob_difference",
            "codes_flipped",
            "oldest_version",
            "newest_version")) {
      assertEquals(
          steps(alone).stream().map(line -> line.get(field)).toList(),
          steps(with).stream().map(line -> line.get(field)).toList(),
          field);
    }
    for (String file : List.of("training.safetensors", "model/model.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(alone.resolve(file)), Files.readAllBytes(with.resolve(file)), file);
    }
  }

  private static long sum(List<JsonNode> steps, String source, String field) {
    return steps.stream()
        .mapToLong(line -> line.get("answered_by").get(source).get(field).asLong())
        .sum();
  }

  private static TestWorker worker(String student, String kv) {
    return new TestWorker(TinyReasoner.student(student), kv, 0);
  }

  /** Latents, then everything else that can be trained; rollouts that come from elsewhere too. */
  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4"})
  void twoWorkers_changeNothing(String student) throws IOException {
    String kv = student.equals("w3") ? "fp16" : "int4";
    String trained =
        "--train=" + (student.equals("w3") ? "latents,embedding,norms" : "scales,transforms,clips");
    Path alone = directory.resolve("alone-" + student);
    assertEquals("", grpo(alone, student, List.of(), trained));
    Path with = directory.resolve("with-" + student);
    try (TestWorker first = worker(student, kv);
        TestWorker second = worker(student, kv)) {
      List<TestWorker> both = List.of(first, second);
      assertEquals("", grpo(with, student, both, trained));
      assertSameRun(alone, with);
      List<JsonNode> steps = steps(with);
      long here = sum(steps, "here", "answers");
      for (TestWorker worker : both) {
        long answers = sum(steps, worker.address(), "answers");
        assertTrue(answers > 0, "a worker has answered nothing");
        here += answers;
        assertEquals(0, sum(steps, worker.address(), "put_aside"));
        assertTrue(sum(steps, worker.address(), "sent_bytes") > 0);
        assertEquals(STEPS - 1, worker.version(), "weights of all steps but the last are sent");
      }
      assertEquals(STEPS * ANSWERS, here);
      assertTrue(steps.stream().anyMatch(step -> step.get("worker_share").asDouble() > 0.3));
      assertEquals(first.checksum(), second.checksum());
    }
  }

  /** One that dies and one that hangs: what they have not answered is answered elsewhere. */
  @ParameterizedTest
  @ValueSource(strings = {"dies", "hangs"})
  void workerLost_costsItsRolloutsAlone(String how) throws Exception {
    Path alone = directory.resolve("alone-" + how);
    assertEquals("", grpo(alone, "w3", List.of()));
    Path with = directory.resolve("with-" + how);
    try (TestWorker lost = worker("w3", "fp16");
        TestWorker other = worker("w3", "fp16")) {
      CompletableFuture<Void> loss =
          CompletableFuture.runAsync(
              () -> {
                try {
                  TestWorker.await(() -> lost.version() >= 2);
                  lost.hang();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
                if (how.equals("dies")) {
                  lost.kill();
                }
              });
      String timeout = "--rollout-timeout=" + (how.equals("dies") ? 60 : 1);
      assertEquals("", grpo(with, "w3", List.of(lost, other), timeout));
      loss.join();
      assertSameRun(alone, with);
      List<JsonNode> steps = steps(with);
      assertEquals(
          STEPS * ANSWERS,
          sum(steps, "here", "answers")
              + sum(steps, lost.address(), "answers")
              + sum(steps, other.address(), "answers"));
      assertTrue(sum(steps, lost.address(), "put_aside") > 0);
      assertEquals(0, sum(steps, other.address(), "put_aside"));
      assertTrue(sum(steps, other.address(), "answers") > 0);
    }
  }

  /** No group is lost or used twice, though one worker dies with some of them. */
  @ParameterizedTest
  @ValueSource(strings = {"drop", "keep"})
  void asynchronous_everyGroupOnce(String stale) throws Exception {
    Path out = directory.resolve("asynchronous-" + stale);
    try (TestWorker lost = worker("w3", "fp16");
        TestWorker other = worker("w3", "fp16")) {
      CompletableFuture<Void> loss =
          CompletableFuture.runAsync(
              () -> {
                try {
                  TestWorker.await(() -> lost.version() >= 2);
                  lost.hang();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
                lost.kill();
              });
      List<TestWorker> both = List.of(lost, other);
      assertEquals("", grpo(out, "w3", both, "--max-staleness=2", "--stale-kv=" + stale));
      loss.join();
      List<JsonNode> steps = steps(out);
      assertEquals(STEPS, steps.size());
      for (int i = 0; i < STEPS; i++) {
        long oldest = steps.get(i).get("oldest_version").asLong();
        assertTrue(oldest >= i - 2 && steps.get(i).get("newest_version").asLong() <= i);
        assertEquals(4, steps.get(i).get("groups").asInt());
      }
      assertEquals(STEPS, steps.stream().map(line -> line.get("rollouts")).distinct().count());
      assertEquals(
          STEPS * ANSWERS,
          sum(steps, "here", "answers")
              + sum(steps, lost.address(), "answers")
              + sum(steps, other.address(), "answers"));
      assertTrue(sum(steps, lost.address(), "put_aside") > 0);
    }
  }

  @Test
  void whatDoesNotFit_isNamed() {
    Path out = directory.resolve("refused");
    try (TestWorker w4 = worker("w4", "int4");
        TestWorker fp32 = worker("w3", "fp32")) {
      assertSays(
          w4.address()
              + " serves model.layers.0.self_attn.q_proj.weight = w4a4 64 x 64"
              + " where the student has w3g128 64 x 64",
          grpo(out, "w3", List.of(w4)));
      assertSays(
          fp32.address() + " serves kv_cache.type = fp32 where the student has fp16",
          grpo(out, "w3", List.of(fp32)));
      assertSays(
          fp32.address() + " wants its admin key",
          grpo(out, "w3", List.of(fp32), "--rollout-key=other"));
    }
    assertSays("\"here\" is no host:port", grpo(out, "w3", List.of(), "--rollout-servers=here"));
    assertSays("is no host:port", grpo(out, "w3", List.of(), "--rollout-servers=h:0"));
    assertSays("is there twice", grpo(out, "w3", List.of(), "--rollout-servers=h:1,h:1"));
    assertSays(
        "--rollout-timeout must be above 0",
        grpo(out, "w3", List.of(), "--rollout-servers=h:1", "--rollout-timeout=0"));
  }

  private static void assertSays(String what, String error) {
    assertTrue(error.contains(what), () -> "says \"" + error + "\", not \"" + what + "\"");
  }
}
