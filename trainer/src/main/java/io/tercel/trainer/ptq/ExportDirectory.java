package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * A model directory as it is being written: beside its final place, under another name, until
 * {@link #commit} moves it there whole.
 */
final class ExportDirectory implements AutoCloseable {
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
  private boolean committed;

  /**
   * Makes it.
   *
   * @throws UserException if something lies at the target
   */
  ExportDirectory(Path to) throws IOException {
    target = to.toAbsolutePath();
    GptqExport.checkTarget(target);
    Path parent = target.getParent();
    if (parent == null) {
      throw new UserException("--out: " + target + " is no place for a model");
    }
    Files.createDirectories(parent);
    // not createTempDirectory, which would leave the model readable to its owner alone
    directory =
        Files.createDirectory(
            parent.resolve(
                ".%s.partial-%d".formatted(target.getFileName(), ProcessHandle.current().pid())));
  }

  /** A file or folder in it. */
  Path resolve(String name) {
    return directory.resolve(name);
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
      Files.copy(in, into.resolve(String.valueOf(file.getFileName())));
    }
  }

  /** Copies config.json, changed. */
  void writeConfig(Path from, Consumer<ObjectNode> change) throws IOException {
    ObjectNode config =
        (ObjectNode) new ObjectMapper().readTree(Files.readAllBytes(from.resolve("config.json")));
    change.accept(config);
    Files.writeString(resolve("config.json"), config.toPrettyString() + "\n");
  }

  /** Moves the finished directory to its place. */
  void commit() throws IOException {
    Files.deleteIfExists(target); // an empty directory; anything else was refused
    Files.move(directory, target, StandardCopyOption.ATOMIC_MOVE);
    committed = true;
  }

  @Override
  public void close() throws IOException {
    if (committed) {
      return;
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
