package io.tercel.trainer.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.trainer.run.RunLog;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command itself in other JVMs, one of which is killed with SIGKILL in the middle. */
final class ResumeTest {
  private static final int STEPS = 40;
  private static final String RECIPE =
      """
      model.hidden=64
      model.ffn=64
      model.layers=2
      model.heads=2
      model.kvHeads=1
      model.headDim=32
      family.add=1
      stages=28:2e-3,12:1e-3
      batch=16
      microBatches=2
      warmup=4
      evaluateEvery=5
      saveEvery=4
      heldOut=8
      """;

  @TempDir Path directory;

  @Test
  void resume_afterKill_weightsAndLossesAreThoseOfTheUninterruptedRun() throws Exception {
    Path recipe = directory.resolve("recipe.properties");
    Files.writeString(recipe, RECIPE);
    Path whole = directory.resolve("whole");
    Process first = start("--recipe", recipe.toString(), "--out", whole.toString());

    Path killed = directory.resolve("killed");
    Process victim = start("--recipe", recipe.toString(), "--out", killed.toString());
    // steps 9 to 11 are beyond the checkpoint of step 8, and must be done again
    while (victim.isAlive() && steps(killed).size() < 10) {
      Thread.sleep(2);
    }
    victim.destroyForcibly();
    assertEquals(128 + 9, victim.waitFor());
    int done = steps(killed).size();
    assertTrue(done >= 10 && done < STEPS, done + " steps before the kill");
    finish(first);
    finish(start("--out", killed.toString(), "--resume"));

    assertEquals(losses(whole), losses(killed));
    assertEquals(STEPS, steps(killed).size());
    for (String file : List.of("training.safetensors", "model/model.safetensors")) {
      assertEquals(sha256(whole.resolve(file)), sha256(killed.resolve(file)), file);
    }
  }

  private Process start(String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx512m", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-Dai.djl.offline=true", "-Dai.djl.pytorch.num_threads=2", "-cp"));
    String classPath = System.getProperty("java.class.path");
    command.add(System.getProperty("surefire.test.class.path", classPath));
    command.addAll(List.of("io.tercel.server.cli.Tercel", "train"));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(Redirect.appendTo(directory.resolve("output").toFile()))
        .start();
  }

  private void finish(Process process) throws Exception {
    boolean ended = process.waitFor(120, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(
        ended && process.exitValue() == 0, () -> "failed: " + read(directory.resolve("output")));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static List<JsonNode> steps(Path run) throws IOException {
    Path log = run.resolve(RunLog.FILE);
    return Files.exists(log)
        ? RunLog.read(log).stream().filter(line -> line.has("loss")).toList()
        : List.of();
  }

  private static List<String> losses(Path run) throws IOException {
    List<String> losses = new ArrayList<>();
    for (JsonNode line : RunLog.read(run.resolve(RunLog.FILE))) {
      losses.add(
          line.get("step") + " " + line.get("loss") + line.get("held_out_loss") + line.get("lr"));
    }
    return losses;
  }

  private static String sha256(Path file) throws IOException, NoSuchAlgorithmException {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    return HexFormat.of().formatHex(digest);
  }
}
