package io.tercel.trainer.repro;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Shares and their errors, from answers as eval writes them. */
final class ScoreTest {
  @TempDir Path directory;

  @Test
  void seedsOfAProblem_areOneObservation() throws IOException {
    Path answers = directory.resolve("answers.jsonl");
    Files.writeString(
        answers,
        """
        {"id": "a", "correct": true, "seed": 1}
        {"id": "b", "correct": true, "seed": 1}
        {"id": "a", "correct": false, "seed": 2}
        {"id": "b", "correct": true, "seed": 2}
        """);
    Score score = Score.read(answers);
    assertEquals(0.75, score.share());
    assertEquals(0.25, score.error(), 1e-12); // sqrt(((1/4)^2 + (1/4)^2) / 2 / (2 - 1))
    assertEquals("75.0 ± 25.0", score.toString());
  }
}
