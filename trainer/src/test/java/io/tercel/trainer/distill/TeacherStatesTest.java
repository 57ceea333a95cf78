package io.tercel.trainer.distill;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TeacherStatesTest {
  private static final int HIDDEN = 64;

  @TempDir Path directory;

  private static List<Example> examples(int seed, int count) {
    Random random = new Random(seed);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] tokens = random.ints(4 + random.nextInt(9), 3, 60).toArray();
      float[] weights = new float[tokens.length];
      for (int t = 2; t < tokens.length; t++) {
        weights[t] = 1;
      }
      examples.add(new Example(tokens, weights));
    }
    return examples;
  }

  private static int rows(List<Example> examples) {
    return examples.stream().mapToInt(e -> e.tokens().length - 2).sum();
  }

  private long size() throws IOException {
    return Files.size(directory.resolve(TeacherStates.FILE));
  }

  /** Each row is the teacher's state rounded to bf16, in whatever order examples are asked for. */
  @ParameterizedTest
  @CsvSource({"0,30", "0,1000", "1000000,30"})
  void rows_areTheTeachersStates(long limit, int tokensAtOnce) throws IOException {
    List<Example> window = examples(1, 7);
    window.add(window.getFirst()); // the same example twice in a window
    try (Teacher teacher = Teacher.open(TinyReasoner.teacher());
        TeacherStates states = new TeacherStates(teacher, directory, limit, tokensAtOnce);
        Arena arena = Arena.ofShared()) {
      states.prepare(window);
      List<Example> asked = List.of(window.get(4), window.get(0), window.get(6));
      TeacherStates.Rows rows = states.rows(asked);
      int at = 0;
      for (Example example : asked) {
        MemorySegment exact =
            teacher.states(List.of(TokenBatch.of(List.of(example))), arena).getFirst();
        float[] expected = exact.toArray(ValueLayout.JAVA_FLOAT);
        int count = expected.length / HIDDEN;
        float[] actual = rows.floats(at, count);
        for (int i = 0; i < expected.length; i++) {
          // a last bit before rounding may be another where others are computed beside it
          assertEquals(expected[i], actual[i], Math.abs(expected[i]) / 128 + 1e-6);
        }
        if (limit > 0) {
          for (int i = 0; i < expected.length; i++) {
            int bits = SafetensorsWriter.bfloat16(expected[i]) << 16;
            assertEquals(Float.intBitsToFloat(bits), actual[i]);
          }
        }
        at += count;
      }
      assertEquals(2L * HIDDEN * rows(window.subList(0, 7)), size());
    }
    assertFalse(Files.exists(directory.resolve(TeacherStates.FILE)));
  }

  /** What a window's states are doesn't depend on the windows before it. */
  @Test
  void prepare_withoutALimit_startsAnew() throws IOException {
    List<Example> first = examples(2, 5);
    List<Example> second = new ArrayList<>(examples(3, 5));
    second.add(first.getFirst());
    try (Teacher teacher = Teacher.open(TinyReasoner.teacher())) {
      float[] after;
      try (TeacherStates states = new TeacherStates(teacher, directory, 0, 40)) {
        states.prepare(first);
        states.prepare(second);
        assertEquals(2L * HIDDEN * rows(second), size());
        after = states.rows(second).floats(0, rows(second));
        assertThrows(IllegalStateException.class, () -> states.rows(List.of(first.get(1))));
      }
      try (TeacherStates states = new TeacherStates(teacher, directory, 0, 40)) {
        states.prepare(second);
        assertArrayEquals(states.rows(second).floats(0, rows(second)), after);
      }
    }
  }

  @Test
  void prepare_withALimit_keepsWhatFits() throws IOException {
    List<Example> first = examples(4, 5);
    List<Example> second = new ArrayList<>(examples(5, 5));
    second.add(first.getFirst());
    List<Example> third = examples(6, 30);
    long fits = 2L * HIDDEN * (rows(first) + rows(second));
    try (Teacher teacher = Teacher.open(TinyReasoner.teacher());
        TeacherStates states = new TeacherStates(teacher, directory, fits, 40)) {
      states.prepare(first);
      float[] before = states.rows(first).floats(0, rows(first));
      states.prepare(second);
      assertEquals(2L * HIDDEN * (rows(first) + rows(second.subList(0, 5))), size());
      assertArrayEquals(before, states.rows(first).floats(0, rows(first)));
      states.prepare(third); // more than the limit by itself: kept whole, alone
      assertEquals(2L * HIDDEN * rows(third), size());
    }
  }
}
