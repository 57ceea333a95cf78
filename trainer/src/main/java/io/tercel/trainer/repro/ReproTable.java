package io.tercel.trainer.repro;

import io.tercel.trainer.repro.Experiment.Domain;
import io.tercel.trainer.repro.Experiment.Rounding;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A table of the paper: which models its rows are, and what it says of them. */
enum ReproTable {
  /** What to learn from. */
  TABLE1(
      "Table 1: objectives of quantization-aware training, W3G128",
      List.of("bits", "method"),
      Rows::table1,
      Rows.THREE),
  /** Reinforcement learning with and without a cold start. */
  TABLE2(
      "Table 2: reinforcement learning from scratch and from a distilled model, W3G128",
      List.of("RTN", "KD", "GRPO"),
      Rows::table2,
      Rows.THREE),
  /** What to learn from, and what to be calibrated by. */
  TABLE3(
      "Table 3: domains of calibration and of training",
      List.of("bits", "PTQ", "QAT"),
      Rows::table3,
      Rows.MATH),
  /** The whole recipe against rounding alone. */
  TABLE4(
      "Table 4: rounding alone and the whole recipe",
      List.of("bits", "method"),
      Rows::table4,
      Rows.FIVE),
  /** What each part of the recipe brings. */
  TABLE5(
      "Table 5: parts of the recipe, W3G128",
      List.of("", "RTN", "GPTQ", "SFT", "KD", "GRPO"),
      Rows::table5,
      Rows.THREE);

  final String title;
  final List<String> labels;
  private final RowMaker rows;
  final List<String> benchmarks;

  ReproTable(String title, List<String> labels, RowMaker rows, List<String> benchmarks) {
    this.title = title;
    this.labels = labels;
    this.rows = rows;
    this.benchmarks = benchmarks;
  }

  /** Makes rows of an experiment's stages. */
  interface RowMaker {
    List<Row> of(Experiment experiment);
  }

  /**
   * A row.
   *
   * @param labels one a label column
   * @param asTrained the same of the model without rescaled channels; null where it isn't made
   * @param paper what the paper has of R1-Qwen-1.5B, in percent
   */
  record Row(List<String> labels, Stage model, @Nullable Stage asTrained, List<String> paper) {
    Row {
      labels = List.copyOf(labels);
      paper = List.copyOf(paper);
    }
  }

  List<Row> rows(Experiment experiment) {
    return rows.of(experiment);
  }

  /** All that the rows are read from. */
  List<Stage> stages(Experiment experiment) {
    List<Stage> stages = new ArrayList<>();
    for (Row row : rows(experiment)) {
      stages.add(experiment.asked(row.model));
      if (row.asTrained != null) {
        stages.add(experiment.asked(row.asTrained));
      }
    }
    return stages;
  }

  /** As Markdown, once the stages are done. */
  String render(Experiment experiment) throws IOException {
    List<String> head = new ArrayList<>(labels);
    head.addAll(List.of("greedy", "T = 0.6", "greedy, as trained"));
    benchmarks.forEach(name -> head.add("paper: " + name));
    StringBuilder text = new StringBuilder("**" + title + "**\n\n");
    line(text, head);
    line(text, head.stream().map(_ -> "---").toList());
    for (Row row : rows(experiment)) {
      List<String> cells = new ArrayList<>(row.labels);
      cells.add(Score.read(experiment.greedyAnswers(row.model)).toString());
      cells.add(Score.read(experiment.sampledAnswers(row.model)).toString());
      cells.add(
          row.asTrained == null
              ? "–"
              : Score.read(experiment.greedyAnswers(row.asTrained)).toString());
      cells.addAll(row.paper);
      line(text, cells);
    }
    return text.append('\n').append(note(experiment)).toString();
  }

  private static void line(StringBuilder text, List<String> cells) {
    text.append("| ").append(String.join(" | ", cells)).append(" |\n");
  }

  private static String note(Experiment experiment) {
    Scale.Measuring measuring = experiment.scale().measuring;
    String channels =
        experiment.sigma() == 0
            ? "The model's channels are as trained."
            : ("The model's channels are rescaled by exp(%s N(0, 1)), which changes nothing in full"
                    + " precision and stands for the wide channels of large models; \"as trained\" is"
                    + " without that, of rows that need no training.")
                .formatted(experiment.sigma());
    return """
        Right answers in percent ± standard error over %d held-out problems; T = 0.6 with seeds %s. One training seed,
        scale %s. %s
        The paper's columns are R1-Qwen-1.5B on its benchmarks: compare the order of rows, not the numbers.
        """
        .formatted(
            measuring.problems(),
            measuring.seeds(),
            experiment.scale().name().toLowerCase(Locale.ROOT),
            channels);
  }

  /** The rows of each table. */
  private static final class Rows {
    static final List<String> THREE = List.of("AIME-120", "MATH-500", "GSM8K", "mean");
    static final List<String> MATH =
        List.of("step 1000", "step 2000", "step 3000", "best (MATH-500)");
    static final List<String> FIVE =
        List.of("AIME-120", "MATH-500", "GSM8K", "GPQA-Diamond", "LiveCodeBench", "mean");
    private static final String YES = "✓";
    private static final String NO = "-";

    private Rows() {}

    private static List<String> paper(String numbers) {
      return List.of(numbers.split(" "));
    }

    private static Row full(Experiment e, List<String> labels, String numbers) {
      return new Row(labels, e.full(), e.source(), paper(numbers));
    }

    private static Row rounded(Experiment e, Rounding how, List<String> labels, String numbers) {
      return new Row(labels, e.rounded(how), e.roundedSource(how), paper(numbers));
    }

