package io.tercel.server.model;

import io.tercel.server.UserException;
import io.tercel.server.hub.HubClient;
import io.tercel.server.hub.HubException;
import io.tercel.server.hub.HubRepo;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/** Turns what {@code --model} and its like say into a folder with a model's files. */
public final class ModelLocator {
  private ModelLocator() {}

  /** The same, of what {@code --model} says. */
  public static Path locate(String modelArgument, Supplier<HubClient> hub) {
    return locate("--model", modelArgument, hub);
  }

  /**
   * Finds a model: a folder if there is one of that name, else {@code ORG/NAME[@revision]} of the
   * hub, fetched if it isn't in the cache.
   *
   * @param option for errors
   * @param hub asked for only where the hub is needed
   * @throws UserException if it is neither, or can't be fetched
   */
  public static Path locate(String option, String modelArgument, Supplier<HubClient> hub) {
    String shown = "'" + modelArgument.replaceAll("\\p{Cntrl}", "?") + "'";
    Path path;
    try {
      path = Path.of(modelArgument);
    } catch (InvalidPathException e) {
      throw new UserException(option + ": not a path: " + shown, e);
    }
    if (!modelArgument.isBlank() && Files.isDirectory(path)) {
      return path;
    }
    if (Files.isRegularFile(path)) {
      throw new UserException(
          "%s: %s is a file: give the folder that holds config.json and the .safetensors files"
              .formatted(option, shown));
    }
    Optional<HubRepo> repo = HubRepo.parse(modelArgument);
    if (repo.isEmpty()) {
      throw new UserException(
          ("%s: no folder %s: give a folder with config.json and .safetensors files, or"
                  + " ORG/NAME[@revision] of the hub, such as Qwen/Qwen3-0.6B")
              .formatted(option, shown));
    }
    try {
      return hub.get().fetch(repo.get());
    } catch (HubException e) {
      throw new UserException(e.getMessage() == null ? "the hub failed" : e.getMessage(), e);
    }
  }
}
