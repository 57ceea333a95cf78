package io.tercel.trainer.share;

import io.tercel.server.call.Keys;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.model.ServingOptions;
import java.nio.file.Path;
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
      names = "--api-key",
      paramLabel = "KEY",
      defaultValue = "${env:TERCEL_API_KEY}",
      description = "what clients of --serve must send (default: TERCEL_API_KEY)")
  private @Nullable String apiKey;

  @Option(
      names = "--max-num-seqs",
      paramLabel = "N",
      description = "answers that are computed at a time (default: ${DEFAULT-VALUE})")
  private int maxNumSeqs = 64;

  /** For picocli. */
  public StudentServing() {}

  /** Whether anybody but the trainer is to be answered. */
  public boolean asked() {
    return address != null;
  }

  /**
   * Starts the engine, and what it is served by if that was asked for.
   *
   * @param cache type of keys and values, by its label
   */
  public ServedStudent open(Path student, String cache) {
    ServingOptions options =
        new ServingOptions().kvCacheDtype(cache).maxWaiting(WAITING).maxNumSeqs(maxNumSeqs);
    return ServedStudent.open(
        student,
        options,
        address == null ? null : ServeAddress.parse("--serve", address, null),
        Keys.of(apiKey, null));
  }
}