    private static Row trained(Stage model, List<String> labels, String numbers) {
      return new Row(labels, model, null, paper(numbers));
    }

    static List<Row> table1(Experiment e) {
      return List.of(
          full(e, List.of("16", NO), "21.67 84.40 84.61 63.56"),
          rounded(e, Rounding.RTN, List.of("3", "RTN"), "0.83 15.00 15.39 10.41"),
          trained(e.taught(Rounding.RTN, "sft"), List.of("3", "SFT"), "10.00 73.60 75.54 53.05"),
          trained(e.taught(Rounding.RTN, "kd"), List.of("3", "KD"), "14.44 76.20 75.87 55.50"));
    }

    static List<Row> table2(Experiment e) {
      Stage kd = e.taught(Rounding.RTN, "kd");
      return List.of(
          full(e, List.of(NO, NO, NO), "21.67 84.40 84.61 63.56"),
          rounded(e, Rounding.RTN, List.of(YES, NO, NO), "0.83 15.00 15.39 10.41"),
          trained(
              e.rewarded(e.rounded(Rounding.RTN)), List.of(YES, NO, YES), "1.67 15.33 15.52 10.84"),
          trained(e.rewarded(kd), List.of(YES, YES, YES), "14.44 78.00 77.93 56.79"));
    }

    /** The paper's own domains: reasoning (NuminaMath-1.5, OpenR1-Math), and Wikitext2. */
    static List<Row> table3(Experiment e) {
      Stage gptq = e.rounded(Rounding.GPTQ);
      Stage strange = e.rounded(Rounding.FLATQUANT, Domain.STRANGE);
      return List.of(
          trained(gptq, List.of("W3", "own", NO), "– – – –"),
          trained(
              e.taught(gptq, "kd", Domain.STRANGE),
              List.of("W3", "own", "strange"),
              "74.33 73.33 73.33 75.33"),
          trained(
              e.taught(gptq, "kd", Domain.OWN),
              List.of("W3", "own", "own"),
              "75.00 77.27 77.07 78.53"),
          trained(strange, List.of("W4A4KV4", "strange", NO), "– – – –"),
          trained(
              e.taught(strange, "kd", Domain.STRANGE),
              List.of("W4A4KV4", "strange", "strange"),
              "71.67 73.13 71.80 73.20"),
          trained(
              e.taught(strange, "kd", Domain.OWN),
              List.of("W4A4KV4", "strange", "own"),
              "43.27 44.40 43.70 45.80"));
    }

    static List<Row> table4(Experiment e) {
      return List.of(
          full(e, List.of("16", NO), "21.67 84.40 84.61 36.87 16.04 48.72"),
          rounded(e, Rounding.RTN, List.of("W3", "RTN"), "0.83 15.00 15.39 19.19 0.00 10.08"),
          rounded(e, Rounding.GPTQ, List.of("W3", "GPTQ"), "10.00 71.60 75.66 23.74 9.33 38.07"),
          rounded(e, Rounding.AWQ, List.of("W3", "AWQ"), "3.33 48.80 65.81 37.88 4.85 32.13"),
          trained(
              e.rewarded(e.taught(Rounding.GPTQ, "kd")),
              List.of("W3", "GPTQ, KD, GRPO"),
              "16.39 79.80 79.35 30.30 8.21 42.81"),
          rounded(
              e, Rounding.QUAROT, List.of("W4A4KV4", "QuaRot"), "0.00 1.20 0.76 8.59 0.00 2.11"),
          rounded(
              e,
              Rounding.FLATQUANT,
              List.of("W4A4KV4", "FlatQuant"),
              "10.00 64.80 78.62 31.82 6.72 38.39"),
          trained(
              e.rewarded(e.taught(Rounding.FLATQUANT, "kd")),
              List.of("W4A4KV4", "FlatQuant, KD, GRPO"),
              "12.50 73.20 77.94 32.83 10.07 41.31"));
    }

    static List<Row> table5(Experiment e) {
      List<Row> rows = new ArrayList<>();
      rows.add(full(e, marks(0, ""), "21.67 84.40 84.61 63.56"));
      String[][] paper = {
        {
          "0.83 15.00 15.39 10.41",
          "10.00 73.60 75.54 53.05",
          "14.44 76.20 75.87 55.50",
          "14.44 78.00 77.93 56.79"
        },
        {
          "10.00 71.60 75.66 52.42",
          "14.17 75.53 76.12 55.27",
          "13.89 78.20 77.26 56.45",
          "16.39 79.80 79.35 58.51"
        }
      };
      Rounding[] starts = {Rounding.RTN, Rounding.GPTQ};
      for (int i = 0; i < starts.length; i++) {
        String start = starts[i].name();
        int first = 4 * i + 1;
        Stage kd = e.taught(starts[i], "kd");
        rows.add(rounded(e, starts[i], marks(first, start), paper[i][0]));
        rows.add(
            trained(e.taught(starts[i], "sft"), marks(first + 1, start + " SFT"), paper[i][1]));
        rows.add(trained(kd, marks(first + 2, start + " KD"), paper[i][2]));
        rows.add(trained(e.rewarded(kd), marks(first + 3, start + " KD GRPO"), paper[i][3]));
      }
      return rows;
    }

    /** The number, and which of RTN, GPTQ, SFT, KD and GRPO are named. */
    private static List<String> marks(int number, String named) {
      List<String> cells = new ArrayList<>(List.of("#" + number));
      List<String> words = List.of(named.split(" "));
      for (String column : List.of("RTN", "GPTQ", "SFT", "KD", "GRPO")) {
        cells.add(words.contains(column) ? YES : NO);
      }
      return cells;
    }
  }
}
