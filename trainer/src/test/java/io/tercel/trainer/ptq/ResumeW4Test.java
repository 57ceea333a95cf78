package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.UserException;
import io.tercel.trainer.ptq.W4Options.Method;
import io.tercel.trainer.ptq.flatquant.FlatOptions;
import io.tercel.trainer.quant.W4State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A run to four bits that is cut short leaves its finished layers; the next goes on behind them.
 */
class ResumeW4Test {
  private static final int LAYERS = 3;
  private static final FlatOptions FLAT = new FlatOptions(3, 4, 5e-3, 1);

  @TempDir private Path temp;

  /** As a power cut in the middle of a layer. */
  private static final class Cut extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static Calibration calibration(long seed) {
    Random random = new Random(seed);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      sequences.add(random.ints(20 + random.nextInt(20), 0, 250).toArray());
    }
    return new Calibration(sequences).of("seeded noise");
  }

  private Path model(boolean qwen3) {
    Path model = temp.resolve("plain");
    TinyCheckpoint tiny = qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2();
    return Files.exists(model) ? model : tiny.layers(LAYERS).write(model);
  }

  /**
   * One run.
   *
   * @param cut how far it gets, in layers; beyond the last layer it ends
   * @return the first layer that it worked on, or -1 if it was cut
   */
  private int run(Path to, boolean resume, Checkpoint source, W4Options options, double cut)
      throws IOException {
    return run(to, resume, source, calibration(1), options, cut);
  }

  private static int run(
      Path to,
      boolean resume,
      Checkpoint source,
      @Nullable Calibration calibration,
      W4Options options,
      double cut)
      throws IOException {
    List<Double> worked = new ArrayList<>();
    W4Quantizer.Progress progress =
        (layers, what) -> {
          if (layers > cut) {
            throw new Cut();
          }
          if (!what.equals("resumed")) {
            worked.add(layers);
          }
        };
    try (Ops ops = new VectorOps(2);
        ExportDirectory directory = new ExportDirectory(to, resume)) {
      W4Quantizer.quantize(source, directory, calibration, options, ops, progress);
    } catch (Cut e) {
      return -1;
    }
    return worked.getFirst().intValue();
  }

  @ParameterizedTest
  @CsvSource({"true,RTN", "true,QUAROT", "false,QUAROT", "true,FLATQUANT", "false,FLATQUANT"})
  void resumed_givesTheBytesOfTheUninterruptedRun(boolean qwen3, Method method) throws IOException {
    W4Options options = W4Options.of(method, FLAT);
    Path whole = temp.resolve("whole");
    Path cut = temp.resolve("cut");
    try (Checkpoint source = Checkpoint.open(model(qwen3))) {
      assertEquals(0, run(whole, false, source, options, LAYERS));
      assertEquals(-1, run(cut, false, source, options, 1.9));
      assertFalse(Files.exists(cut));
      assertTrue(Files.isDirectory(temp.resolve(".cut.partial")));
      // once more, behind the first layer
      assertEquals(-1, run(cut, true, source, options, 2.9));
      assertEquals(2, run(cut, true, source, options, LAYERS));
    }
    for (String file : List.of("model.safetensors", W4State.FILE, "config.json")) {
      assertEquals(-1, Files.mismatch(whole.resolve(file), cut.resolve(file)), file);
    }
    assertEquals(errors(whole), errors(cut));
    assertEquals(names(whole), names(cut));
    assertFalse(Files.exists(temp.resolve(".cut.partial")));
  }

  private static List<String> errors(Path export) throws IOException {
    JsonNode report = new ObjectMapper().readTree(export.resolve(QuantizeReport.FILE).toFile());
    assertEquals("seeded noise", report.at("/calibration/domain").asText());
    assertEquals(10, report.at("/calibration/sequences").asInt());
    List<String> errors = new ArrayList<>();
    for (JsonNode layer : report.get("layers")) {
      assertTrue(layer.get("rtn_error").asDouble() > 0);
      errors.add(layer.get("layer") + " " + layer.get("error") + " " + layer.get("rtn_error"));
    }
    assertEquals(LAYERS, errors.size());
    return errors;
  }

  private static List<String> names(Path export) throws IOException {
    try (Stream<Path> files = Files.walk(export)) {
      return files.map(file -> export.relativize(file).toString()).sorted().toList();
    }
  }

  @Test
  void cutBeforeItsPlace_isFinished() throws IOException {
    W4Options options = W4Options.of(Method.RTN, FLAT);
    Path cut = temp.resolve("cut");
    Path partial = temp.resolve(".cut.partial");
    try (Checkpoint source = Checkpoint.open(model(true))) {
      run(temp.resolve("whole"), false, source, options, LAYERS);
      run(cut, false, source, options, 2.9);
      // killed between the names of its two files
      Files.move(
          partial.resolve("model.safetensors.partial"), partial.resolve("model.safetensors"));
      assertEquals(2, run(cut, true, source, options, LAYERS));
    }
    for (String file : List.of("model.safetensors", W4State.FILE)) {
      assertEquals(-1, Files.mismatch(temp.resolve("whole/" + file), cut.resolve(file)), file);
    }
  }

  @Test
  void unfinished_isNotOverwritten_norMixed() throws IOException {
    W4Options quarot = W4Options.of(Method.QUAROT, FLAT);
    W4Options flat = W4Options.of(Method.FLATQUANT, FLAT);
    Path cut = temp.resolve("cut");
    try (Checkpoint source = Checkpoint.open(model(true))) {
      run(cut, false, source, quarot, 1.9);
      refused("--resume, or remove", () -> run(cut, false, source, quarot, LAYERS));
      refused(
          "has method \"quarot\", this one \"flatquant\"",
          () -> run(cut, true, source, flat, LAYERS));
      W4Options seeded = new W4Options(Method.QUAROT, true, 0.01, 7, FLAT, true);
      refused("has seed 0, this one 7", () -> run(cut, true, source, seeded, LAYERS));
      refused("has calibration", () -> run(cut, true, source, calibration(2), quarot, LAYERS));
      try (Ops ops = new VectorOps(1);
          ExportDirectory directory = new ExportDirectory(cut, true)) {
        refused(
            "has format \"w4a4kv4\", this one \"w3g128\"",
            () ->
                Quantizer.quantize(
                    source, directory, null, QuantizeOptions.rtn(true), ops, (_, _) -> {}));
      }
      Path journal = temp.resolve(".cut.partial").resolve(QuantizeJournal.FILE);
      // the machine failed while the line of the second layer was written
      Files.writeString(journal, Files.readString(journal) + "{\"layer\":1,\"err");
      assertEquals(1, run(cut, true, source, quarot, LAYERS));
    }
  }

  @Test
  void report_hasSizes_andIsDrawn() throws IOException {
    Path out = temp.resolve("w4");
    try (Checkpoint source = Checkpoint.open(model(true))) {
      run(out, false, source, W4Options.of(Method.QUAROT, FLAT), LAYERS);
      JsonNode report = new ObjectMapper().readTree(out.resolve(QuantizeReport.FILE).toFile());
      long linears = 0;
      long transforms = 0;
      try (Checkpoint made = Checkpoint.open(out)) {
        assertEquals(LAYERS, made.layers().size());
      }
      for (var tensor : RawSafetensors.readDirectory(out).entrySet()) {
        long bytes = tensor.getValue().data().length;
        linears += tensor.getKey().contains(".weight_") ? bytes : 0;
        transforms += tensor.getKey().matches(".*(transform|clip).*") ? bytes : 0;
      }
      assertEquals(linears, report.get("linear_bytes").asLong());
      assertEquals(transforms, report.get("transform_bytes").asLong());
      assertEquals(linears, LAYERS * report.at("/layers/1/linear_bytes").asLong());
    }
    assertEquals(800, ImageIO.read(out.resolve(QuantizeChart.FILE).toFile()).getHeight());
    // nothing observed: the time alone
    Path plain = temp.resolve("plain4");
    try (Checkpoint source = Checkpoint.open(model(true))) {
      run(plain, false, source, null, W4Options.of(Method.RTN, FLAT), LAYERS);
    }
    assertEquals(400, ImageIO.read(plain.resolve(QuantizeChart.FILE).toFile()).getHeight());
  }

  private static void refused(String words, org.junit.jupiter.api.function.Executable action) {
    UserException e = assertThrows(UserException.class, action);
    assertTrue(String.valueOf(e.getMessage()).contains(words), e.getMessage());
  }
}
