package io.tercel.trainer.grpo;

import static io.tercel.trainer.testing.Commands.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.testing.Commands;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The command on a model that answers by and large at random. */
final class GrpoCommandTest {
  @TempDir static Path directory;

  private static List<String> arguments(Path out, String student, String... more) {
    Map<String, String> options = new LinkedHashMap<>();
    options.put("--out", out.toString());
    options.put("--student", TinyReasoner.student(student).toString());
    options.put("--data", "problems:add");
    // a reward that this model can earn
    options.put("--reward", "short={\"tokens\": 12}");
    options.put("--steps", "6");
    options.put("--batch", "4");
    options.put("--group", "8");
    options.put("--updates", "1");
    options.put("--max-tokens", "16");
    options.put("--save-every", "2");
    List<String> all = new ArrayList<>(List.of("grpo"));
    for (int i = 0; i < more.length; i++) {
      if (more[i].equals("--resume") || more[i].startsWith("--dynamic")) {
        all.add(more[i]);
      } else {
        options.put(more[i], more[++i]);
      }
    }
    options.forEach((name, value) -> all.addAll(List.of(name, value)));
    return all;
  }

  private static String grpo(Path out, String student, String... more) {
    return run(arguments(out, student, more).toArray(String[]::new));
  }

  private static List<JsonNode> steps(Path run) throws IOException {
    Path log = run.resolve(RunLog.FILE);
    return Files.exists(log)
        ? RunLog.read(log).stream().filter(line -> line.has("reward")).toList()
        : List.of();
  }

  /** Rollouts of step t are of version t, and the trainer computes what the engine does. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "w3|fp32|''|2e-4",
        "w3|fp16|--updates 2 --advantage std --train latents --lr 1e-4|2e-4",
        "w3|fp16|--ratio sequence --aggregate sequence --kl 0.01|2e-4",
        "w3|fp16|--old-log-probs trainer --overlong drop --dynamic-sampling|2e-4",
        "w4|int4|--train scales,transforms,clips|1e-2"
      })
  void synchronous_policyOfTheStep(String student, String kv, String more, double bound)
      throws IOException {
    Path out = Files.createTempDirectory(directory, "run").resolve("r");
    List<String> options = new ArrayList<>(List.of("--train-kv", kv));
    for (String word : more.split(" ")) {
      if (!word.isEmpty()) {
        options.add(word);
      }
    }
    assertEquals("", grpo(out, student, options.toArray(String[]::new)));
    List<JsonNode> steps = steps(out);
    assertEquals(6, steps.size());
    int taught = 0;
    for (int i = 0; i < 6; i++) {
      JsonNode step = steps.get(i);
      assertEquals(i, step.get("oldest_version").asLong());
      assertEquals(i, step.get("newest_version").asLong());
      assertEquals(i + 1, step.get("version").asLong());
      assertTrue(
          step.get("logprob_difference").asDouble() <= bound,
          () -> "engine and trainer differ: " + step);
      taught += step.get("mixed_groups").asDouble() > 0 ? 1 : 0;
    }
    assertTrue(taught >= 4, "only " + taught + " steps taught anything");
    assertTrue(Files.exists(out.resolve("model/training-state/ptq.safetensors")));
    assertTrue(Files.exists(out.resolve("reward.png")));
  }

  /** What is rewarded happens more often. */
  @Test
  void reward_rises() throws IOException {
    Path out = directory.resolve("rising");
    assertEquals(
        "",
        grpo(out, "w3", "--steps", "16", "--batch", "8", "--lr", "3e-3", "--lr-scales", "1e-2"));
    List<JsonNode> steps = steps(out);
    double first = 0;
    double last = 0;
    for (int i = 0; i < 3; i++) {
      first += steps.get(i).get("reward").asDouble() / 3;
      last += steps.get(15 - i).get("reward").asDouble() / 3;
    }
    double before = first;
    double after = last;
    assertTrue(after > before + 0.15, () -> "reward " + before + " to " + after);
  }

  @Test
  void resume_afterKill_isTheUninterruptedRun() throws Exception {
    String[] more = {"--eval-data", "problems:add", "--eval-count", "4"};
    Path whole = directory.resolve("whole");
    assertEquals("", grpo(whole, "w3", more));
    Path killed = directory.resolve("killed");
    Process victim = Commands.start(directory.resolve("output"), arguments(killed, "w3", more));
    while (victim.isAlive() && steps(killed).size() < 3) {
      Thread.sleep(2);
    }
    victim.destroyForcibly();
    assertEquals(128 + 9, victim.waitFor());
    List<String> resumed = new ArrayList<>(List.of(more));
    resumed.add("--resume");
    assertEquals("", grpo(killed, "w3", resumed.toArray(String[]::new)));
    for (String field : List.of("rollouts", "reward", "entropy", "logprob_difference")) {
      assertEquals(
          steps(whole).stream().map(line -> line.get(field)).toList(),
          steps(killed).stream().map(line -> line.get(field)).toList(),
          field);
    }
    for (String file : List.of("training.safetensors", "model/model.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(whole.resolve(file)), Files.readAllBytes(killed.resolve(file)), file);
    }
  }

  /** Generation goes on while weights change, and no further ahead than it may. */
  @ParameterizedTest
  @CsvSource({"drop", "keep"})
  void asynchronous_tokensSayTheirVersions(String stale) throws IOException {
    Path out = directory.resolve("asynchronous-" + stale);
    assertEquals("", grpo(out, "w3", "--max-staleness", "2", "--stale-kv", stale, "--steps", "8"));
    List<JsonNode> steps = steps(out);
    assertEquals(8, steps.size());
    int stalest = 0;
    for (int i = 0; i < 8; i++) {
      long behind = i - steps.get(i).get("oldest_version").asLong();
      assertTrue(behind >= 0 && behind <= 2, "step " + i + " is " + behind + " behind");
      stalest = (int) Math.max(stalest, behind);
      assertEquals(4, steps.get(i).get("groups").asInt());
    }
    assertTrue(stalest > 0, "nothing was generated ahead");
    assertEquals(8, steps.stream().map(line -> line.get("rollouts")).distinct().count());
  }

  @Test
  void badInput_isRefused() {
    Path out = directory.resolve("refused");
    assertSays("--reward: long is none of", grpo(out, "w3", "--reward", "long"));
    assertSays("--reward: {x is no JSON", grpo(out, "w3", "--reward", "boxed={x"));
    assertSays("boxed takes the numbers", grpo(out, "w3", "--reward", "boxed={\"right\": 1}"));
    assertSays("--group must be 2", grpo(out, "w3", "--group", "1"));
    assertSays("--temperature must be 1", grpo(out, "w3", "--temperature", "0.7"));
    assertSays("--clip must be", grpo(out, "w3", "--clip", "0.2,0.3,0.4"));
    assertSays("--ratio: word", grpo(out, "w3", "--ratio", "word"));
    assertSays("--updates must be 1", grpo(out, "w3", "--updates", "5"));
  }

  private static void assertSays(String what, String error) {
    assertTrue(error.contains(what), () -> "says \"" + error + "\", not \"" + what + "\"");
  }
}
