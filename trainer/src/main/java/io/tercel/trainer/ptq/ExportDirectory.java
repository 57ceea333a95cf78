package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * A model directory as it is being written: beside its final place, as {@code .NAME.partial}, until
 * {@link #commit} moves it there whole. One that is left unfinished can be opened again. One
 * process works on it at a time.
 */
final class ExportDirectory implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String LOCK = ".lock";

  /** What travels along beside config.json: tokenizer, templates, generation, licence. */
  private static final List<String> COMPANIONS =
      List.of(
          "generation_config.json",
          "tokenizer*",
          "special_tokens_map.json",
          "added_tokens.json",
          "vocab.json",
          "merges.txt",
          "chat_template.*",
          "LICENSE*",
          "NOTICE*");

  private final Path target;
  private final Path directory;
  private final boolean resumed;
  private final FileChannel lock;
  private boolean kept;

  /**
   * Makes it.
   *
   * @throws UserException if something lies at the target, or an unfinished run beside it
   */
  ExportDirectory(Path to) throws IOException {
    this(to, false);
  }

  /**
   * Makes it, or goes on with what was left unfinished.
   *
   * @param resume whether that is wanted
   */
  ExportDirectory(Path to, boolean resume) throws IOException {
    target = to.toAbsolutePath().normalize();
    checkTarget(target);
    Path parent = target.getParent();
    if (parent == null) {
      throw new UserException("--out: " + to + " is no place for a model");
    }
    Files.createDirectories(parent);
    directory = parent.resolve(".%s.partial".formatted(target.getFileName()));
    resumed = Files.exists(directory);
    if (resumed && !resume) {
      throw new UserException(
          "--out: an unfinished run lies in %s; go on with --resume, or remove it"
              .formatted(directory));
    }
    if (!resumed) {
      // not createTempDirectory, which would leave the model readable to its owner alone
      Files.createDirectory(directory);
    }
    lock =
        FileChannel.open(
            directory.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (!tryLock()) {
      lock.close();
      throw new UserException("--out: another process is writing " + directory);
    }
    kept = resumed;
  }

  private boolean tryLock() throws IOException {
    try {
      return lock.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  /** Refuses a place where something lies. */
  static void checkTarget(Path target) throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    if (Files.isDirectory(target)) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(target)) {
        if (!files.iterator().hasNext()) {
          return;
        }
      }
    }
    throw new UserException(
        "--out: " + target + " exists; name another directory or remove it first");
  }

  /** Whether it was there. */
  boolean resumed() {
    return resumed;
  }

  /** A file or folder in it. */
  Path resolve(String name) {
    return directory.resolve(name);
  }

  /** From now on there is something worth going on with: it stays when it is closed. */
  void keep() {
    kept = true;
  }

  /** Nothing can come of it: it goes when it is closed. */
  void discard() {
    kept = false;
  }

  /** Copies tokenizer, templates and the like. */
  void copyCompanions(Path from) throws IOException {
    String pattern = "{" + String.join(",", COMPANIONS) + "}";
    try (DirectoryStream<Path> files = Files.newDirectoryStream(from, pattern)) {
      for (Path file : files) {
        if (Files.isRegularFile(file)) {
          copy(file, directory);
        }
      }
    }
    Path templates = from.resolve("additional_chat_templates");
    if (Files.isDirectory(templates)) {
      Path copies = Files.createDirectories(resolve("additional_chat_templates"));
      try (DirectoryStream<Path> files = Files.newDirectoryStream(templates, "*.jinja")) {
        for (Path file : files) {
          copy(file, copies);
        }
      }
    }
  }

  /** The bytes alone: a file of the hub's cache may be a link, and read-only. */
  private static void copy(Path file, Path into) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      AtomicFile.write(into.resolve(String.valueOf(file.getFileName())), in.readAllBytes());
    }
  }

  /** Copies config.json, changed. */
  void writeConfig(Path from, Consumer<ObjectNode> change) throws IOException {
    ObjectNode config = (ObjectNode) JSON.readTree(Files.readAllBytes(from.resolve("config.json")));
    change.accept(config);
    AtomicFile.write(resolve("config.json"), config.toPrettyString() + "\n");
  }

  /** Moves the finished directory to its place, without what only unfinished ones need. */
  void commit() throws IOException {
    Files.deleteIfExists(resolve(QuantizeJournal.FILE));
    Files.deleteIfExists(resolve(Calibration.FILE));
    Files.deleteIfExists(resolve(LOCK));
    AtomicFile.forceDirectory(directory);
    AtomicFile.move(directory, target); // replaces an empty directory; anything else was refused
    kept = true;
  }

  @Override
  public void close() throws IOException {
    if (!kept) {
      try (Stream<Path> files = Files.walk(directory)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(file);
        }
      }
    }
    lock.close();
  }
}
