package io.tercel.trainer.distill;

import static io.tercel.trainer.testing.Commands.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.testing.Commands;
import io.tercel.trainer.testing.TinyReasoner;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The command on a model of two layers that has learned a little. */
final class DistillCommandTest {
  @TempDir static Path directory;

  private static final Path TEACHER = TinyReasoner.teacher();

  private static List<String> arguments(Path out, String student, String... more) {
    Map<String, String> options = new LinkedHashMap<>();
    options.put("--out", out.toString());
    options.put("--student", TinyReasoner.student(student).toString());
    options.put("--teacher", TEACHER.toString());
    options.put("--data", "problems:add");
    options.put("--steps", "12");
    options.put("--batch", "8");
    options.put("--lr", "1e-3");
    List<String> all = new ArrayList<>(List.of("distill"));
    for (int i = 0; i < more.length; i++) {
      if (more[i].equals("--resume")) {
        all.add(more[i]);
      } else {
        options.put(more[i], more[++i]);
      }
    }
    options.forEach((name, value) -> all.addAll(List.of(name, value)));
    return all;
  }

  private static String distill(Path out, String student, String... more) {
    return run(arguments(out, student, more).toArray(String[]::new));
  }

  private static double[] losses(Path run) throws IOException {
    return RunLog.read(run.resolve(RunLog.FILE)).stream()
        .filter(line -> line.has("loss"))
        .mapToDouble(line -> line.get("loss").asDouble())
        .toArray();
  }

  @ParameterizedTest
  @CsvSource({"w3,latents", "w3,scales", "w3,'latents,scales,norms,embedding'", "w4,"})
  void distill_lossFalls_andTheModelIsWhatWasTrained(String student, String parts)
      throws IOException {
    Path out = Files.createTempDirectory(directory, "run").resolve("r");
    String[] more = parts == null ? new String[0] : new String[] {"--train", parts};
    assertEquals("", distill(out, student, more));
    double[] losses = losses(out);
    assertEquals(12, losses.length);
    double first = losses[0] + losses[1] + losses[2];
    double last = losses[9] + losses[10] + losses[11];
    assertTrue(last < 0.9 * first, first + " to " + last);
    Path again = out.resolveSibling("again");
    // nothing is learned in a step of next to no rate: what is written is what was read
    assertEquals(
        "",
        run(
            "distill",
            "--out",
            again.toString(),
            "--student",
            out.resolve("model").toString(),
            "--objective",
            "sft",
            "--data",
            "problems:add",
            "--steps",
            "1",
            "--lr",
            "1e-30"));
    for (String file : List.of("model.safetensors", "training-state/ptq.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(out.resolve("model").resolve(file)),
          Files.readAllBytes(again.resolve("model").resolve(file)),
          file);
    }
  }

