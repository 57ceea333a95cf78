package io.tercel.kernels.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The small trained model that may lie beside the repository; tests only ever assume it. */
public final class Specimen {
  private Specimen() {}

  /**
   * The directory that the system property {@code tercel.specimen} names, or {@code
   * shared/models/specimen} in this directory or one above.
   */
  public static Optional<Path> find() {
    String named = System.getProperty("tercel.specimen");
    if (named != null) {
      return Optional.of(Path.of(named)).filter(Files::isDirectory);
    }
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path candidate = at.resolve("shared/models/specimen");
      if (Files.isDirectory(candidate)) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }
}
