package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.engine.EngineStats;
import io.tercel.server.model.Miniature;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WarmUpTest {
  @TempDir private Path directory;

  /** The twin has been asked in every way, and the model itself knows nothing of it. */
  @Test
  void miniature_isAskedInTheModelsPlace() throws Exception {
    TinyCheckpoint.qwen3().vocab(300).write(directory);
    PrintStream nowhere = new PrintStream(new ByteArrayOutputStream(), true);
    try (RunningModel model =
        RunningModel.open(directory, new ServingOptions(), null, LoadProgress.SILENT)) {
      EngineStats before = model.served().engine().stats();
      try (Miniature miniature = model.miniature()) {
        WarmUp warmUp = new WarmUp(miniature, nowhere, Duration.ofMillis(1));
        warmUp.run();
        assertTrue(warmUp.asked() >= 10, "requests: " + warmUp.asked());
        assertFalse(warmUp.failed(), "each kind of request is one that the model can answer");
        assertTrue(miniature.served().engine().stats().work().generationTokens() > 100, "tokens");
        assertTrue(
            miniature.served().engine().stats().work().promptTokens() > 300, "a long prompt");
      }
      assertEquals(before, model.served().engine().stats(), "nothing of it is left");
      assertTrue(model.served().engine().ready());
    }
  }
}