  /** Codes and scales in the file are those that the latents of the state round to. */
  @Test
  void distill_exportAndStateAgree() throws IOException {
    Path out = directory.resolve("agreeing");
    assertEquals("", distill(out, "w3", "--train", "latents,scales"));
    int moved = 0;
    try (QatModel before = QatModel.loadQuantized(TinyReasoner.student("w3"));
        QatModel after = QatModel.loadQuantized(out.resolve("model"))) {
      for (Parameter linear : after.linears()) {
        FakeQuant grid = Objects.requireNonNull(linear.quant());
        FakeQuant old = Objects.requireNonNull(before.parameter(linear.name()).quant());
        moved += grid.scale(0, 0) != old.scale(0, 0) ? 1 : 0;
      }
      assertTrue(moved > 10, "scales of " + moved + " linears moved");
    }
    try (Checkpoint served = Checkpoint.open(out.resolve("model"))) {
      assertEquals(2, served.layers().size());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4"})
  void resume_afterAnyStep_isTheUninterruptedRun(String student) throws Exception {
    Path whole = directory.resolve("whole-" + student);
    assertEquals("", distill(whole, student, "--save-every", "5", "--teacher-window", "4"));
    Path killed = directory.resolve("killed-" + student);
    Process victim = start(killed, student, "--save-every", "5", "--teacher-window", "4");
    while (victim.isAlive()
        && (!Files.exists(killed.resolve(RunLog.FILE)) || losses(killed).length < 7)) {
      Thread.sleep(2);
    }
    victim.destroyForcibly();
    assertEquals(128 + 9, victim.waitFor());
    assertTrue(losses(killed).length < 12);
    assertEquals(
        "", distill(killed, student, "--save-every", "5", "--teacher-window", "4", "--resume"));
    assertArrayEquals(losses(whole), losses(killed));
    for (String file : List.of("training.safetensors", "model/model.safetensors")) {
      assertEquals(hash(whole.resolve(file)), hash(killed.resolve(file)), file);
    }
  }

  private static String hash(Path file) throws Exception {
    byte[] digest =
        java.security.MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    return HexFormat.of().formatHex(digest);
  }

  private static Process start(Path out, String student, String... more) throws IOException {
    return Commands.start(directory.resolve("output"), arguments(out, student, more));
  }

  /** With an engine in the process: every step is a version, and answers are tried. */
  @Test
  void distill_evaluating_publishesEachStep() throws IOException {
    Path out = directory.resolve("evaluated");
    assertEquals(
        "",
        distill(
            out, "w3", "--eval-data", "problems:add", "--eval-every", "6", "--eval-count", "2"));
    long version = 0;
    int evaluations = 0;
    for (JsonNode line : RunLog.read(out.resolve(RunLog.FILE))) {
      if (line.has("loss")) {
        assertEquals(++version, line.get("version").asLong());
      } else {
        evaluations++;
        assertTrue(
            line.get("accuracy").asDouble() >= 0 && line.get("held_out_loss").asDouble() > 0);
      }
    }
    assertEquals(12, version);
    assertEquals(3, evaluations, "before the first step, behind the sixth and the last");
    try (Stream<Path> files = Files.list(out)) {
      List<String> names = files.map(f -> String.valueOf(f.getFileName())).sorted().toList();
      assertTrue(names.containsAll(List.of("accuracy.png", "length.png", "loss.png")), names + "");
      assertTrue(!names.contains(TeacherStates.FILE), names + "");
    }
  }

  @Test
  void badInput_isRefused_andNothingIsLost() throws IOException {
    Path out = directory.resolve("refused");
    assertSays(
        "--teacher is needed",
        run(
            "distill",
            "--student",
            TinyReasoner.student("w3").toString(),
            "--data",
            "problems:add",
            "--out",
            out.toString()));
    assertSays("--objective: x; kd or sft", distill(out, "w3", "--objective", "x"));
    assertSays("--device: tpu; cpu, cuda or cuda:N", distill(out, "w3", "--device", "tpu"));
    assertSays("--device: cuda:9, but PyTorch finds", distill(out, "w3", "--device", "cuda:9"));
    assertSays("--train: latent; any of latents, scales", distill(out, "w3", "--train", "latent"));
    assertSays("--lr must be above 0", distill(out, "w3", "--lr", "0"));
    assertSays("--train-kv: int8", distill(out, "w3", "--train-kv", "int8"));
    Path text = directory.resolve("cut.jsonl");
    Files.writeString(text, "{\"text\": \"1+1=2\"}\n{\"text\": \"2+");
    assertSays(
        "cut.jsonl:2",
        run(
            "distill",
            "--student",
            TinyReasoner.student("w3").toString(),
            "--teacher",
            TEACHER.toString(),
            "--data",
            text.toString(),
            "--out",
            out.toString()));
    // a run that is there stays
    Path kept = directory.resolve("kept");
    assertEquals("", distill(kept, "w3"));
    String before = Files.readString(kept.resolve(RunLog.FILE));
    assertSays("holds a run already", distill(kept, "w3"));
    assertSays(
        "the run began with lr 0.001, not 0.002", distill(kept, "w3", "--resume", "--lr", "2e-3"));
    assertEquals(before, Files.readString(kept.resolve(RunLog.FILE)));
  }

  /** A loss that is no number ends the run, and what was saved before can be gone on from. */
  @Test
  void lossIsNaN_theLastCheckpointIsKeptAndNamed() throws Exception {
    Path copy = directory.resolve("ailing");
    Files.createDirectories(copy);
    try (Stream<Path> files = Files.list(TEACHER)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    Path out = directory.resolve("interrupted");
    String[] more = {"--teacher", copy.toString(), "--save-every", "1", "--steps", "40"};
    Process victim = start(out, "w3", more);
    while (victim.isAlive()
        && (!Files.exists(out.resolve(RunLog.FILE)) || losses(out).length < 3)) {
      Thread.sleep(2);
    }
    victim.destroyForcibly();
    assertEquals(128 + 9, victim.waitFor());
    Map<String, RawTensor> tensors = RawSafetensors.readDirectory(copy);
    RawTensor norm = Objects.requireNonNull(tensors.get("model.norm.weight"));
    float[] values = norm.toFloats();
    values[3] = Float.NaN;
    tensors.put("model.norm.weight", RawTensor.floats("F32", values, norm.shape()));
    RawSafetensors.write(copy.resolve("model.safetensors"), tensors);
    byte[] saved = Files.readAllBytes(out.resolve("training.safetensors"));
    List<String> resumed = new ArrayList<>(List.of(more));
    resumed.add("--resume");
    String error = distill(out, "w3", resumed.toArray(String[]::new));
    assertSays("the loss is NaN", error);
    assertSays("the last good checkpoint is " + out.resolve("training.safetensors"), error);
    assertArrayEquals(saved, Files.readAllBytes(out.resolve("training.safetensors")));
  }

  private static void assertSays(String what, String error) {
    assertTrue(error.contains(what), () -> "says \"" + error + "\", not \"" + what + "\"");
  }
}
