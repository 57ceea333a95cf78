package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.PackedCache;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.vector.VectorOps;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What a head of 8 bits costs the bundled model: log-probs of the whole vocabulary at 1,024
 * positions of its own greedy texts, against the head as it is stored. The layers are the same, so
 * the head is all that differs.
 */
class Int8HeadAccuracyTest {
  private static final int TEXTS = 16;
  private static final int GIVEN = 8;
  private static final int LENGTH = GIVEN + 64;

  @Test
  void logProbs_stayClose() {
    Path bundled = Path.of(System.getProperty("tercel.model", "../server/models/bundled"));
    assumeTrue(Files.isDirectory(bundled), "the model that comes with the server");
    try (WeightStore stored = load(bundled, LmHeadType.STORED);
        WeightStore int8 = load(bundled, LmHeadType.INT8);
        Lab exact = new Lab(stored, new VectorOps(2), KvType.FP16);
        Lab rounded = new Lab(int8, new VectorOps(2), KvType.FP16)) {
      double sum = 0;
      double worst = 0;
      long count = 0;
      int flips = 0;
      List<Lab.Sequence> texts = new ArrayList<>();
      for (int i = 0; i < TEXTS; i++) {
        texts.add(exact.sequence(i, LENGTH, 8 * i, 1));
      }
      for (int p = 0; p < LENGTH - 1; p++) {
        List<Lab.Piece> pieces = new ArrayList<>();
        for (Lab.Sequence text : texts) {
          pieces.add(new Lab.Piece(text, p, p + 1));
        }
        float[][] a = exact.step(pieces);
        float[][] b = rounded.step(pieces);
        for (int i = 0; i < TEXTS && p >= GIVEN - 1; i++) {
          double[] expected = logProbs(a[i]);
          double[] actual = logProbs(b[i]);
          for (int v = 0; v < expected.length; v++) {
            double difference = Math.abs(expected[v] - actual[v]);
            sum += difference;
            worst = Math.max(worst, difference);
            count++;
          }
          flips += argMax(expected) == argMax(actual) ? 0 : 1;
          texts.get(i).tokens[p + 1] = argMax(expected);
        }
      }
      System.out.printf(
          "int8 head: log-probs within %.2g, %.2g on the mean, %d of %d arg-maxes differ%n",
          worst, sum / count, flips, TEXTS * (LENGTH - GIVEN));
      assertTrue(sum / count < 0.02, "mean " + sum / count);
      assertTrue(sum > 0, "a head of 8 bits must differ somewhere");
    }
  }

  private static WeightStore load(Path directory, LmHeadType head) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(
          checkpoint, head, PackedCache.off(), Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private static double[] logProbs(float[] logits) {
    double max = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      max = Math.max(max, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - max);
    }
    double[] logProbs = new double[logits.length];
    for (int i = 0; i < logits.length; i++) {
      logProbs[i] = logits[i] - max - Math.log(sum);
    }
    return logProbs;
  }

  private static int argMax(double[] x) {
    int best = 0;
    for (int i = 1; i < x.length; i++) {
      best = x[i] > x[best] ? i : best;
    }
    return best;
  }
}
