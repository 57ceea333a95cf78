package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.access.KeyFile;
import io.tercel.server.call.Keys;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.yaml.YamlException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The keys of a server, and the file that some of them come from. */
final class ServedKeys implements AutoCloseable {
  private final Keys keys;
  private final @Nullable KeyFile file;

  private ServedKeys(Keys keys, @Nullable KeyFile file) {
    this.keys = keys;
    this.file = file;
  }

  /**
   * As options give them.
   *
   * @param path of a file of keys; null for none
   * @throws UserException in one line, if they can't be keys
   */
  static ServedKeys of(@Nullable String apiKey, @Nullable String adminKey, @Nullable Path path) {
    Keys keys = AccessOptions.keys(apiKey, adminKey, path != null);
    if (path == null) {
      return new ServedKeys(keys, null);
    }
    KeyFile file = new KeyFile(path, keys);
    try {
      file.load();
    } catch (YamlException e) {
      throw new UserException("--api-keys: " + e.getMessage(), e);
    }
    return new ServedKeys(keys, file);
  }

  Keys keys() {
    return keys;
  }

  /** Has changes of the file hold from now on, and tells of it. */
  void watch(ServerMetrics metrics) {
    if (file != null) {
      metrics.reading(
          "tercel_key_file_good",
          "1 if the keys are those of the file as it is now.",
          false,
          () -> file.good() ? 1 : 0);
      metrics.reading(
          "tercel_key_file_loads", "Times that the file of keys was read.", true, file::loads);
      metrics.reading(
          "tercel_key_file_failures",
          "Times that the file of keys was bad, and the keys from before went on.",
          true,
          file::failures);
      file.watch();
    }
  }

  @Override
  public void close() {
    if (file != null) {
      file.close();
    }
  }
}
