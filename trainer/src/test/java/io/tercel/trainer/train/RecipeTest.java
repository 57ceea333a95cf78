package io.tercel.trainer.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

final class RecipeTest {
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"bundled", "specimen", "tiny"})
  void read_own_readsBackAsWritten(String name) {
    Recipe recipe = Recipe.read(name);
    assertEquals(recipe, Recipe.parse("text", recipe.text()));
    assertTrue(recipe.model().hidden() % 128 == 0 && recipe.model().ffn() % 128 == 0);
  }

  @Test
  void withSteps_scalesStagesAndWarmup() {
    Recipe recipe = Recipe.read("specimen").withSteps(100);
    assertEquals(100, recipe.steps());
    assertEquals(67, recipe.stages().getFirst().steps());
    assertEquals(1, recipe.warmup());
    assertThrows(UserException.class, () -> Recipe.read("specimen").withSteps(1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "batch=0 | batch is 0; expected 1 to 65536",
        "batch=x | batch is malformed: x",
        "colour=red | unknown key colour",
        "stages=10 | stages is malformed: 10",
        "stages=10:0 | stages has 10:0; expected STEPS:RATE above 0",
        "model.kvHeads=3 | model.heads must be a multiple of model.kvHeads, and model.headDim even",
        "clip=-- | clip has --, which is no number",
        "microBatches=99 | microBatches is more than batch",
      })
  void parse_bad_oneLineNamesIt(String line, String message) {
    String text = Recipe.read("tiny").text() + line + "\n";
    UserException e = assertThrows(UserException.class, () -> Recipe.parse("my.file", text));
    assertEquals("my.file: " + message, e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--out OUT",
        "--recipe nowhere --out OUT",
        "--recipe tiny --out OUT --steps 0",
        "--out OUT --resume",
        "--recipe tiny --out OUT --resume",
      })
  void call_badInput_oneLineAndNoFolder(String arguments) {
    Path out = directory.resolve("run");
    TrainCommand command = new TrainCommand();
    new CommandLine(command).parseArgs(arguments.replace("OUT", out.toString()).split(" ", -1));
    UserException e = assertThrows(UserException.class, command::call);
    assertEquals(1, String.valueOf(e.getMessage()).lines().count());
    assertFalse(out.toFile().exists());
  }
}
