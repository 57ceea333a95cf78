package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.trainer.quant.PtqState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A run that is cut short leaves its finished layers, and the next one goes on behind them. */
class ResumeQuantizeTest {
  private static final int LAYERS = 3;
  private static final int LINEARS = 7;

  @TempDir private Path temp;

  /** As a power cut in the middle of a layer. */
  private static final class Cut extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static QuantizeOptions options(QuantizeOptions.Method method) {
    return switch (method) {
      case RTN -> QuantizeOptions.rtn(false);
      case GPTQ -> QuantizeOptions.gptq();
      case AWQ -> QuantizeOptions.awq();
    };
  }

  private static Calibration calibration(long seed) {
    Random random = new Random(seed);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 70; i++) {
      sequences.add(random.ints(20 + random.nextInt(30), 0, 250).toArray());
    }
    return new Calibration(sequences).of("seeded noise");
  }

  private Path model() {
    Path model = temp.resolve("plain");
    return Files.exists(model)
        ? model
        : TinyCheckpoint.qwen2().layers(LAYERS).heads(4, 4, 16).write(model);
  }

  /**
   * One run.
   *
   * @param linears that are done before it is cut, or -1
   * @return how many were done
   */
  private int run(Path to, boolean resume, QuantizeOptions options, long seed, int linears)
      throws IOException {
    int[] done = new int[1];
    Quantizer.Progress progress =
        (name, weights) -> {
          if (++done[0] == linears) {
            throw new Cut();
          }
        };
    try (Checkpoint source = Checkpoint.open(model());
        Ops ops = new VectorOps(2);
        ExportDirectory directory = new ExportDirectory(to, resume)) {
      Quantizer.quantize(source, directory, calibration(seed), options, ops, progress);
    } catch (Cut e) {
      return -done[0];
    }
    return done[0];
  }

  @ParameterizedTest
  @EnumSource(QuantizeOptions.Method.class)
  void resumed_givesTheBytesOfTheUninterruptedRun(QuantizeOptions.Method method)
      throws IOException {
    QuantizeOptions options = options(method);
    assertEquals(LAYERS * LINEARS, run(temp.resolve("whole"), false, options, 1, -1));
    Path cut = temp.resolve("cut");
    assertEquals(-LINEARS - 3, run(cut, false, options, 1, LINEARS + 3));
    assertFalse(Files.exists(cut));
    assertTrue(Files.isDirectory(temp.resolve(".cut.partial")));
    // once more, behind the first layer
    assertEquals(-LINEARS - 1, run(cut, true, options, 1, LINEARS + 1));
    assertEquals(LINEARS, run(cut, true, options, 1, -1));
    for (String file :
        List.of("model.safetensors", PtqState.FILE, "config.json", "quantize_config.json")) {
      assertEquals(
          -1, Files.mismatch(temp.resolve("whole").resolve(file), cut.resolve(file)), file);
    }
    assertEquals(errors(temp.resolve("whole")), errors(cut));
    assertEquals(names(temp.resolve("whole")), names(cut));
    assertFalse(Files.exists(temp.resolve(".cut.partial")));
  }

  private static List<String> errors(Path export) throws IOException {
    JsonNode report = new ObjectMapper().readTree(export.resolve(QuantizeReport.FILE).toFile());
    assertEquals("seeded noise", report.get("calibration").get("domain").asText());
    List<String> errors = new ArrayList<>();
    for (JsonNode linear : report.get("linears")) {
      assertTrue(linear.get("rtn_output_error").asDouble() > 0);
      errors.add(
          linear.get("layer") + linear.get("name").asText() + linear.get("output_error").asText());
    }
    assertEquals(LAYERS * LINEARS, errors.size());
    return errors;
  }

  private static List<String> names(Path export) throws IOException {
    try (Stream<Path> files = Files.walk(export)) {
      return files.map(file -> export.relativize(file).toString()).sorted().toList();
    }
  }

  @Test
  void unfinished_isNotOverwritten_norMixed() throws IOException {
    Path cut = temp.resolve("cut");
    run(cut, false, QuantizeOptions.gptq(), 1, LINEARS + 1);
    refused("--resume, or remove", () -> run(cut, false, QuantizeOptions.gptq(), 1, -1));
    refused(
        "has method \"gptq\", this one \"awq\"",
        () -> run(cut, true, QuantizeOptions.awq(), 1, -1));
    refused("has calibration", () -> run(cut, true, QuantizeOptions.gptq(), 2, -1));
    Path journal = temp.resolve(".cut.partial").resolve(QuantizeJournal.FILE);
    // the machine failed while the line of the second layer was written
    Files.writeString(journal, Files.readString(journal) + "{\"linears\":[{\"lay");
    assertEquals(2 * LINEARS, run(cut, true, QuantizeOptions.gptq(), 1, -1));
  }

  @Test
  void oneAtATime() throws IOException {
    try (ExportDirectory first = new ExportDirectory(temp.resolve("w3"))) {
      assertFalse(first.resumed());
      refused("another process", () -> new ExportDirectory(temp.resolve("w3"), true).close());
    }
    assertFalse(Files.exists(temp.resolve(".w3.partial")));
  }

  private static void refused(String words, org.junit.jupiter.api.function.Executable action) {
    UserException e = assertThrows(UserException.class, action);
    assertTrue(String.valueOf(e.getMessage()).contains(words), e.getMessage());
  }
}
