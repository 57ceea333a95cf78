package io.tercel.trainer.share;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.call.Keys;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.ptq.QuantizeCommand;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** What a student computes with against what is served of it, whatever of it is trained. */
@Timeout(120)
class StudentTensorsTest {
  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource({
    "w3g128,rtn,true,LATENTS",
    "w3g128,rtn,true,LATENTS SCALES NORMS EMBEDDING",
    "w3g128,rtn,false,SCALES BIASES",
    "w4a4kv4,quarot,true,LATENTS",
    "w4a4kv4,quarot,true,LATENTS SCALES NORMS EMBEDDING TRANSFORMS CLIPS",
  })
  void served_isWhatTheStudentComputesWith(
      String format, String method, boolean qwen3, String partNames) throws IOException {
    Set<TrainedPart> parts = EnumSet.noneOf(TrainedPart.class);
    for (String name : partNames.split(" ")) {
      parts.add(TrainedPart.valueOf(name));
    }
    Path export = quantize(qwen3, format, method);
    Random random = new Random(4);
    try (QatModel student = QatModel.loadQuantized(export).train(parts);
        ServedStudent served =
            ServedStudent.open(
                export,
                new ServingOptions().backend("vector").threads(1).maxModelLen(256),
                null,
                Keys.of(null, null),
                List.of())) {
      StudentTensors tensors = new StudentTensors(student);
      served.share(tensors.all());
      tensors.refresh();
      Publication first = served.publish();
      assertEquals(0, first.codesFlipped(), "an export is what is trained from");
      if (!parts.contains(TrainedPart.CLIPS)) { // a share of 1 is trained as a little less
        assertEquals(0, first.bytesCopied());
      }
      for (int step = 2; step <= 4; step++) {
        student.trained().forEach(parameter -> move(parameter, random));
        tensors.refresh();
        Publication publication = served.publish();
        assertEquals(step, publication.version());
        assertTrue(publication.bytesCopied() > 0);
        assertEquals(parts.contains(TrainedPart.LATENTS), publication.codesFlipped() > 0);
        assertServed(student, served.running().running().weights().tensors());
      }
    }
  }

  private Path quantize(boolean qwen3, String format, String method) throws IOException {
    Path plain =
        (qwen3 ? TinyCheckpoint.qwen3() : TinyCheckpoint.qwen2()).write(directory.resolve("plain"));
    Path calibration = directory.resolve("calibration.jsonl");
    Files.writeString(calibration, "{\"token_ids\": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]}\n");
    Path export = directory.resolve("export");
    List<String> arguments = new ArrayList<>(List.of("--model", plain.toString()));
    Collections.addAll(arguments, "--out", export.toString(), "--threads", "1");
    Collections.addAll(arguments, "--format", format, "--method", method);
    if (format.startsWith("w4")) {
      Collections.addAll(arguments, "--calibration", calibration.toString());
    }
    assertEquals(
        0, new CommandLine(new QuantizeCommand()).execute(arguments.toArray(String[]::new)));
    return export;
  }

  private static void move(Parameter parameter, Random random) {
    for (int i = 0; i < parameter.size(); i++) {
      parameter.set(i, (float) (parameter.get(i) + 0.01 * random.nextGaussian()));
    }
  }

  private static void assertServed(QatModel student, StoredTensors stored) {
    for (Parameter parameter : student.parameters()) {
      String name = parameter.name();
      if (TrainedPart.of(parameter) == TrainedPart.CLIPS) {
        continue; // kept as logits
      }
      float[] computed = parameter.read().toArray(ValueLayout.JAVA_FLOAT);
      PackedMatrix matrix = stored.matrix(name);
      float[] served = matrix == null ? stored.vector(name) : StoredWeights.unpacked(matrix);
      assertArrayEquals(computed, Objects.requireNonNull(served, name), name);
    }
  }
}
