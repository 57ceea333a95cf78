package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.batch.BatchClient;
import io.tercel.server.batch.BatchDefaults;
import io.tercel.server.batch.BatchRun;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.model.BundledModel;
import io.tercel.server.model.ModelLocator;
import io.tercel.server.model.ServingOptions;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tercel generate}: a file of requests answered into a file. */
@CommandLine.Command(
    name = "generate",
    description = {
      "Answers a file of requests into another file, without a server: one JSON object a line, as OpenAI's batch files"
          + " have them (custom_id, url, body), or a body of chat or completions alone.",
      "Answers come in the requests' order, as OpenAI's batch output has them. A run that was ended goes on where it"
          + " was when the same command is given again. Exit status 3 says that some answers are errors."
    },
    mixinStandardHelpOptions = true)
public final class GenerateCommand implements Command {
  /** Some answers are errors. */
  static final int SOME_FAILED = 3;

  @Option(names = "--input", paramLabel = "FILE", required = true, description = "requests, JSONL")
  private Path input = Path.of("");

  @Option(
      names = "--output",
      paramLabel = "FILE",
      required = true,
      description = "answers, JSONL; what is there is kept, and gone on from")
  private Path output = Path.of("");

  @Option(names = "--overwrite", description = "begin anew where there is an output already")
  private boolean overwrite;

  @Option(
      names = "--model",
      paramLabel = "DIR|ORG/NAME",
      description =
          "the model, from a folder or the hub; loaded in this process (default: the bundled one)")
  private @Nullable String model;

  @Option(
      names = "--served-model-name",
      paramLabel = "NAME",
      split = ",",
      description =
          "what requests call it, where they name a model (default: the directory's name); several,"
              + " separated by commas")
  private List<String> names = List.of();

  @Option(
      names = "--url",
      paramLabel = "URL",
      description = "instead of a model: a server that runs")
  private @Nullable String url;

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      description = "that server's key (default: $TERCEL_API_KEY)")
  private @Nullable String apiKey;

  @Option(
      names = "-n",
      paramLabel = "N",
      description = "choices of requests that don't say how many (default: 1)")
  private int choices;

  @Option(
      names = "--service-class",
      paramLabel = "CLASS",
      description =
          "chat, rollout or batch: of requests that don't say it (default: ${DEFAULT-VALUE})")
  private String serviceClass = "batch";

  @Option(
      names = "--in-flight",
      paramLabel = "N",
      description =
          "choices under way or waiting at a time (default: twice --max-num-seqs, which keeps the engine busy)")
  private @Nullable Integer inFlight;

  @Mixin private final ModelOptions options = new ModelOptions();

  @Override
  public Integer call() throws InterruptedException {
    check();
    PrintStream err = System.err;
    BatchDefaults defaults = new BatchDefaults(choices, serviceClass);
    int limit = inFlight == null ? 2 * options.maxNumSeqs : inFlight;
    try (RunningServer server = open();
        BatchClient client = new BatchClient(server.url(), server.apiKey());
        BatchBar bar = new BatchBar(err, Tty.isTerminal(Tty.STANDARD_ERROR))) {
      if (overwrite) {
        removeOutput(); // not before there is somebody who answers
      }
      BatchRun.Result result = new BatchRun(client, defaults, limit, bar).run(input, output);
      double rate = bar.rate();
      bar.close();
      err.printf(
          Locale.ROOT,
          "%d answers in %s, %d of them new, %.0f tokens/s.%n",
          result.answers(),
          output,
          result.answers() - result.kept(),
          rate);
      if (result.failed() == 0) {
        return 0;
      }
      err.printf("%d of the new answers are errors; each line says which.%n", result.failed());
      return SOME_FAILED;
    }
  }

  private void check() {
    if (!Files.isReadable(input) || Files.isDirectory(input)) {
      throw new UserException("--input: there is no file " + input + " that can be read");
    }
    if (BatchRun.isSameFile(input, output)) {
      throw new UserException("--output: is the file of --input; give another one");
    }
    if (url != null && model != null) {
      throw new UserException("--url and --model: give one of them");
    }
    if (choices < 0) {
      throw new UserException("-n: at least 1, not " + choices);
    }
    if (ServiceClass.of(serviceClass) == null) {
      throw new UserException(
          "--service-class: there is no class '%s'; choose of chat, rollout, batch"
              .formatted(serviceClass));
    }
    if (inFlight != null && inFlight < 1) {
      throw new UserException("--in-flight: at least 1, not " + inFlight);
    }
  }

  private void removeOutput() {
    try {
      Files.deleteIfExists(output);
    } catch (IOException e) {
      throw new UserException("--output: " + output + " can't be removed: " + e.getMessage(), e);
    }
  }

  private RunningServer open() {
    if (url != null) {
      return ServerChoice.running(url, apiKey);
    }
    ServingOptions serving = options.serving().packedCache("auto");
    Path directory =
        model == null
            ? BundledModel.find()
                .orElseThrow(() -> new UserException("pass --model DIR, or --model ORG/NAME"))
            : ModelLocator.locate(model, TerminalProgress::hub);
    return LocalServing.start(directory, serving, names);
  }
}
