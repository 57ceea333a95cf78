package io.tercel.loadtests.cli;

import io.tercel.server.UserException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What sessions are like. */
final class SessionOptions {
  private static final int DEFAULT_TURNS = 4;

  @Option(
      names = "--session-turns",
      paramLabel = "N",
      description = "sessions: turns of each (default: 4; for files at most, default: all).")
  @Nullable Integer turns;

  @Option(
      names = "--session-turn-len",
      paramLabel = "N",
      description =
          "sessions: tokens of what is said after the first turn, which has --input-len (default:"
              + " ${DEFAULT-VALUE}).")
  int turnLen = 64;

  @Option(
      names = "--think-time",
      paramLabel = "TIME",
      description =
          "sessions: mean time between an answer and the next turn, exponentially distributed"
              + " (default: none).")
  @Nullable String thinkTime;

  void check() {
    if (turns != null && turns < 1) {
      throw new UserException("--session-turns: " + turns + "; expected at least 1");
    }
    if (turnLen < 1) {
      throw new UserException("--session-turn-len: " + turnLen + "; expected at least 1");
    }
    thinkSeconds();
  }

  /** Turns of a random session. */
  int turns() {
    return turns == null ? DEFAULT_TURNS : turns;
  }

  /** Turns of a session of a file at most. */
  int maxTurns() {
    return turns == null ? Integer.MAX_VALUE : turns;
  }

  double thinkSeconds() {
    return thinkTime == null ? 0 : Times.parse("--think-time", thinkTime).toNanos() / 1e9;
  }
}
