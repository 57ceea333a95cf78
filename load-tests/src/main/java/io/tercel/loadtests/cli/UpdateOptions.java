package io.tercel.loadtests.cli;

import io.tercel.loadtests.client.AdminClient;
import io.tercel.loadtests.soak.Soak;
import io.tercel.server.UserException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Whether the server's weights change meanwhile, as they do under a trainer. */
final class UpdateOptions {
  @Option(
      names = "--admin-url",
      paramLabel = "URL",
      description = "The server's admin port, for new weights. Default: weights stay.")
  @Nullable String adminUrl;

  @Option(
      names = "--admin-key",
      paramLabel = "KEY",
      description = "The admin port's. Default: the environment's TERCEL_ADMIN_KEY.")
  @Nullable String adminKey = System.getenv("TERCEL_ADMIN_KEY");

  @Option(
      names = "--weights",
      paramLabel = "DIR",
      split = ",",
      description = "Directories whose weights come in turn, such as a/model,b/model.")
  List<Path> weights = List.of();

  @Option(
      names = "--update-interval",
      paramLabel = "TIME",
      description = "From one change of weights to the next (default: ${DEFAULT-VALUE}).")
  String interval = "20s";

  void check() {
    if ((adminUrl == null) != weights.isEmpty()) {
      throw new UserException("--admin-url and --weights belong together; pass both");
    }
    for (Path directory : weights) {
      if (!Files.isDirectory(directory)) {
        throw new UserException("--weights: " + directory + " is no directory");
      }
    }
    interval();
  }

  private Duration interval() {
    return Times.parse("--update-interval", interval);
  }

  /** By whom and how often; null if weights stay. The client is the caller's to close. */
  Soak.@Nullable Updates updates() {
    return adminUrl == null
        ? null
        : new Soak.Updates(
            new AdminClient(TargetOptions.address("--admin-url", adminUrl), adminKey),
            weights.stream().map(d -> d.toAbsolutePath().toString()).toList(),
            interval());
  }
}
