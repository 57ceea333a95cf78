package io.tercel.trainer.share;

import io.tercel.server.UserException;
import io.tercel.server.cli.AccessOptions;
import io.tercel.server.cli.ModelServing;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.api.TrainingRuns;
import io.tercel.trainer.api.TrainingService;
import io.tercel.trainer.run.TrainingRun;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where a student answers while it learns, as an option of training commands. */
public final class StudentServing {
  /** All of a step's answers may wait at a time. */
  private static final int WAITING = 1_000_000;

  @Option(
      names = "--serve",
      paramLabel = "[HOST:]PORT",
      description = "answer chats from the student while it learns, on this address")
  private @Nullable String address;

  @Option(
      names = "--grpc-port",
      paramLabel = "PORT",
      description =
          "with --serve: answer gRPC on this port of its host too, Training among it, which shows"
              + " the run and can end it; 0 picks a free one (default: no gRPC)")
  private @Nullable Integer grpcPort;

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_API_KEY}",
      description = "what clients of --serve must send (default: TERCEL_API_KEY)")
  private @Nullable String apiKey;

  @Option(
      names = "--admin-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_ADMIN_KEY}",
      description =
          "opens Control and Training's Cancel; without one they are open only while there is no API"
              + " key and the address is loopback (default: TERCEL_ADMIN_KEY)")
  private @Nullable String adminKey;

  @Option(
      names = "--max-num-seqs",
      paramLabel = "N",
      description = "answers that are computed at a time (default: ${DEFAULT-VALUE})")
  private int maxNumSeqs = 64;

  /** For picocli. */
  public StudentServing() {}

  /** Whether anybody but the trainer is to be answered. */
  public boolean asked() {
    return address != null || grpcPort != null;
  }

  /**
   * Starts the engine, and what it is served by if that was asked for.
   *
   * @param cache type of keys and values, by its label
   * @param run what is shown of it by gRPC, if that was asked for
   * @throws UserException in one line, if keys or addresses can't be had
   */
  public ServedStudent open(Path student, String cache, TrainingRun run) {
    ServingOptions options =
        new ServingOptions().kvCacheDtype(cache).maxWaiting(WAITING).maxNumSeqs(maxNumSeqs);
    ServedStudent served =
        ServedStudent.open(
            student,
            options,
            serveAddress(),
            AccessOptions.keys(apiKey, adminKey),
            grpcPort == null ? List.of() : List.of(new TrainingService(TrainingRuns.only(run))));
    ModelServing serving = served.serving();
    if (serving != null) { // 0 has picked a port
      Integer grpc = serving.grpcPort();
      System.err.printf(
          "The student answers on %s%s%n", serving.url(), grpc == null ? "" : ", gRPC on " + grpc);
    }
    return served;
  }

  private @Nullable ServeAddress serveAddress() {
    if (address == null && grpcPort != null) {
      throw new UserException("--grpc-port needs --serve [HOST:]PORT, whose host it is on");
    }
    return address == null ? null : ServeAddress.parse("--serve", address, grpcPort);
  }
}
