package io.tercel.trainer.files;

import io.tercel.server.UserException;
import io.tercel.server.cli.TerminalProgress;
import io.tercel.server.hub.DataChoice;
import io.tercel.server.hub.HubException;
import io.tercel.server.hub.HubRepo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where data comes from: a file, a folder of files, or files of a data set of the hub, {@code
 * hf://datasets/ORG/NAME[@REVISION][/PATTERN]} as Hugging Face's tools write it, or {@code
 * ORG/NAME} alone.
 */
public final class DataFiles {
  private static final String HUB = "hf://datasets/";

  private DataFiles() {}

  /** The hub, as far as data is fetched from it. */
  @FunctionalInterface
  public interface Hub {
    /** The files, in the cache. */
    List<Path> fetch(HubRepo repo, DataChoice choice);
  }

  /**
   * Files of JSON lines (or GPQA's CSV): parquet is written out as such.
   *
   * @param option for errors
   * @param split which files of a data set count, if some name it: {@code train} or {@code test}
   * @throws UserException if there are none
   */
  public static List<Path> find(String option, String source, String split, Hub hub) {
    if (source.startsWith(HUB)) {
      return fetch(option, source, split, hub);
    }
    Path path;
    try {
      path = Path.of(source);
    } catch (InvalidPathException e) {
      throw new UserException(option + ": not a path: " + source, e);
    }
    if (Files.exists(path)) {
      return readable(Files.isDirectory(path) ? inside(option, path) : List.of(path));
    }
    if (HubRepo.parse(source).isPresent()) {
      return fetch(option, HUB + source, split, hub);
    }
    throw new UserException(
        "%s: no such file: %s; of the hub it is %sORG/NAME".formatted(option, source, HUB));
  }

  /** The one that this process' environment names. */
  public static Hub hub() {
    return (repo, choice) -> TerminalProgress.hub().fetch(repo, choice);
  }

  /** The same, of the hub that this process' environment names. */
  public static List<Path> find(String option, String source, String split) {
    return find(option, source, split, hub());
  }

  /** The same, with parquet written out as JSON lines. */
  public static List<Path> readable(List<Path> files) {
    return files.stream()
        .map(file -> ParquetLines.named(file) ? ParquetLines.of(file) : file)
        .toList();
  }

  private static List<Path> fetch(String option, String source, String split, Hub hub) {
    String[] parts = source.substring(HUB.length()).split("/", 3);
    Optional<HubRepo> repo =
        parts.length < 2 ? Optional.empty() : HubRepo.parse(parts[0] + "/" + parts[1]);
    if (repo.isEmpty()) {
      throw new UserException(
          "%s: %s: give %sORG/NAME[@REVISION][/PATTERN]".formatted(option, source, HUB));
    }
    DataChoice choice = new DataChoice(parts.length == 3 ? parts[2] : "", split);
    try {
      return readable(hub.fetch(repo.get().dataset(), choice));
    } catch (HubException e) {
      throw new UserException(option + ": " + e.getMessage(), e);
    }
  }

  private static List<Path> inside(String option, Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found =
          files.filter(Files::isRegularFile).filter(DataFiles::isData).sorted().toList();
      if (found.isEmpty()) {
        throw new UserException(option + ": no .jsonl or .parquet in the folder " + folder);
      }
      return found;
    } catch (IOException e) {
      throw new UserException(option + ": can't be read: " + e.getMessage(), e);
    }
  }

  private static boolean isData(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    return name.endsWith(".jsonl") || name.endsWith(".parquet");
  }
}
