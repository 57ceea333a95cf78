package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.WeightStore;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Graphs are as long as they can be. */
class GraphBytesTest {
  /**
   * What is counted of the graphs of layers is what TornadoVM has filled; {@link
   * TornadoBackendTest} has plans of every kind.
   */
  static void assertCounted(LayerPlan plan) {
    Map<Integer, Integer> counted = plan.taskBytes();
    assertTrue(counted.size() >= 2, "of one row, and of several");
    counted.forEach(
        (number, bytes) -> {
          TaskGraph graph = plan.chain().graph(number);
          assertEquals(filled(graph), bytes, graph.getTaskGraphName());
        });
  }

  private static int filled(TaskGraph graph) {
    try {
      Object made = field(TaskGraph.class, "taskGraphImpl").get(graph);
      return ((ByteBuffer) field(made.getClass(), "hlBuffer").get(made)).position();
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  private static Field field(Class<?> type, String name) throws ReflectiveOperationException {
    Field field = type.getDeclaredField(name);
    field.setAccessible(true);
    return field;
  }

  /** A layer of Qwen3-0.6B's kind makes all inputs itself where there are few splits to join. */
  @Test
  void layer_ofANarrowModel_isSixTasks() {
    ModelConfig config = HostOverhead.CONFIG;
    try (WeightStore weights = RandomWeights.create(config, Grouped.W3G128, Dense.BF16, 1)) {
      LayerImage w = LayerImage.of(0, weights.layers().getFirst());
      Activations act = Activations.of(config, new StepLayout(1, 4, 64), 48, 128, false, 0);
      DeviceKv cache = DeviceKv.of(KvLayout.of(config, KvType.INT4), 4);
      LayerTasks.Sources few = LayerTasks.sources(config, act, w, 1, W3RowKernels.MOST_SPLITS);
      LayerTasks.Sources many = LayerTasks.sources(config, act, w, 1, few(few) + 1);
      int six = 4 * (15 + 5 * 20) + (15 + 5 * 20) + (15 + 5 * 16);
      assertEquals(six, new GraphBytes(false, false).layer(w, few, cache, true));
      assertEquals(six + 15 + 5 * 17, new GraphBytes(false, false).layer(w, many, cache, true));
      int ten = 4 * (15 + 5 * 15 + 15 + 5 * 17) + (15 + 5 * 20) + (15 + 5 * 16);
      assertEquals(ten, new GraphBytes(true, false).layer(w, few, cache, true));
    }
  }

  private static int few(LayerTasks.Sources sources) {
    return ((Source.Joined) sources.attended()).splits();
  }

  @Test
  void parts_areFewAndEqual() {
    assertEquals(List.of(0, 9, 18, 28), GraphBytes.parts(0, 28, (a, b) -> 670 * (b - a) + 400));
    assertEquals(List.of(0, 28), GraphBytes.parts(0, 28, (a, b) -> 8192));
    assertEquals(List.of(5, 6, 7), GraphBytes.parts(5, 7, (a, b) -> 4097 * (b - a)));
    assertThrows(
        IllegalStateException.class, () -> GraphBytes.parts(0, 3, (a, b) -> GraphBytes.MOST + 1));
  }

  @Test
  void task_countsArguments() {
    assertEquals(15 + 5 * 20, GraphBytes.task(W3RowKernels.class, "one"));
    assertThrows(IllegalArgumentException.class, () -> GraphBytes.task(W3RowKernels.class, "none"));
  }
}
