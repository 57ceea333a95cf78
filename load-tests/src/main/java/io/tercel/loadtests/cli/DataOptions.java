package io.tercel.loadtests.cli;

import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.JsonlDataset;
import io.tercel.loadtests.data.PrefixRepetitionDataset;
import io.tercel.loadtests.data.PromptMaker;
import io.tercel.loadtests.data.RandomDataset;
import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What is asked. */
final class DataOptions {
  private static final String RANDOM = "random";
  private static final String PREFIX_REPETITION = "prefix_repetition";
  private static final String CUSTOM = "custom";
  private static final int DEFAULT_OUTPUT = 128;

  @Option(
      names = "--dataset-name",
      paramLabel = "NAME",
      description =
          "random, prefix_repetition (shared prefixes) or custom (the file of --dataset-path)."
              + " Default: custom with a file, else random.")
  @Nullable String name;

  @Option(
      names = "--dataset-path",
      paramLabel = "FILE",
      description =
          "JSONL: {\"prompt\": \"...\"} or {\"messages\": [...]} a line, each with max_tokens or"
              + " without.")
  @Nullable Path path;

  @Option(
      names = {"--random-input-len", "--input-len"},
      paramLabel = "N",
      description = "random: tokens of a prompt (default: ${DEFAULT-VALUE}).")
  int inputLen = 1024;

  @Option(
      names = {
        "--random-output-len",
        "--output-len",
        "--prefix-repetition-output-len",
        "--custom-output-len"
      },
      paramLabel = "N",
      description = "Tokens of an answer (default: 128; for files the line's or the server's).")
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

  /** Which dataset, by name; checks what can be checked without a server. */
  String name() {
    String chosen = name == null ? (path == null ? RANDOM : CUSTOM) : name;
    switch (chosen) {
      case RANDOM, PREFIX_REPETITION -> {
        if (path != null) {
          throw new UserException(
              "--dataset-path: is for --dataset-name custom, not " + chosen + "; leave one out");
        }
      }
      case CUSTOM -> {
        if (path == null) {
          throw new UserException("--dataset-name custom: --dataset-path FILE is missing");
        }
        if (!Files.isRegularFile(path)) {
          throw new UserException("--dataset-path: no file " + path);
        }
      }
      default ->
          throw new UserException(
              "--dataset-name: no '" + chosen + "'; choose random, prefix_repetition or custom");
    }
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
    return chosen;
  }

  /** Whether prompts come from a file. */
  boolean isFile() {
    return name().equals(CUSTOM);
  }

  /** The file's workload. */
  Dataset file(boolean chat) {
    Path file = path == null ? Path.of("") : path;
    try {
      return JsonlDataset.read(file, chat, outputLen == null ? 0 : outputLen, seed);
    } catch (IOException e) {
      throw new UserException("--dataset-path: " + file + " can't be read: " + e, e);
    }
  }

  /** A random workload. */
  Dataset synthetic(PromptMaker maker) {
    int output = outputLen == null ? DEFAULT_OUTPUT : outputLen;
    return name().equals(PREFIX_REPETITION)
        ? new PrefixRepetitionDataset(maker, seed, prefixLen, suffixLen, numPrefixes, output)
        : new RandomDataset(maker, seed, inputLen, output, rangeRatio);
  }

  private static void atLeastOne(String option, int value) {
    if (value < 1) {
      throw new UserException(option + ": " + value + "; expected at least 1");
    }
  }
}
