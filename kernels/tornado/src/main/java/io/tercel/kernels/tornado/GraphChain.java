package io.tercel.kernels.tornado;

import io.tercel.kernels.tornado.Grids.Size;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * The graphs of one execution plan, which share buffers on the device.
 *
 * <p>TornadoVM hands a buffer from a graph to the one that runs next, if that one says by name that
 * it consumes it; a buffer, once handed over, stays known. So all graphs run once in the order in
 * which they were made, each taking from the one before it whatever is shared by then. After that
 * any may follow any: each also names every other graph as a source of one buffer that all have,
 * since a graph that runs behind one that it does not name would forget its own.
 */
final class GraphChain implements AutoCloseable {
  private final Grids grids;
  private final List<String> names = new ArrayList<>();
  private final List<TaskGraph> graphs = new ArrayList<>();
  private final Map<Integer, Size> fixed = new HashMap<>();
  private final List<Object> carried = new ArrayList<>();
  private List<Object> lent = new ArrayList<>();
  private @Nullable TornadoExecutionPlan plan;

  GraphChain(Grids grids) {
    this.grids = grids;
  }

  /**
   * Begins a graph, which takes all that is carried from the one before, and what that one lent.
   *
   * @param taken of what was lent
   */
  TaskGraph graph(String name, List<?> taken) {
    TaskGraph graph = new TaskGraph(name);
    if (!names.isEmpty()) {
      List<Object> all = new ArrayList<>(carried);
      for (Object object : taken) {
        if (lent.stream().noneMatch(o -> o == object)) {
          throw new IllegalStateException(name + " takes what " + names.getLast() + " has not");
        }
        all.add(object);
      }
      graph.consumeFromDevice(names.getLast(), all.toArray());
    }
    names.add(name);
    return graph;
  }

  /** What every later graph takes. */
  void carry(List<?> objects) {
    carried.addAll(objects);
  }

  /** What the next graph may take. */
  void lend(List<?> objects) {
    lent = new ArrayList<>(objects);
  }

  /** Ends a graph; its number. */
  int end(TaskGraph graph) {
    List<Object> kept = new ArrayList<>(carried);
    kept.addAll(lent);
    graph.persistOnDevice(kept.toArray());
    graphs.add(graph);
    return graphs.size() - 1;
  }

  /**
   * Ends a graph whose grids have one size for good, whatever a pass has, so that the device can
   * capture it at its first run and replay it from then on.
   */
  int end(TaskGraph graph, Size size) {
    int number = end(graph);
    fixed.put(number, size);
    return number;
  }

  /** A graph. */
  TaskGraph graph(int number) {
    return graphs.get(number);
  }

  /** Tasks of a graph. */
  int tasks(int graph) {
    return grids.tasks(names.get(graph));
  }

  /** Makes the plan and runs every graph once, with nothing to compute. */
  void start(TornadoDevice device) {
    Object common = carried.getFirst();
    for (int i = 1; i < graphs.size(); i++) {
      for (int j = 0; j < graphs.size(); j++) {
        if (j != i - 1) {
          graphs.get(i).consumeFromDevice(names.get(j), common);
        }
      }
    }
    ImmutableTaskGraph[] snapshots =
        graphs.stream().map(TaskGraph::snapshot).toArray(ImmutableTaskGraph[]::new);
    plan = new TornadoExecutionPlan(snapshots);
    plan.withDevice(device);
    boolean capturing = device.getTornadoVMBackend() == TornadoVMBackendType.CUDA;
    for (int i = 0; i < graphs.size(); i++) {
      if (capturing && fixed.containsKey(i)) {
        plan.withGraph(i).withCUDAGraph(); // minded when a graph is compiled, before its first run
      }
      run(i, Size.NONE);
    }
  }

  /** Runs a graph on a pass of that size. */
  void run(int graph, Size size) {
    if (plan == null) {
      throw new IllegalStateException("the plan has not started");
    }
    String name = names.get(graph);
    grids.fit(name, fixed.getOrDefault(graph, size));
    plan.withGraph(graph).withGridScheduler(grids.scheduler(name)).execute();
  }

  @Override
  public void close() {
    if (plan != null) {
      try {
        plan.close();
      } catch (TornadoExecutionPlanException e) {
        throw new IllegalStateException("the device's buffers were not freed", e);
      }
    }
  }
}
