package io.tercel.trainer.train;

import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.run.RunProgress;
import io.tercel.trainer.run.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** {@code tercel train}: a small reasoning model from scratch, by a recipe. */
@picocli.CommandLine.Command(
    name = "train",
    description = "Trains a small reasoning model from scratch on generated problems.",
    mixinStandardHelpOptions = true)
public final class TrainCommand implements Command {
  private static final String RECIPE = "recipe.properties";

  @Option(
      names = "--recipe",
      paramLabel = "NAME|FILE",
      description = "bundled, specimen, tiny, or a properties file; with --resume the run's own")
  private @Nullable String recipeName;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "folder of the run: model/, log.jsonl, curves, checkpoint")
  private @Nullable Path out;

  @Option(names = "--resume", description = "go on from the folder's last checkpoint")
  private boolean resume;

  @Option(names = "--steps", paramLabel = "N", description = "scale the recipe to so many steps")
  private @Nullable Integer steps;

  @Option(names = "--seed", paramLabel = "S", description = "another seed than the recipe's")
  private @Nullable Long seed;

  /** Constructed by picocli. */
  public TrainCommand() {}

  @Override
  public Integer call() throws IOException {
    Path directory = java.util.Objects.requireNonNull(out);
    Path stored = directory.resolve(RECIPE);
    Path state = directory.resolve(RunState.FILE);
    Recipe recipe = recipe(stored);
    if (resume) {
      if (!Files.isRegularFile(state)) {
        // killed before its first checkpoint: there is nothing to lose, so it begins again
        System.err.println("train: " + directory + " has no checkpoint yet; starting at step 0");
      }
    } else if (Files.exists(state)) {
      throw new UserException(
          directory + " holds a run already: give --resume to go on with it, or another folder");
    }
    try {
      Files.createDirectories(directory);
      AtomicFile.write(stored, recipe.text());
    } catch (IOException e) {
      throw new UserException(directory + ": cannot be written: " + e.getMessage(), e);
    }
    train(recipe, directory, resume && Files.isRegularFile(state));
    return 0;
  }

  private Recipe recipe(Path stored) {
    Recipe recipe = null;
    if (recipeName != null) {
      recipe = Recipe.read(recipeName);
    } else if (resume) {
      recipe = stored(stored);
    } else {
      throw new UserException("--recipe is needed: bundled, specimen, tiny, or a file");
    }
    if (steps != null) {
      if (steps < 1) {
        throw new UserException("--steps must be at least 1");
      }
      recipe = recipe.withSteps(steps);
    }
    if (seed != null) {
      recipe = recipe.withSeed(seed);
    }
    if (resume && !stored(stored).equals(recipe)) {
      throw new UserException(
          stored + " is not the recipe given; a run is resumed with what it began with");
    }
    return recipe;
  }

  private static Recipe stored(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new UserException(file + ": no such file; there is no run to resume");
    }
    return Recipe.read(file.toString());
  }

  private static void train(Recipe recipe, Path directory, boolean fromCheckpoint)
      throws IOException {
    try (Trainer trainer = open(recipe, directory)) {
      if (fromCheckpoint) {
        trainer.resume();
      }
      try (RunProgress progress = RunProgress.start("train", recipe.steps(), trainer.stepsDone())) {
        trainer.run(
            (step, loss, speed) ->
                progress.stepped(
                    step, String.format(Locale.ROOT, "loss %.4f, %.0f tokens/s", loss, speed)));
      }
    } catch (ArithmeticException e) {
      throw new UserException(directory + ": training diverged: " + e.getMessage(), e);
    }
    System.out.println("The model is in " + directory.resolve(Trainer.MODEL));
  }

  private static Trainer open(Recipe recipe, Path directory) throws IOException {
    try {
      return new Trainer(recipe, directory);
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }
}
