package io.tercel.kernels.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Changing weights in place, and telling them apart. */
class WeightStoreTest {
  @TempDir Path temp;
  private int directories;

  private WeightStore load(TinyCheckpoint tiny) {
    Path directory = tiny.write(temp.resolve("m" + directories++));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return WeightLoader.load(checkpoint, Long.MAX_VALUE, LoadProgress.SILENT);
    }
  }

  private static TinyCheckpoint quantized(TinyCheckpoint tiny, GptqVariant variant) {
    return tiny.hidden(128).ffn(256).heads(4, 2, 32).gptq(variant);
  }

  static Stream<Arguments> kinds() {
    return Stream.of(
        Arguments.of("qwen3", make(seed -> TinyCheckpoint.qwen3().seed(seed))),
        Arguments.of("qwen2 with biases", make(seed -> TinyCheckpoint.qwen2().seed(seed))),
        Arguments.of(
            "gptq with act-order",
            make(seed -> quantized(TinyCheckpoint.qwen2().seed(seed), GptqVariant.SYM_ACT_ORDER))));
  }

  private static Function<Long, TinyCheckpoint> make(Function<Long, TinyCheckpoint> kind) {
    return kind;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kinds")
  void replaceWith_takesOverEverything(String name, Function<Long, TinyCheckpoint> kind) {
    try (WeightStore store = load(kind.apply(1L));
        WeightStore other = load(kind.apply(2L))) {
      List<MemorySegment> segments = new ArrayList<>();
      store.matrices().forEach(m -> segments.add(m.segment()));
      WeightChecksum before = WeightChecksum.of(store);
      WeightChecksum wanted = WeightChecksum.of(other);
      assertNotEquals(before.hex(), wanted.hex());

      store.replaceWith(other);
      assertEquals(1, store.version());
      assertEquals(wanted.hex(), WeightChecksum.of(store).hex());
      assertEquals(1, WeightChecksum.of(store).version());
      for (int i = 0; i < segments.size(); i++) {
        assertEquals(segments.get(i), store.matrices().get(i).segment(), "written in place");
        assertEquals(-1, segments.get(i).mismatch(other.matrices().get(i).segment()));
        assertArrayEquals(
            other.matrices().get(i).inputOrder(), store.matrices().get(i).inputOrder());
      }
      for (int i = 0; i < store.vectors().size(); i++) {
        assertArrayEquals(other.vectors().get(i), store.vectors().get(i));
      }
    }
  }

  static Stream<Arguments> others() {
    return Stream.of(
        Arguments.of("configuration", TinyCheckpoint.qwen3().layers(3)),
        Arguments.of("configuration", TinyCheckpoint.qwen3().hidden(128)),
        Arguments.of("configuration", TinyCheckpoint.qwen2()),
        Arguments.of("embed_tokens: fp32", TinyCheckpoint.qwen3().dtype("F32")));
  }

  @ParameterizedTest
  @MethodSource("others")
  void replaceWith_otherShapes_changesNothing(String named, TinyCheckpoint tiny) {
    try (WeightStore store = load(TinyCheckpoint.qwen3());
        WeightStore other = load(tiny)) {
      String before = WeightChecksum.of(store).hex();
      var e = assertThrows(IllegalArgumentException.class, () -> store.replaceWith(other));
      assertTrue(String.valueOf(e.getMessage()).contains(named), e.getMessage());
      assertEquals(0, store.version());
      assertEquals(before, WeightChecksum.of(store).hex());
    }
  }

  @Test
  void replaceWith_otherColumnOrder_isRefused() {
    try (WeightStore store = load(quantized(TinyCheckpoint.qwen2(), GptqVariant.SYM));
        WeightStore other = load(quantized(TinyCheckpoint.qwen2(), GptqVariant.SYM_ACT_ORDER))) {
      var e = assertThrows(IllegalArgumentException.class, () -> store.replaceWith(other));
      assertTrue(String.valueOf(e.getMessage()).contains("reordered"), e.getMessage());
    }
  }

  /** A single bit, wherever it is. */
  @Test
  void checksum_seesEveryMatrixAndVector() {
    try (WeightStore store = load(TinyCheckpoint.qwen2())) {
      List<String> all = new ArrayList<>();
      all.add(WeightChecksum.of(store).hex());
      for (var matrix : store.matrices()) {
        long last = matrix.segment().byteSize() - 1;
        byte value = matrix.segment().get(ValueLayout.JAVA_BYTE, last);
        matrix.segment().set(ValueLayout.JAVA_BYTE, last, (byte) (value ^ 1));
        all.add(WeightChecksum.of(store).hex());
      }
      for (float[] vector : store.vectors()) {
        if (vector.length > 0) {
          vector[vector.length - 1] = Math.nextUp(vector[vector.length - 1]);
          all.add(WeightChecksum.of(store).hex());
        }
      }
      assertEquals(all.size(), all.stream().distinct().count());
      int vectors = 2 * (2 + 3) + 1; // norms and biases of two layers, and the last norm
      assertEquals(1 + 2 + 2 * 7 + vectors, all.size());
    }
  }

  @Test
  void update_thatFails_stillRaisesTheVersion() {
    try (WeightStore store = load(TinyCheckpoint.qwen3())) {
      assertThrows(
          IllegalStateException.class,
          () ->
              store.update(
                  () -> {
                    throw new IllegalStateException("halfway");
                  }));
      assertEquals(1, store.version());
    }
  }

  /** Two stores' weights alternate; whatever is hashed meanwhile is the one or the other. */
  @Test
  void checksum_underWrites_isNeverAMixture() throws Exception {
    try (WeightStore store = load(TinyCheckpoint.qwen3().seed(1));
        WeightStore one = load(TinyCheckpoint.qwen3().seed(1));
        WeightStore two = load(TinyCheckpoint.qwen3().seed(2))) {
      List<String> whole = List.of(WeightChecksum.of(one).hex(), WeightChecksum.of(two).hex());
      AtomicBoolean stop = new AtomicBoolean();
      Thread writer =
          Thread.ofPlatform()
              .start(
                  () -> {
                    for (int i = 0; !stop.get(); i++) {
                      store.replaceWith(i % 2 == 0 ? two : one);
                      try {
                        Thread.sleep(Duration.ofNanos(300_000L * (i % 10)));
                      } catch (InterruptedException e) {
                        return;
                      }
                    }
                  });
      int hashed = 0;
      for (int i = 0; i < 300; i++) {
        try {
          WeightChecksum sum = WeightChecksum.of(store);
          assertEquals(whole.get((int) (sum.version() % 2)), sum.hex());
          hashed++;
        } catch (ConcurrentModificationException e) {
          // changed each time: it says so rather than mix
        }
      }
      stop.set(true);
      writer.join();
      assertTrue(hashed > 0 && store.version() > 10, hashed + " of " + store.version());
    }
  }
}
