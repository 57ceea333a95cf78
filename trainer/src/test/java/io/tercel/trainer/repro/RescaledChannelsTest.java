package io.tercel.trainer.repro;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model with other channels that says the same. */
final class RescaledChannelsTest {
  @TempDir Path directory;

  @Test
  void itSaysTheSame_withOtherWeights() throws IOException {
    RescaledChannels.write(TinyReasoner.teacher(), directory, 0.4, 5);
    try (QatModel before = QatModel.load(TinyReasoner.teacher());
        QatModel after = QatModel.load(directory)) {
      List<Float> expected = logProbs(before);
      List<Float> actual = logProbs(after);
      assertEquals(15, expected.size());
      for (int i = 0; i < expected.size(); i++) {
        assertEquals(expected.get(i), actual.get(i), 1e-4f);
      }
      int changed = 0;
      for (int p = 0; p < before.parameters().size(); p++) {
        float was = before.parameters().get(p).get(1);
        changed += Math.abs(after.parameters().get(p).get(1) - was) > 1e-3 * Math.abs(was) ? 1 : 0;
      }
      // all but the embedding, the last norm, and the norms of heads
      assertEquals(before.parameters().size() - 2 - 2 * before.config().numLayers(), changed);
      assertTrue(changed > 10);
    }
  }

  private static List<Float> logProbs(QatModel model) {
    int[] tokens = new int[16];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (7 * i + 3) % model.config().vocabSize();
    }
    float[] weights = new float[tokens.length];
    Arrays.fill(weights, 1);
    List<Float> all = new ArrayList<>();
    TokenBatch batch = TokenBatch.of(List.of(new Example(tokens, weights)));
    model.evaluate(
        batch,
        (logits, first) -> {
          for (float value : TokenLogProbs.of(logits, first, batch).values()) {
            all.add(value);
          }
        });
    return all;
  }
}
