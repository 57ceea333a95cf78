package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.files.DataFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options of {@code tercel quantize} that say which texts the model is observed on. */
final class CalibrationOptions {
  private static final Pattern DATA = Pattern.compile("hf://.*|.*\\.(jsonl|parquet)");

  @Option(
      names = "--calibration",
      paramLabel = "FILE|hf://…",
      arity = "1..*",
      description =
          "Texts to observe: .jsonl or .parquet with token_ids, messages, text, or prompt and"
              + " completion, or hf://datasets/ORG/NAME[@REVISION][/PATTERN] of the hub;"
              + " anything else is plain text. All methods but rtn need them. Take them from"
              + " the domain that the model is meant for, and will be trained on.")
  private List<String> files = new ArrayList<>();

  @Option(
      names = "--self-traces",
      description =
          "Let the model itself continue the prompts (or problems) of --calibration, at"
              + " temperature 0.6; best for reasoning models.")
  private boolean selfTraces;

  @Option(
      names = "--calibration-domain",
      paramLabel = "NAME",
      description = "What the report calls these texts (default: their kind and files).")
  private @Nullable String domain;

  @Option(
      names = "--calibration-samples",
      defaultValue = "128",
      paramLabel = "N",
      description = "Sequences to observe (default 128).")
  private int samples;

  @Option(
      names = "--calibration-length",
      paramLabel = "N",
      description = "Tokens of a sequence, at most (default 2048, or the model's positions).")
  private @Nullable Integer length;

  /** Whether there are none. */
  boolean isEmpty() {
    return files.isEmpty();
  }

  private String domain() {
    if (domain != null) {
      return domain;
    }
    String names =
        files.stream()
            .map(file -> file.substring(file.lastIndexOf('/') + 1))
            .collect(Collectors.joining(", "));
    boolean lines = files.stream().allMatch(file -> DATA.matcher(file).matches());
    return (selfTraces ? "the model's own traces on " : lines ? "jsonl: " : "text: ") + names;
  }

  /**
   * Draws the sequences.
   *
   * @param seed of windows and traces
   * @param workers threads that write traces
   * @throws UserException if an option or a file doesn't do
   */
  Calibration draw(Checkpoint source, long seed, int workers, PrintWriter console)
      throws IOException {
    int positions = source.config().maxPositionEmbeddings();
    int limit = length == null ? Math.min(2048, positions) : length;
    QuantizeCommand.checkAtLeast("--calibration-length", limit, 2);
    QuantizeCommand.checkAtLeast("--calibration-samples", samples, 1);
    if (limit > positions) {
      throw new UserException(
          "--calibration-length: %d; the model has %d positions".formatted(limit, positions));
    }
    List<int[]> documents = documents(source, limit, seed, workers, console);
    if (documents.stream().noneMatch(d -> d.length >= 2)) {
      throw new UserException("--calibration: no document has two tokens or more");
    }
    return Calibration.draw(documents, samples, limit, seed).of(domain());
  }

  private List<Path> paths() {
    return files.stream()
        .flatMap(file -> DataFiles.find("--calibration", file, "train").stream())
        .toList();
  }

  private List<int[]> documents(
      Checkpoint source, int limit, long seed, int workers, PrintWriter console)
      throws IOException {
    Path model = source.directory();
    List<int[]> documents;
    Set<Integer> ends;
    if (!Files.exists(model.resolve("tokenizer.json"))) {
      throw new UserException(
          "--model: " + model + " has no tokenizer.json, which the calibration texts need");
    }
    try (Tokenizer tokenizer = Tokenizer.open(model)) {
      int vocab = source.config().vocabSize();
      documents = new CalibrationReader(tokenizer, vocab, selfTraces).read(paths());
      ends = tokenizer.endTokens(source.config().eosTokenIds());
    }
    if (!selfTraces) {
      return documents;
    }
    Collections.shuffle(documents, new Random(seed));
    List<int[]> prompts = documents.subList(0, Math.min(samples, documents.size()));
    console.printf("the model continues %d prompts%n", prompts.size());
    console.flush();
    return SelfTraces.write(source, prompts, ends, limit, seed, workers);
  }
}
