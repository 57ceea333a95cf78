package io.tercel.trainer.repro;

import io.tercel.trainer.repro.Experiment.Rounding;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunCurves.Plotted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The paper's Figures 2 to 4: curves of runs beside each other. */
final class ReproFigures {
  private static final String FOLDER = "figures";

  private final Stage fromGptq;
  private final Stage fromRtn;
  private final Stage tuned;
  private final Stage rewarded;

  ReproFigures(Experiment experiment) {
    fromGptq = experiment.taught(Rounding.GPTQ, "kd");
    fromRtn = experiment.taught(Rounding.RTN, "kd");
    tuned = experiment.taught(Rounding.GPTQ, "sft");
    rewarded = experiment.rewarded(fromGptq);
  }

  /**
   * A figure.
   *
   * @param file its name
   * @param axis of its values
   * @param field of the runs' logs
   * @param shows what to look for
   */
  private record Figure(
      String file,
      String title,
      String axis,
      String field,
      Map<String, Stage> runs,
      String shows) {}

  /** The runs. */
  List<Stage> stages() {
    return List.of(fromGptq, fromRtn, tuned, rewarded);
  }

  private List<Figure> figures() {
    Map<String, Stage> starts = new LinkedHashMap<>();
    starts.put("GPTQ + KD", fromGptq);
    starts.put("RTN + KD", fromRtn);
    Map<String, Stage> objectives = new LinkedHashMap<>();
    objectives.put("GPTQ + KD", fromGptq);
    objectives.put("GPTQ + SFT", tuned);
    Map<String, Stage> policy = Map.of("GRPO after GPTQ + KD", rewarded);
    String accuracy = "Greedy answers to held-out problems";
    return List.of(
        new Figure(
            "figure2a", accuracy, "share", "accuracy", starts, "GPTQ starts and stays higher"),
        new Figure("figure2b", "Loss per token", "nats", "loss", starts, "and has the lower loss"),
        new Figure("figure3", accuracy, "share", "accuracy", objectives, "KD is above SFT"),
        new Figure("figure4a-reward", "Reward", "mean", "reward", policy, "it rises"),
        new Figure("figure4a-length", "Length of answers", "tokens", "length", policy, "it falls"),
        new Figure("figure4b", "Entropy of the policy", "nats", "entropy", policy, "it falls"),
        new Figure("figure4c", accuracy, "share", "accuracy", policy, "it rises"));
  }

  /**
   * Draws them all, once the stages are done.
   *
   * @return what there is, as Markdown
   */
  String draw(Path out) throws IOException {
    Path folder = Files.createDirectories(out.resolve(FOLDER));
    StringBuilder text = new StringBuilder("**Figures 2 to 4: training curves**\n\n");
    text.append("| file | curves | in the paper |\n| --- | --- | --- |\n");
    for (Figure figure : figures()) {
      List<Plotted> curves = new ArrayList<>();
      for (Map.Entry<String, Stage> run : figure.runs.entrySet()) {
        curves.add(new Plotted(run.getKey(), Experiment.log(run.getValue()), figure.field));
      }
      RunCurves.compare(folder.resolve(figure.file), figure.title, figure.axis, curves);
      String names = String.join(", ", figure.runs.keySet());
      text.append(
          "| %s/%s.png | %s: %s | %s |\n"
              .formatted(FOLDER, figure.file, figure.title, names, figure.shows));
    }
    return text.toString();
  }
}
