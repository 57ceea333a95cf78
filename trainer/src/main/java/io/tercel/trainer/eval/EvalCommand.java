package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.server.cli.RunningServer;
import io.tercel.server.cli.ServerChoice;
import io.tercel.server.cli.Tty;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatException;
import io.tercel.trainer.files.DataFiles;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/**
 * {@code tercel eval}: asks a model the problems of a benchmark and says how many it gets right.
 */
@CommandLine.Command(
    name = "eval",
    description = {
      "Asks a model a benchmark's problems and reports its accuracy.",
      "With --model the same server runs in this process, so results equal those over HTTP."
    },
    mixinStandardHelpOptions = true)
public final class EvalCommand implements Command {
  @CommandLine.Mixin private ServerChoice server = new ServerChoice();

  @CommandLine.Option(
      names = "--data",
      paramLabel = "FILE|hf://…",
      description =
          "JSON lines or parquet with problem or question, and answer or solution; or GPQA's CSV; or"
              + " hf://datasets/ORG/NAME[@REVISION][/PATTERN] of the hub. With --suite NAME,…: the"
              + " folder that has them.")
  private @Nullable String data;

  @CommandLine.Option(
      names = "--suite",
      paramLabel = "DIR|NAME,…",
      split = ",",
      description =
          "Instead: several benchmarks in one run and table, of a folder of published files:"
              + " gsm8k, math-500, aime-2022 to aime-2025, gpqa-diamond, livecodebench; or without"
              + " --data of the hub: these, and aime-120 for AIME. Each seed's"
              + " answers have at most 32768 tokens, or what the context holds; a run that was stopped goes on in the file"
              + " of --out.")
  private List<String> suites = List.of();

  @CommandLine.Option(
      names = "--allow-unsandboxed-code",
      description =
          "Run the programs that answer livecodebench even where no sandbox can hold them.")
  private boolean allowUnsandboxed;

  @CommandLine.Option(
      names = "--n",
      paramLabel = "N",
      description = "Only the first N problems. Default: all.")
  private @Nullable Integer n;

