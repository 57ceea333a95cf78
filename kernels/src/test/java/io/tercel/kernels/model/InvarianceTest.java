package io.tercel.kernels.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.jit.JitOps;
import io.tercel.kernels.jit.Processor;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.model.Lab.Piece;
import io.tercel.kernels.model.Lab.Sequence;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.scalar.ScalarOps;
import io.tercel.kernels.testing.GptqVariant;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.kernels.vector.VectorOps;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A row's logits are a function of the weights, its tokens and its KV type, and of nothing else:
 * not of batch-mates, chunks, blocks, threads, vector width, or what the JIT has done so far. Every
 * comparison is of bits.
 */
class InvarianceTest {
  /** Long enough for two splits of attention, and no multiple of anything. */
  private static final int LENGTH = 301;

  @TempDir Path temp;

  /** Architecture by weights. */
  enum Model {
    QWEN2_BF16,
    QWEN2_FP16,
    QWEN2_FP32,
    QWEN2_W3_ACT_ORDER,
    QWEN2_W4,
    QWEN3_BF16,
    QWEN3_FP16,
    QWEN3_FP32,
    QWEN3_W3,
    QWEN3_W4;

    TinyCheckpoint checkpoint() {
      TinyCheckpoint tiny =
          name().startsWith("QWEN2") ? TinyCheckpoint.qwen2() : TinyCheckpoint.qwen3();
      tiny.layers(2).vocab(97);
      return switch (this) {
        case QWEN2_BF16, QWEN3_BF16 -> tiny.hidden(72).heads(6, 2, 24).ffn(100).dtype("BF16");
        case QWEN2_FP16, QWEN3_FP16 -> tiny.hidden(48).heads(3, 3, 32).ffn(76).dtype("F16");
        case QWEN2_FP32, QWEN3_FP32 -> tiny.hidden(40).heads(3, 1, 40).ffn(76).dtype("F32");
        case QWEN2_W3_ACT_ORDER ->
            tiny.hidden(160).heads(4, 2, 32).ffn(96).gptq(GptqVariant.ASYM_ACT_ORDER_V2);
        case QWEN2_W4 -> tiny.hidden(160).heads(4, 2, 32).ffn(96).w4();
        case QWEN3_W4 -> tiny.hidden(96).heads(3, 1, 64).ffn(160).w4();
        case QWEN3_W3 -> tiny.hidden(96).heads(3, 1, 64).ffn(160).gptq(GptqVariant.SYM);
      };
    }
  }

  @ParameterizedTest
  @EnumSource(Model.class)
  void logits_areTheSame_howeverTheyAreComputed(Model model) {
    try (WeightStore weights = Lab.load(model.checkpoint().write(temp))) {
      for (KvType type : KvType.values()) {
        check(weights, type, VectorOps::new);
      }
    }
  }

  /** All but the linears is the vector backend's: one cache type will do. */
  @ParameterizedTest
  @EnumSource(Model.class)
  void logits_areTheSame_inMachineCode(Model model) {
    Processor.assumeSupported();
    try (WeightStore weights = Lab.load(model.checkpoint().write(temp))) {
      check(weights, KvType.FP32, JitOps::open);
      try (Lab jit = new Lab(weights, JitOps.open(2), KvType.FP32);
          Lab vector = new Lab(weights, new VectorOps(2), KvType.FP32)) {
        Sequence sequence = jit.sequence(1, LENGTH, 7, 3);
        Lab.assertSame(vector.alone(sequence, 512), jit.alone(sequence, 512), "vector");
      }
    }
  }

