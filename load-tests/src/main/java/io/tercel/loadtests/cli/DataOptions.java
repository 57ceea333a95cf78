package io.tercel.loadtests.cli;

import io.tercel.loadtests.data.FileSessions;
import io.tercel.loadtests.data.JsonlDataset;
import io.tercel.loadtests.data.PrefixRepetitionDataset;
import io.tercel.loadtests.data.RandomDataset;
import io.tercel.loadtests.data.RandomSessions;
import io.tercel.loadtests.data.SessionDataset;
import io.tercel.loadtests.data.Sessions;
import io.tercel.loadtests.data.ShareGptDataset;
import io.tercel.loadtests.data.TraceDataset;
import io.tercel.loadtests.data.TraceFile;
import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What is asked. */
final class DataOptions {
  private static final String RANDOM = "random";
  private static final String PREFIX_REPETITION = "prefix_repetition";
  private static final String CUSTOM = "custom";
  private static final String SHAREGPT = "sharegpt";
  private static final String SESSIONS = "sessions";
  private static final String TRACE = "trace";
  private static final int DEFAULT_OUTPUT = 128;

  @Option(
      names = {"--dataset-name", "--dataset"},
      paramLabel = "NAME",
      description = {
        "random; prefix_repetition: shared prefixes; custom: prompts of a file; sharegpt: first"
            + " questions of a file in ShareGPT's layout; sessions: conversations whose prompts"
            + " hold the answers so far, of such a file or random; trace: a recorded one, by its"
            + " times.",
        "Default: custom with a file, else random."
      })
  @Nullable String name;

  @Option(
      names = "--dataset-path",
      paramLabel = "FILE",
      description =
          "custom: JSONL, {\"prompt\": \"...\"} or {\"messages\": [...]} a line, each with max_tokens"
              + " or without. trace: JSONL as Mooncake's, or BurstGPT's CSV.")
  @Nullable Path path;

  @Option(
      names = {"--random-input-len", "--input-len"},
      paramLabel = "N",
      description =
          "random: tokens of a prompt; sessions: of the first turn (default: ${DEFAULT-VALUE}).")
  int inputLen = 1024;

  @Option(
      names = {
        "--random-output-len",
        "--output-len",
        "--prefix-repetition-output-len",
        "--custom-output-len",
        "--sharegpt-output-len"
      },
      paramLabel = "N",
      description =
          "Tokens of an answer (default: 128; for files the line's, the recorded"
              + " answer's or the server's).")
  @Nullable Integer outputLen;

  @Option(
      names = "--random-range-ratio",
      paramLabel = "R",
      description =
          "random: lengths are uniform within this share of the given ones, 0 to below 1 (default:"
              + " ${DEFAULT-VALUE}).")
  double rangeRatio;

  @Option(
      names = {"--prefix-len", "--prefix-repetition-prefix-len"},
      paramLabel = "N",
      description = "prefix_repetition: tokens of a shared prefix (default: ${DEFAULT-VALUE}).")
  int prefixLen = 256;

  @Option(
      names = {"--suffix-len", "--prefix-repetition-suffix-len"},
      paramLabel = "N",
      description = "prefix_repetition: tokens behind it (default: ${DEFAULT-VALUE}).")
  int suffixLen = 256;

