package io.tercel.server.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The small model that comes with Tercel and is served when no other is named. */
public final class BundledModel {
  /** What clients call it. */
  public static final String NAME = "tercel";

  private BundledModel() {}

  /** Its folder below the installation that the launcher names; empty if this one has none. */
  public static Optional<Path> find() {
    String home = System.getProperty("tercel.home");
    if (home == null) {
      return Optional.empty();
    }
    return Optional.of(Path.of(home, "server", "models", "bundled"))
        .filter(folder -> Files.isRegularFile(folder.resolve("config.json")));
  }
}
