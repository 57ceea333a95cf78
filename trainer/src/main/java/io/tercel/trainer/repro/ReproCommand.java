package io.tercel.trainer.repro;

import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tercel repro}: makes a table of the paper again on a small model. */
@CommandLine.Command(
    name = "repro",
    description = {
      "Makes a table or the figures of the Reasoning-QAT paper again, on a model of 600 thousand"
          + " weights.",
      "Each step is a command of tercel, named in the step's folder; what is done is not done"
          + " again, and tables in one folder share their steps."
    },
    mixinStandardHelpOptions = true)
public final class ReproCommand implements Command {
  private static final String FIGURES = "figures";

  @Parameters(paramLabel = "table1|table2|table3|table4|table5|figures", description = "which")
  @SuppressWarnings("NullAway.Init") // picocli sets it, or refuses
  private String table;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "where models, answers and the table go; the same folder goes on")
  @SuppressWarnings("NullAway.Init")
  private Path out;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description =
          "a full-precision model that answers the specimen's problems (default: one is trained by"
              + " the recipe specimen, a quarter of an hour on two cores)")
  private @Nullable Path model;

  @Option(
      names = "--scale",
      paramLabel = "smoke|short|full",
      description =
          "smoke: seconds, says nothing; short: minutes beside the model's training; full: hours"
              + " (default: ${DEFAULT-VALUE})")
  private String scale = "full";

  @Option(
      names = "--sigma",
      paramLabel = "S",
      description =
          "spread of the channels' scales, which stands for the wide channels of large models; 0"
              + " leaves the model as trained (default: ${DEFAULT-VALUE})")
  private double sigma = 0.4;

  @CommandLine.Spec
  @SuppressWarnings("NullAway.Init")
  private CommandLine.Model.CommandSpec spec;

  /** Constructed by picocli. */
  public ReproCommand() {}

  @Override
  public Integer call() throws IOException {
    ReproTable made = table.equals(FIGURES) ? null : table();
    if (!(sigma >= 0 && sigma <= 2)) {
      throw new UserException("--sigma: between 0 and 2, not " + sigma);
    }
    Path given = model == null ? null : model.toAbsolutePath().normalize();
    if (given != null && !Files.isRegularFile(given.resolve("config.json"))) {
      throw new UserException("--model: " + model + " is no model: it has no config.json");
    }
    Path folder = out.toAbsolutePath().normalize();
    Experiment experiment = new Experiment(folder, given, scale(), sigma);
    ReproFigures figures = new ReproFigures(experiment);
    int code =
        new StageRunner(folder).run(made == null ? figures.stages() : made.stages(experiment));
    if (code != 0) {
      return code;
    }
    String text = made == null ? figures.draw(folder) : made.render(experiment);
    AtomicFile.write(folder.resolve(table + ".md"), text);
    PrintWriter to = spec.commandLine().getOut();
    to.print(text);
    to.flush();
    return 0;
  }

  private static String name(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private ReproTable table() {
    for (ReproTable each : ReproTable.values()) {
      if (name(each).equals(table)) {
        return each;
      }
    }
    String there =
        Arrays.stream(ReproTable.values())
            .map(ReproCommand::name)
            .collect(Collectors.joining(", "));
    throw new UserException(table + ": no such table; there are " + there + ", " + FIGURES);
  }

  private Scale scale() {
    for (Scale each : Scale.values()) {
      if (name(each).equals(scale)) {
        return each;
      }
    }
    throw new UserException("--scale: " + scale + "; one of smoke, short, full");
  }
}
