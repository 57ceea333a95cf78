package io.tercel.trainer.repro;

import static io.tercel.trainer.testing.Commands.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.trainer.testing.Commands;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whole tables, of a model that can do nothing. */
@Timeout(240)
final class ReproCommandTest {
  @TempDir static Path directory;

  private static String repro(String table, Path out, String... more) {
    List<String> words = new ArrayList<>(List.of("repro", table, "--out=" + out));
    words.addAll(List.of(more));
    if (words.stream().noneMatch(word -> word.startsWith("--scale="))) {
      words.add("--scale=smoke");
    }
    return run(words.toArray(String[]::new));
  }

  /** What the stages say that are done. */
  private static Map<String, String> done(Path out) throws IOException {
    Map<String, String> done = new HashMap<>();
    if (Files.isDirectory(out.resolve("stages"))) {
      try (Stream<Path> stages = Files.list(out.resolve("stages"))) {
        for (Path stage : stages.toList()) {
          if (Files.exists(stage.resolve("DONE"))) {
            done.put(stage.getFileName().toString(), Files.readString(stage.resolve("DONE")));
          }
        }
      }
    }
    return done;
  }

  private static List<String[]> rows(Path table) throws IOException {
    return Files.readAllLines(table).stream()
        .filter(line -> line.startsWith("| "))
        .skip(2)
        .map(line -> line.substring(2).split(" \\| | \\|$"))
        .toList();
  }

  /** Killed on its way, it goes on where it was; a second table makes what is new in it alone. */
  @Test
  void stages_areDoneOnce() throws Exception {
    Path out = directory.resolve("tables");
    Process victim =
        Commands.start(
            directory.resolve("output"),
            List.of("repro", "table1", "--scale=smoke", "--out=" + out));
    while (victim.isAlive() && !done(out).containsKey("full")) {
      Thread.sleep(2);
    }
    victim.destroyForcibly();
    assertEquals(128 + 9, victim.waitFor(), "it was too fast to be killed");
    Map<String, String> before = done(out);
    assertFalse(before.containsKey("eval-rtn-kd"));
    assertEquals("", repro("table1", out));
    Map<String, String> after = done(out);
    before.forEach((stage, text) -> assertEquals(text, after.get(stage), stage));
    assertEquals(
        new TreeSet<>(
            List.of(
                "source",
                "full",
                "problems",
                "rtn",
                "rtn-as-trained",
                "rtn-sft",
                "rtn-kd",
                "eval-source",
                "eval-full",
                "eval-rtn",
                "eval-rtn-as-trained",
                "eval-rtn-sft",
                "eval-rtn-kd")),
        new TreeSet<>(after.keySet()));
    List<String[]> rows = rows(out.resolve("table1.md"));
    assertEquals(List.of("-", "RTN", "SFT", "KD"), rows.stream().map(cells -> cells[1]).toList());
    assertEquals(
        List.of("63.56", "10.41", "53.05", "55.50"), rows.stream().map(cells -> cells[8]).toList());
    for (String[] cells : rows) {
      assertTrue(cells[2].matches("[0-9.]+ ± [0-9.]+"), cells[2]);
      assertTrue(cells[3].matches("[0-9.]+ ± [0-9.]+"), cells[3]);
    }
    assertEquals("–", rows.get(3)[4], "no trained row is made twice");

    assertEquals("", repro("table2", out));
    Map<String, String> both = done(out);
    after.forEach((stage, text) -> assertEquals(text, both.get(stage), stage));
    both.keySet().removeAll(after.keySet());
    assertEquals(
        new TreeSet<>(List.of("rtn-grpo", "rtn-kd-grpo", "eval-rtn-grpo", "eval-rtn-kd-grpo")),
        new TreeSet<>(both.keySet()));
    assertEquals(4, rows(out.resolve("table2.md")).size());
    assertTrue(
        String.valueOf(both.get("rtn-grpo")).contains("tercel grpo --student=OUT/stages/rtn/model"),
        both.toString());

    String other = repro("table2", out, "--sigma=0.2");
    assertTrue(other.contains("full was made otherwise than is asked for now"), other);
    // what is made anew makes what stands on it stale
    Files.delete(out.resolve("stages/rtn/DONE"));
    String stale = repro("table2", out);
    assertTrue(stale.contains("was made otherwise than is asked for now"), stale);
  }

  /** Other texts to be calibrated by and to learn from, and curves of runs beside each other. */
  @Test
  void domainsAndFigures_shareTheirRuns() throws IOException {
    Path out = directory.resolve("domains");
    String teacher = "--model=" + TinyReasoner.teacher();
    assertEquals("", repro("table3", out, teacher));
    List<String[]> rows = rows(out.resolve("table3.md"));
    assertEquals(
        List.of("own -", "own strange", "own own", "strange -", "strange strange", "strange own"),
        rows.stream().map(cells -> cells[1] + " " + cells[2]).toList());
    Map<String, String> before = done(out);
    assertTrue(
        String.valueOf(before.get("gptq-kd-on-strange"))
            .contains("--data=OUT/stages/strange/texts.jsonl"),
        before.toString());
    assertTrue(
        String.valueOf(before.get("flatquant-of-strange"))
            .contains("--calibration=OUT/stages/strange/texts.jsonl"),
        before.toString());
    assertEquals("", repro("figures", out, teacher));
    Map<String, String> after = done(out);
    before.forEach((stage, text) -> assertEquals(text, after.get(stage), stage));
    for (String figure : List.of("2a", "2b", "3", "4a-reward", "4a-length", "4b", "4c")) {
      assertTrue(Files.size(out.resolve("figures/figure" + figure + ".png")) > 5_000, figure);
    }
    assertTrue(Files.readString(out.resolve("figures.md")).contains("KD is above SFT"));
  }

  @Test
  void badInput_isRefused() {
    Path out = directory.resolve("refused");
    assertTrue(repro("table9", out).contains("table9: no such table; there are table1"));
    assertTrue(repro("table1", out, "--sigma=-1").contains("--sigma"));
    assertTrue(repro("table1", out, "--scale=tiny").contains("--scale: tiny; one of smoke"));
    assertTrue(repro("table1", out, "--model=" + directory).contains("--model"));
    assertFalse(Files.exists(out));
  }

  /** A stage's failure names the stage, and leaves it undone. */
  @Test
  void failure_namesTheStage() throws IOException {
    Path out = directory.resolve("failing");
    Path model = directory.resolve("broken");
    Files.createDirectories(model);
    Files.copy(TinyReasoner.teacher().resolve("config.json"), model.resolve("config.json"));
    Files.write(model.resolve("model.safetensors"), new byte[100]);
    String error = repro("table1", out, "--model=" + model);
    assertTrue(error.contains("full: "), error);
    assertEquals(Set.of("source"), done(out).keySet());
  }
}
