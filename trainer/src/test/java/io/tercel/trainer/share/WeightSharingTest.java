package io.tercel.trainer.share;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.model.RunningEngine;
import io.tercel.server.model.ServingOptions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is trained against what is served of it, bit for bit. */
@Timeout(120)
class WeightSharingTest {
  private static final String UP = "model.layers.1.mlp.up_proj.weight";
  private static final String NORM = "model.layers.0.post_attention_layernorm.weight";

  @TempDir private Path temp;

  /** Several groups and a tail of columns; of 4 bits tails of rows and of words as well. */
  private Path write(String format) {
    TinyCheckpoint tiny =
        switch (format) {
          case "w3" ->
              TinyCheckpoint.qwen2().hidden(160).ffn(288).heads(4, 2, 32).gptq(GptqVariant.ASYM_V2);
          default -> TinyCheckpoint.qwen3().hidden(136).ffn(164).heads(3, 1, 64).w4();
        };
    return tiny.write(temp.resolve(format));
  }

  private static RunningEngine run(Path directory) {
    ServingOptions options =
        new ServingOptions().backend("vector").threads(1).maxModelLen(512).maxNumSeqs(8);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return RunningEngine.open(checkpoint, options, Set.of(), LoadProgress.SILENT);
    }
  }

  private static WeightStore load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"w3", "w4"})
  void everyPublication_servesWhatIsTrained_inPlace(String format) {
    Path directory = write(format);
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run(directory)) {
      TinyStudent student = new TinyStudent(directory, arena, 7);
      WeightSharing sharing = new WeightSharing(running, student.trained());
      List<Long> addresses = addresses(running.weights());
      Publication first = sharing.publish();
      assertEquals(1, first.version());
      assertServed(student, running.weights());
      for (int step = 2; step <= 6; step++) {
        Map<String, byte[]> before = codes(student);
        student.step(step == 4 ? 1 : 0.02);
        Publication publication = sharing.publish();
        assertEquals(step, publication.version());
        assertEquals(step, running.weights().version());
        assertEquals(differing(before, codes(student)), publication.codesFlipped());
        assertTrue(publication.codesFlipped() > 0 && publication.pauseNanos() > 0);
        assertServed(student, running.weights());
        assertEquals(addresses, addresses(running.weights()));
        assertEquals(0, running.weights().keyVersion(), "keys' transforms are frozen");
      }
      Path export = student.export(directory, temp.resolve(format + "-exported"));
      try (WeightStore loaded = load(export)) {
        assertEquals(WeightChecksum.of(loaded).hex(), WeightChecksum.of(running.weights()).hex());
      }
      Publication same = sharing.publish();
      assertEquals(7, same.version());
      assertEquals(0, same.codesFlipped());
      assertEquals(0, same.bytesCopied());
    }
  }

  private static List<Long> addresses(WeightStore weights) {
    List<Long> addresses = new ArrayList<>();
    StoredTensors tensors = weights.tensors();
    for (String name : tensors.matrices()) {
      addresses.add(Objects.requireNonNull(tensors.matrix(name)).segment().address());
    }
    for (String name : tensors.vectors()) {
      addresses.add((long) System.identityHashCode(tensors.vector(name)));
    }
    return addresses;
  }

  private static Map<String, byte[]> codes(TinyStudent student) {
    Map<String, byte[]> codes = new LinkedHashMap<>();
    student.linears().forEach((name, linear) -> codes.put(name, linear.codes()));
    return codes;
  }

  private static long differing(Map<String, byte[]> before, Map<String, byte[]> after) {
    long count = 0;
    for (Map.Entry<String, byte[]> entry : before.entrySet()) {
      byte[] now = Objects.requireNonNull(after.get(entry.getKey()));
      for (int i = 0; i < now.length; i++) {
        count += now[i] == entry.getValue()[i] ? 0 : 1;
      }
    }
    return count;
  }

  private static void assertServed(TinyStudent student, WeightStore weights) {
    student
        .linears()
        .forEach(
            (name, linear) ->
                assertArrayEquals(
                    linear.rounded(),
                    StoredWeights.unpacked(Objects.requireNonNull(weights.tensors().matrix(name))),
                    name));
    assertArrayEquals(
        student.floats(NORM).toArray(ValueLayout.JAVA_FLOAT), weights.tensors().vector(NORM));
  }

  @Test
  void publications_writeNoFile() throws Exception {
    Path directory = write("w3");
    Path jfr = temp.resolve("writes.jfr");
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run(directory);
        Recording recording = new Recording()) {
      TinyStudent student = new TinyStudent(directory, arena, 7);
      WeightSharing sharing = new WeightSharing(running, student.trained());
      recording.enable("jdk.FileWrite").withoutThreshold();
      recording.enable("jdk.FileForce").withoutThreshold();
      recording.start();
      for (int i = 0; i < 5; i++) {
        student.step(0.1);
        sharing.publish();
      }
      student.export(directory, temp.resolve("seen")); // so that the recorder is known to see
      recording.stop();
      recording.dump(jfr);
    }
    List<String> written = new ArrayList<>();
    for (RecordedEvent event : RecordingFile.readAllEvents(jfr)) {
      String path = event.getString("path");
      if (path != null) {
        written.add(path);
      }
    }
    assertTrue(written.stream().anyMatch(path -> path.contains("seen")), written.toString());
    written.removeIf(path -> path.contains("seen"));
    assertEquals(List.of(), written);
  }

  @Test
  void whatIsNotFinite_isRefused_andTheWeightsStay() {
    Path directory = write("w3");
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run(directory)) {
      TinyStudent student = new TinyStudent(directory, arena, 7);
      WeightSharing sharing = new WeightSharing(running, student.trained());
      sharing.publish();
      String before = WeightChecksum.of(running.weights()).hex();
      student.step(0.5);
      TinyStudent.Latents up = student.linear(UP);
      float scale = up.scales[5];
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 1e9f}) {
        up.scales[5] = bad; // 1e9 is none that fp16 holds
        RuntimeException e = assertThrows(RuntimeException.class, sharing::publish);
        assertTrue(
            bad == 1e9f
                ? e instanceof IllegalArgumentException
                : e instanceof NonFiniteWeightsException,
            e.toString());
        assertTrue(String.valueOf(e.getMessage()).contains("up_proj"), e.getMessage());
        assertTrue(String.valueOf(e.getMessage()).contains("row 2"), e.getMessage());
      }
      up.scales[5] = scale;
      float latent = up.values.getAtIndex(ValueLayout.JAVA_FLOAT, 170);
      up.values.setAtIndex(ValueLayout.JAVA_FLOAT, 170, Float.NaN);
      var e = assertThrows(ArithmeticException.class, sharing::publish);
      assertTrue(
          String.valueOf(e.getMessage()).contains("the latent NaN in row 1, column 10"),
          e.getMessage());
      up.values.setAtIndex(ValueLayout.JAVA_FLOAT, 170, latent);
      float norm = student.floats(NORM).getAtIndex(ValueLayout.JAVA_FLOAT, 3);
      student.floats(NORM).setAtIndex(ValueLayout.JAVA_FLOAT, 3, Float.NaN);
      assertThrows(NonFiniteWeightsException.class, sharing::publish);
      student.floats(NORM).setAtIndex(ValueLayout.JAVA_FLOAT, 3, norm);
      assertEquals(before, WeightChecksum.of(running.weights()).hex());
      assertEquals(1, running.weights().version());
      running.weights().requireFinite();
      assertEquals(2, sharing.publish().version());
      assertServed(student, running.weights());
    }
  }

  /** A reload between comparing and copying: it is compared once more. */
  @Test
  void somebodyElsesUpdate_isSeen() throws Exception {
    Path directory = write("w3");
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run(directory);
        WeightStore original = load(directory)) {
      TinyStudent student = new TinyStudent(directory, arena, 7);
      AtomicBoolean reload = new AtomicBoolean();
      List<TrainedTensor> tensors = new ArrayList<>(student.trained());
      TinyStudent.Latents up = student.linear(UP);
      tensors.removeIf(t -> t.name().equals(UP));
      tensors.add(
          new TrainedTensor.Linear(
              UP,
              up.values,
              new Intruded(
                  up,
                  () -> {
                    if (reload.compareAndSet(true, false)) {
                      running
                          .engine()
                          .betweenSteps(
                              () -> {
                                running.weights().replaceWith(original);
                                return null;
                              })
                          .join();
                    }
                  })));
      WeightSharing sharing = new WeightSharing(running, tensors);
      assertEquals(1, sharing.publish().version());
      student.step(0.01); // few codes change, so few would be written over the reload's
      reload.set(true);
      assertEquals(3, sharing.publish().version(), "the reload's is 2");
      assertFalse(reload.get());
      assertServed(student, running.weights());
    }
  }

  /** Something else happens when a row is rounded. */
  private record Intruded(WeightRounding of, Runnable intruder) implements WeightRounding {
    @Override
    public int rows() {
      return of.rows();
    }

    @Override
    public int cols() {
      return of.cols();
    }

    @Override
    public int group() {
      return of.group();
    }

    @Override
    public float scale(int row, int group) {
      return of.scale(row, group);
    }

    @Override
    public int zero(int row, int group) {
      return of.zero(row, group);
    }

    @Override
    public void codes(MemorySegment latents, int row, byte[] to) {
      intruder.run();
      of.codes(latents, row, to);
    }
  }

  @Test
  void whatTheModelDoesNotHave_isNamed() {
    Path directory = write("w3");
    Path w4 = write("w4");
    try (Arena arena = Arena.ofShared();
        RunningEngine running = run(directory)) {
      TinyStudent student = new TinyStudent(directory, arena, 7);
      TinyStudent.Latents up = student.linear(UP);
      TinyStudent other = new TinyStudent(w4, arena, 7);
      assertRefused(running, new TrainedTensor.Linear("model.up", up.values, up), "model.up");
      assertRefused(
          running,
          new TrainedTensor.Linear("model.layers.0.mlp.down_proj.weight", up.values, up),
          "288 x 160");
      assertRefused(
          running,
          new TrainedTensor.Linear(UP, other.linear(UP).values, other.linear(UP)),
          "groups of 136");
      assertRefused(running, new TrainedTensor.Floats(UP, up.values), "served as w3g128");
      assertRefused(
          running, new TrainedTensor.Floats(NORM, arena.allocate(4)), "1 trained values, but 160");
      assertRefused(
          running,
          new TrainedTensor.Linear("model.embed_tokens.weight", up.values, up),
          "served as bf16");
    }
  }

  private static void assertRefused(RunningEngine running, TrainedTensor tensor, String why) {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> new WeightSharing(running, List.of(tensor)));
    assertTrue(String.valueOf(e.getMessage()).contains(why), e.getMessage());
  }
}