  @CommandLine.Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.6",
      description = "Default: ${DEFAULT-VALUE}.")
  private double temperature;

  @CommandLine.Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "0.95",
      description = "Default: ${DEFAULT-VALUE}.")
  private double topP;

  @CommandLine.Option(
      names = "--seeds",
      paramLabel = "S",
      split = ",",
      defaultValue = "42,43,44",
      description = "Each asks every problem once. Default: ${DEFAULT-VALUE}.")
  private List<Long> seeds = List.of();

  @CommandLine.Option(
      names = "--greedy",
      description = "Temperature 0, each problem once; seeds don't matter then.")
  private boolean greedy;

  @CommandLine.Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "The longest answer, thinking included. Default: what the context holds.")
  private @Nullable Integer maxTokens;

  @CommandLine.Option(
      names = "--prompt-template",
      paramLabel = "TEXT|@FILE",
      description = "The message, with {problem} in it. Default: asks for steps and \\boxed{}.")
  private @Nullable String promptTemplate;

  @CommandLine.Option(
      names = "--concurrency",
      paramLabel = "N",
      defaultValue = "8",
      description = "Requests at a time. Default: ${DEFAULT-VALUE}.")
  private int concurrency;

  @CommandLine.Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Where each answer goes, as JSON lines. Default: nowhere.")
  private @Nullable Path out;

  @CommandLine.Option(names = "--overwrite", description = "Replace the file of --out.")
  private boolean overwrite;

  @CommandLine.Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it.
  private CommandLine.Model.CommandSpec spec;

  /** The longest answer in the paper's protocol. */
  private static final int SUITE_TOKENS = 32_768;

  @Override
  public Integer call() throws InterruptedException {
    if (!suites.isEmpty()) {
      return callSuites();
    }
    EvalPlan plan = plan();
    if (out != null && Files.exists(out) && !overwrite) {
      throw new UserException("--out: " + out + " exists: name another file, or add --overwrite");
    }
    try (RunningServer running = server.open();
        ChatClient client = new ChatClient(running.url(), running.apiKey())) {
      List<EvalResult> results = run(new EvalRun(client, client.model(), plan), plan);
      EvalReport report = EvalReport.of(results);
      PrintWriter to = spec.commandLine().getOut();
      report.lines().forEach(to::println);
      to.flush();
      if (report.errors() > 0) {
        throw new UserException(
            "%d of %d requests failed and count as wrong; the first: %s"
                .formatted(report.errors(), results.size(), firstError(results)));
      }
      return 0;
    } catch (ChatException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    } catch (IOException | UncheckedIOException e) {
      throw new UserException("--out: can't be written: " + e.getMessage(), e);
    }
  }

  private int callSuites() throws InterruptedException {
    EvalPlan how = how();
    if (out == null) {
      throw new UserException("--out: name a file for the answers, from which a run can go on");
    }
    Path file = out;
    List<Suite> chosen = suites();
    try (RunningServer running = server.open();
        ChatClient client = new ChatClient(running.url(), running.apiKey())) {
      OptionalInt context = client.contextLength();
      boolean whole = maxTokens == null && context.orElse(Integer.MAX_VALUE) <= SUITE_TOKENS;
      SuiteRun run = new SuiteRun(client, client.model(), chosen, whole ? how.unbounded() : how);
      if (overwrite) {
        Files.deleteIfExists(file);
      }
      List<String> errors = new ArrayList<>();
      SuiteTable table;
      try (SuiteLog log = SuiteLog.open(file, run.settings());
          ProgressBar bar = Tty.isTerminal(Tty.STANDARD_ERROR) ? bar(run.left(log)) : null) {
        table =
            run.run(
                log,
                result -> {
                  if (result.error() != null) {
                    errors.add(result.error());
                  }
                  if (bar != null) {
                    bar.step();
                  }
                });
      }
      PrintWriter to = spec.commandLine().getOut();
      table.lines().forEach(to::println);
      to.flush();
      if (!errors.isEmpty()) {
        throw new UserException(
            "%d requests failed and count as wrong until the run is repeated; the first: %s"
                .formatted(errors.size(), errors.getFirst()));
      }
      return 0;
    } catch (ChatException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    } catch (IOException | UncheckedIOException e) {
      throw new UserException("--out: can't be written: " + e.getMessage(), e);
    } finally {
      chosen.forEach(Suite::close);
    }
  }

  private List<Suite> suites() throws InterruptedException {
    Path folder = Path.of(suites.getFirst());
    boolean all = suites.size() == 1 && Files.isDirectory(folder);
    List<String> names =
        suites.stream().map(name -> name.strip().toLowerCase(Locale.ROOT)).toList();
    SuiteFolder found;
    if (all) {
      found = SuiteFolder.read(folder);
    } else if (data != null) {
      found = SuiteFolder.read(Path.of(data));
    } else {
      found = SuiteFolder.published(names, DataFiles.hub());
    }
    List<Suite> chosen = new ArrayList<>();
    for (String name : all ? found.names() : names) {
      Suite suite = found.suite(name, allowUnsandboxed);
      chosen.add(n == null ? suite : suite.first(n));
    }
    return chosen;
  }

  private EvalPlan plan() {
    EvalPlan how = how();
    if (data == null) {
      throw new UserException("--data: name a file of problems, or --suite with a folder of them");
    }
    List<BenchmarkProblem> problems = Benchmark.read(DataFiles.find("--data", data, "test"));
    return how.with(n == null ? problems : problems.subList(0, Math.min(n, problems.size())));
  }

  /** A plan without problems. */
  private EvalPlan how() {
    if (!(temperature >= 0 && temperature <= 2)) {
      throw new UserException("--temperature: between 0 and 2, not " + temperature);
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new UserException("--top-p: above 0 and at most 1, not " + topP);
    }
    if (concurrency < 1 || concurrency > 10_000) {
      throw new UserException("--concurrency: between 1 and 10000, not " + concurrency);
    }
    if (n != null && n < 1) {
      throw new UserException("--n: at least 1, not " + n);
    }
    if (maxTokens != null && maxTokens < 1) {
      throw new UserException("--max-tokens: at least 1, not " + maxTokens);
    }
    if (seeds.isEmpty() || new HashSet<>(seeds).size() < seeds.size()) {
      throw new UserException("--seeds: different whole numbers, such as 42,43,44");
    }
    boolean sure = greedy || temperature == 0;
    return new EvalPlan(
        List.of(),
        promptTemplate == null ? null : PromptTemplate.of(promptTemplate),
        sure ? seeds.subList(0, 1) : seeds,
        sure ? 0 : temperature,
        sure ? null : topP,
        maxTokens == null && !suites.isEmpty() ? Integer.valueOf(SUITE_TOKENS) : maxTokens,
        concurrency);
  }

  private List<EvalResult> run(EvalRun run, EvalPlan plan)
      throws IOException, InterruptedException {
    List<EvalResult> results = new ArrayList<>(plan.size());
    try (BufferedWriter file = out == null ? null : Files.newBufferedWriter(out);
        ProgressBar bar = Tty.isTerminal(Tty.STANDARD_ERROR) ? bar(plan.size()) : null) {
      int[] correct = {0};
      run.run(
          result -> {
            results.add(result);
            correct[0] += result.correct() ? 1 : 0;
            if (file != null) {
              write(file, result);
            }
            if (bar != null) {
              bar.step();
              bar.setExtraMessage(
                  String.format(
                      Locale.ROOT, " %.1f %% right", 100.0 * correct[0] / results.size()));
            }
          });
    }
    return results;
  }

  /** Each line is on the disk as soon as it is known, for whoever watches or stops the run. */
  private static void write(BufferedWriter file, EvalResult result) {
    try {
      file.write(result.json().toString());
      file.write('\n');
      file.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ProgressBar bar(int size) {
    return new ProgressBarBuilder()
        .setTaskName("eval")
        .setInitialMax(size)
        .setStyle(ProgressBarStyle.ASCII)
        .setUpdateIntervalMillis(500)
        .setConsumer(new ConsoleProgressBarConsumer(System.err, 110))
        .build();
  }

  private static String firstError(List<EvalResult> results) {
    return results.stream()
        .map(EvalResult::error)
        .filter(error -> error != null)
        .findFirst()
        .orElse("");
  }
}
