package io.tercel.trainer.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TrainerTest {
  private static final String RECIPE =
      """
      model.hidden=32
      model.ffn=64
      model.layers=2
      model.heads=2
      model.kvHeads=1
      model.headDim=16
      family.add=1
      family.sub=1
      curriculum=0.5,0.5
      batch=8
      heldOut=8
      warmup=2
      evaluateEvery=100
      saveEvery=100
      """;

  @TempDir Path directory;

  private record Run(List<Double> losses, Map<String, float[]> weights) {}

  private Run run(String name, String more) throws IOException {
    List<Double> losses = new ArrayList<>();
    Map<String, float[]> weights = new HashMap<>();
    try (Trainer trainer =
        new Trainer(Recipe.parse(name, RECIPE + more), directory.resolve(name))) {
      trainer.run((_, loss, _) -> losses.add(loss));
      for (Parameter parameter : trainer.model().parameters()) {
        weights.put(parameter.name(), parameter.toFloats());
      }
    }
    return new Run(losses, weights);
  }

  @Test
  void run_oneBatchOfEightOrEightOfOne_isOneTrajectory() throws IOException {
    Run whole = run("whole", "stages=12:1e-3\n");
    Run parts = run("parts", "stages=12:1e-3\nmicroBatches=8\n");
    double worst = 0;
    for (int i = 0; i < 12; i++) {
      assertEquals(whole.losses.get(i), parts.losses.get(i), 2e-5);
    }
    for (Map.Entry<String, float[]> entry : whole.weights.entrySet()) {
      float[] other = Objects.requireNonNull(parts.weights.get(entry.getKey()));
      for (int i = 0; i < other.length; i++) {
        worst = Math.max(worst, Math.abs(other[i] - entry.getValue()[i]));
      }
    }
    // twelve steps of about 1e-3 each; where a gradient is next to nothing its sign is noise
    assertTrue(worst < 5e-4, "weights differ by " + worst);
    assertTrue(whole.losses.getLast() < whole.losses.getFirst() - 0.2, whole.losses.toString());
  }

  @Test
  void run_otherSeed_isAnotherRun() throws IOException {
    assertEquals(
        run("a", "stages=2:1e-3\nseed=5\n").losses, run("b", "stages=2:1e-3\nseed=5\n").losses);
    assertTrue(
        !run("c", "stages=2:1e-3\nseed=5\n").losses.equals(run("d", "stages=2:1e-3\n").losses));
  }
}