  private static void check(WeightStore weights, KvType type, IntFunction<Ops> backend) {
    assertTrue(Attention.splits(LENGTH) > 1);
    try (Lab two = new Lab(weights, backend.apply(2), type);
        Lab one = new Lab(weights, backend.apply(1), type)) {
      Sequence sequence = two.sequence(1, LENGTH, 7, 3);
      float[][] expected = two.alone(sequence, 512);
      assertEquals(1, two.steps());
      Lab.assertSame(expected, one.alone(sequence, 512), "one thread");

      int[] chunks = type == KvType.FP32 ? new int[] {16, 1} : new int[] {16, 5};
      for (int chunk : chunks) {
        int before = two.steps();
        Lab.assertSame(expected, two.alone(sequence, chunk), "chunks of " + chunk);
        assertEquals(Math.ceilDiv(LENGTH, chunk), two.steps() - before);
      }
      Lab.assertSame(expected, one.alone(sequence, 64), "one thread, chunks of 64");

      Sequence moved = new Sequence(sequence.tokens, two.sequence(1, LENGTH, 211, 5).table);
      batchOf32(two, moved, expected);

      // others take its blocks; it is computed again elsewhere
      Sequence intruder = two.sequence(2, 320, 7, 3);
      float[][] other = two.alone(intruder, 64);
      assertNotEquals(expected[40][0], other[40][0]);
      Sequence again = new Sequence(sequence.tokens, two.sequence(1, LENGTH, 100, 7).table);
      Lab.assertSame(expected, two.alone(again, 50), "after a preemption");

      try (Lab scalar = new Lab(weights, new ScalarOps(), type)) {
        int few = type == KvType.FP16 ? 260 : 40;
        Sequence head = new Sequence(Arrays.copyOf(sequence.tokens, few), sequence.table);
        Lab.assertSame(
            Arrays.copyOf(expected, few), scalar.alone(head, 512), "the scalar definition");
      }
    }
  }

  /** The sequence among 31 others, which decode or bring chunks of their own. */
  private static void batchOf32(Lab lab, Sequence sequence, float[][] expected) {
    List<Sequence> others = new ArrayList<>();
    for (int i = 0; i < 31; i++) {
      others.add(lab.sequence(100 + i, 17 + i, 20 + 3 * i, 1));
      lab.alone(others.get(i), 512);
    }
    List<float[]> logits = new ArrayList<>();
    int[] ends = {100, 101, 102, 160, 163, LENGTH - 1, LENGTH};
    int from = 0;
    for (int to : ends) {
      List<Piece> pieces = new ArrayList<>();
      int first = 0;
      for (int i = 0; i < 31; i++) {
        int length = others.get(i).tokens.length;
        int rows = i % 3 == 0 ? 9 : 1;
        if (i < 8) {
          first += rows;
        } else if (i == 8) {
          pieces.add(new Piece(sequence, from, to));
        }
        pieces.add(new Piece(others.get(i), length - rows, length));
      }
      assertEquals(32, pieces.size());
      float[][] step = lab.step(pieces);
      logits.addAll(Arrays.asList(step).subList(first, first + to - from));
      from = to;
    }
    Lab.assertSame(expected, logits.toArray(float[][]::new), "a batch of 32");
  }

  /**
   * The same model in JVMs of other widths, in one that only interprets, and in one that stays cold
   * in its first call and has called 10,000 times at its end.
   */
  @Test
  void logits_areTheSame_inEveryJvm() throws Exception {
    Map<String, Process> runs = new LinkedHashMap<>();
    runs.put("vectors of 16 bytes", fork("vector", 0, "-XX:MaxVectorSize=16"));
    runs.put("vectors of 32 bytes", fork("vector", 0, "-XX:MaxVectorSize=32"));
    runs.put("interpreter", fork("vector", 0, "-Xint"));
    runs.put("first and 10,000th call", fork("vector", 10_000));
    if (Processor.isSupported()) {
      // its Java parts are interpreted in the first call; with -Xint the self-test alone takes 30 s
      runs.put("machine code, first and 10,000th call", fork("jit", 10_000));
    }
    String here = LogitsHash.run(0, VectorOps::new);
    Map<String, String> printed = new LinkedHashMap<>();
    for (Map.Entry<String, Process> run : runs.entrySet()) {
      Process process = run.getValue();
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(process.waitFor(120, TimeUnit.SECONDS));
      assertEquals(0, process.exitValue(), run.getKey() + ":\n" + out);
      printed.put(run.getKey(), out.strip());
    }
    List<String> lanes = new ArrayList<>();
    printed.forEach(
        (name, out) -> {
          String[] words = out.lines().toList().getLast().split(" ", -1);
          assertEquals(here, words[1], name);
          lanes.add(words[0]);
        });
    assertEquals("4", lanes.getFirst(), "the narrow JVM really was narrow");
    assertTrue(Integer.parseInt(lanes.get(1)) <= 8);
  }

  private static Process fork(String backend, int calls, String... flags) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--add-modules=jdk.incubator.vector", "-Xmx256m"));
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(List.of(flags));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(LogitsHash.class.getName());
    command.addAll(List.of(Integer.toString(calls), backend));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
  }
}