  @Option(
      names = {"--num-prefixes", "--prefix-repetition-num-prefixes"},
      paramLabel = "N",
      description = "prefix_repetition: how many prefixes (default: ${DEFAULT-VALUE}).")
  int numPrefixes = 10;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description =
          "The same seed gives the same prompts, arrivals, clients and sampling (default:"
              + " ${DEFAULT-VALUE}).")
  long seed;

  @Mixin final SessionOptions sessions = new SessionOptions();
  @Mixin final TraceOptions trace = new TraceOptions();
  @Mixin final MixOptions mix = new MixOptions();

  /** Which dataset, by name; checks what can be checked without a server. */
  String name() {
    String chosen = name == null ? (path == null ? RANDOM : CUSTOM) : name;
    switch (chosen) {
      case RANDOM, PREFIX_REPETITION -> {
        if (path != null) {
          throw new UserException(
              "--dataset-path: is for files, not " + chosen + "; leave one out");
        }
      }
      case CUSTOM, SHAREGPT, TRACE -> {
        if (path == null) {
          throw new UserException("--dataset-name " + chosen + ": --dataset-path FILE is missing");
        }
      }
      case SESSIONS -> {}
      default ->
          throw new UserException(
              "--dataset-name: no '"
                  + chosen
                  + "'; choose random, prefix_repetition, custom, sharegpt, sessions or trace");
    }
    if (path != null && !Files.isRegularFile(path)) {
      throw new UserException("--dataset-path: no file " + path);
    }
    checkNumbers();
    sessions.check();
    trace.check();
    mix.check();
    if (chosen.equals(SESSIONS) && mix.isGiven()) {
      throw new UserException("--mix and --group-size: are not for sessions; leave them out");
    }
    return chosen;
  }

  private void checkNumbers() {
    atLeastOne("--random-input-len", inputLen);
    atLeastOne("--prefix-len", prefixLen);
    atLeastOne("--suffix-len", suffixLen);
    atLeastOne("--num-prefixes", numPrefixes);
    if (outputLen != null) {
      atLeastOne("--output-len", outputLen);
    }
    if (!(rangeRatio >= 0 && rangeRatio < 1)) {
      throw new UserException(
          "--random-range-ratio: " + rangeRatio + "; expected 0 to below 1, such as 0.2");
    }
  }

  /** Whether prompts are text that somebody wrote, or a conversation: then a chat is meant. */
  boolean isChat() {
    String chosen = name();
    return chosen.equals(CUSTOM) || chosen.equals(SHAREGPT) || isSessions();
  }

  boolean isSessions() {
    return name().equals(SESSIONS);
  }

  boolean isTrace() {
    return name().equals(TRACE);
  }

  /** Whether answers go on to their full length unless something else is said. */
  boolean ignoresEos() {
    return !isChat();
  }

  /**
   * The workload.
   *
   * @param wanted how many different requests there are about, for files with more
   */
  Workload workload(ServerPrompts server, int wanted) throws InterruptedException {
    try {
      Workload workload = read(server, wanted);
      return workload.with(mix.applyTo(workload.dataset(), seed));
    } catch (IOException e) {
      throw new UserException("--dataset-path: " + path + " can't be read: " + e, e);
    }
  }

  private Workload read(ServerPrompts server, int wanted) throws IOException, InterruptedException {
    Path file = path == null ? Path.of("") : path;
    int given = outputLen == null ? 0 : outputLen;
    int output = outputLen == null ? DEFAULT_OUTPUT : outputLen;
    return switch (name()) {
      case CUSTOM -> Workload.of(JsonlDataset.read(file, server.chat(), given, seed));
      case SHAREGPT ->
          Workload.of(ShareGptDataset.read(file, server.counter(), wanted, given, seed));
      case SESSIONS ->
          Workload.of(
              new SessionDataset(sessions(server, file), output, sessions.thinkSeconds(), seed));
      case TRACE ->
          Workload.of(
              new TraceDataset(TraceFile.read(file), server.maker(), trace.blockSize, seed));
      case PREFIX_REPETITION ->
          Workload.of(
              new PrefixRepetitionDataset(
                  server.maker(), seed, prefixLen, suffixLen, numPrefixes, output));
      default -> Workload.of(new RandomDataset(server.maker(), seed, inputLen, output, rangeRatio));
    };
  }

  private Sessions sessions(ServerPrompts server, Path file)
      throws IOException, InterruptedException {
    return path != null
        ? FileSessions.read(file, sessions.maxTurns())
        : new RandomSessions(server.maker(), seed, sessions.turns(), inputLen, sessions.turnLen);
  }

  private static void atLeastOne(String option, int value) {
    if (value < 1) {
      throw new UserException(option + ": " + value + "; expected at least 1");
    }
  }
}
