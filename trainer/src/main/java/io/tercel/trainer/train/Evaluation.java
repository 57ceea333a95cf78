package io.tercel.trainer.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.run.RunLog;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Held-out loss per response token, and how many responses are reproduced word for word. A response
 * whose every token is the likeliest after those before it is the one that greedy decoding gives,
 * so one forward pass tells; a right answer by another way counts as wrong here.
 *
 * @param byFamily exact matches
 */
record Evaluation(double loss, double accuracy, Map<String, Double> byFamily) {
  private static final int BATCH = 32;

  Evaluation {
    byFamily = Map.copyOf(byFamily);
  }

  static Evaluation of(QatModel model, TrainingData data, List<Problem> problems) {
    double loss = 0;
    long tokens = 0;
    Map<String, int[]> counts = new TreeMap<>();
    for (int from = 0; from < problems.size(); from += BATCH) {
      List<Problem> part = problems.subList(from, Math.min(problems.size(), from + BATCH));
      List<Example> examples = new ArrayList<>();
      for (Problem problem : part) {
        Example example = data.example(problem);
        // the response alone is judged
        float[] weights = example.weights().clone();
        for (int i = 0; i < weights.length; i++) {
          weights[i] = weights[i] == 1 ? 1 : 0;
        }
        examples.add(new Example(example.tokens(), weights));
      }
      TokenBatch batch = TokenBatch.of(examples);
      boolean[] exact = new boolean[part.size()];
      Arrays.fill(exact, true);
      int[] sequences = batch.sequencesOfRows();
      double[] sum = {0};
      model.evaluate(
          batch,
          (logits, first) -> {
            float[] values = TokenLogProbs.of(logits, first, batch).values();
            long[] best = logits.argMax(1).toLongArray();
            for (int i = 0; i < values.length; i++) {
              sum[0] -= values[i];
              exact[sequences[first + i]] &= best[i] == batch.targets()[first + i];
            }
          });
      loss += sum[0];
      tokens += batch.rows().length;
      for (int b = 0; b < exact.length; b++) {
        int[] count = counts.computeIfAbsent(part.get(b).family(), _ -> new int[2]);
        count[0] += exact[b] ? 1 : 0;
        count[1]++;
      }
    }
    Map<String, Double> byFamily = new TreeMap<>();
    counts.forEach((family, count) -> byFamily.put(family, (double) count[0] / count[1]));
    int right = counts.values().stream().mapToInt(count -> count[0]).sum();
    return new Evaluation(loss / tokens, (double) right / problems.size(), byFamily);
  }

  /** As a line of the run's log. */
  ObjectNode line(int step) {
    ObjectNode line = RunLog.line(step);
    line.put("held_out_loss", loss).put("held_out_exact", accuracy);
    ObjectNode families = line.putObject("families");
    new TreeMap<>(byFamily).forEach(families::put);
    return line;
  }
}
