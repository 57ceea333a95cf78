package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** A checkpoint with more in it than is served, a vision tower say, is served with one warning. */
class LeftOutTensorsTest {
  private static final Path MODEL = Path.of("model");

  @Test
  void warning_namesAFew_andCountsAll() {
    assertNull(LeftOutTensors.warning(MODEL, List.of()));
    assertNull(LeftOutTensors.warning(MODEL, List.of("lm_head.weight")));
    assertEquals(
        "model: 1 tensor is left out, for no layer asks for it: a",
        LeftOutTensors.warning(MODEL, List.of("lm_head.weight", "a")));
    assertEquals(
        "model: 4 tensors are left out, for no layer asks for them: a, b, c, d",
        LeftOutTensors.warning(MODEL, List.of("a", "b", "c", "d")));
    assertEquals(
        "model: 5 tensors are left out, for no layer asks for them: a, b, c, d, ...",
        LeftOutTensors.warning(MODEL, List.of("a", "b", "c", "d", "e")));
  }

  @Test
  void loading_warnsOnce(@TempDir Path directory) {
    TinyCheckpoint.qwen3()
        .editTensors(
            t -> {
              for (int i = 0; i < 6; i++) {
                t.put("visual.blocks." + i, RawTensor.floats("F32", new float[2], 2));
              }
            })
        .write(directory);
    Logger logger = (Logger) LoggerFactory.getLogger(RunningEngine.class);
    ListAppender<ILoggingEvent> seen = new ListAppender<>();
    seen.start();
    logger.addAppender(seen);
    try (Checkpoint checkpoint = Checkpoint.open(directory);
        RunningEngine engine =
            RunningEngine.open(
                checkpoint,
                new ServingOptions().backend("scalar"),
                Set.of(),
                LoadProgress.SILENT)) {
      List<ILoggingEvent> warnings =
          seen.list.stream().filter(e -> e.getLevel() == Level.WARN).toList();
      assertEquals(1, warnings.size());
      assertEquals(
          directory
              + ": 6 tensors are left out, for no layer asks for them: visual.blocks.0,"
              + " visual.blocks.1, visual.blocks.2, visual.blocks.3, ...",
          warnings.getFirst().getFormattedMessage());
    } finally {
      logger.detachAppender(seen);
    }
  }
}
