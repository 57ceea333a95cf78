package io.tercel.trainer.worker;

import io.tercel.server.UserException;
import io.tercel.trainer.rollout.RolloutSource;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.share.ServedStudent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Who answers besides the engine of this process, as options of training commands. */
public final class RolloutServers {
  @Option(
      names = "--rollout-servers",
      split = ",",
      paramLabel = "HOST:PORT",
      description =
          "more engines for rollouts: the gRPC ports of tercel serve processes on exports of the"
              + " same model, which are sent the weights as they change (default: none)")
  private List<String> addresses = new ArrayList<>();

  @Option(
      names = "--rollout-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_ROLLOUT_KEY}",
      description =
          "their admin key (default: TERCEL_ROLLOUT_KEY; none suffices on this machine alone)")
  private @Nullable String key;

  @Option(
      names = "--rollout-timeout",
      paramLabel = "SECONDS",
      description =
          "one that says nothing for so long, takes longer for new weights, or lets this process's"
              + " engine wait so long and is beaten by it then, is put aside for a while and its"
              + " answers are asked elsewhere (default: ${DEFAULT-VALUE})")
  private double timeout = 60;

  /** For picocli. */
  public RolloutServers() {}

  /**
   * Puts them beside this process's engine; to be called before anything is published.
   *
   * @return the engine's rollouts alone where there are no others; else they are closed with it
   * @throws UserException that names the server and the field, if one can't be of use
   */
  public RolloutSource with(Rollouts local, ServedStudent served) {
    if (addresses.isEmpty()) {
      return local;
    }
    if (!(timeout > 0 && timeout <= 86_400)) {
      throw new UserException(
          "--rollout-timeout must be above 0 and at most 86400 seconds, not " + timeout);
    }
    List<WorkerAddress> workers = new ArrayList<>();
    for (String address : addresses) {
      WorkerAddress parsed = WorkerAddress.parse(address);
      if (workers.contains(parsed)) {
        throw new UserException("--rollout-servers: " + address + " is there twice");
      }
      workers.add(parsed);
    }
    String given = key == null || key.isEmpty() ? null : key;
    return RolloutFleet.open(
        local, served, workers, given, Duration.ofMillis(Math.max(1, Math.round(1000 * timeout))));
  }
}
