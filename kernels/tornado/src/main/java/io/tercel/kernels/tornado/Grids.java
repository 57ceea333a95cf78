package io.tercel.kernels.tornado;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid2D;

/**
 * The grids of all tasks, which follow the number of rows, slots and wanted rows of a pass. What
 * kernels call a token or a slot beyond those of the pass does nothing.
 */
final class Grids {
  /** What a grid grows with. */
  enum Axis {
    /** y is the number of rows. */
    ROWS,
    /** x is the number of slots. */
    SLOTS,
    /** y is the number of rows whose logits are wanted. */
    WANTED,
    /** Nothing: y is 1. */
    FIXED
  }

  private record Entry(WorkerGrid2D grid, Axis axis, long x, long y, int local, int tokens) {}

  /** What a pass has. */
  record Size(int rows, int slots, int wanted) {
    /** Nothing to compute. */
    static final Size NONE = new Size(0, 0, 0);
  }

  private final Map<String, GraphGrids> graphs = new HashMap<>();

  /** The grids of a graph, as TornadoVM asks for them. */
  GridScheduler scheduler(String graph) {
    return of(graph);
  }

  private GraphGrids of(String graph) {
    return graphs.computeIfAbsent(graph, GraphGrids::new);
  }

  /**
   * Adds a task's grid.
   *
   * @param task graph and task, joined by a dot
   * @param groups work groups along x, where that is fixed; of {@link Axis#SLOTS}, along y
   * @param local work items of a group
   * @param tokens rows of a work group
   */
  void add(String task, Axis axis, int groups, int local, int tokens) {
    WorkerGrid2D grid = new WorkerGrid2D(local, 1);
    grid.setLocalWork(local, 1, 1);
    Entry entry =
        axis == Axis.SLOTS
            ? new Entry(grid, axis, 0, groups, local, tokens)
            : new Entry(grid, axis, (long) groups * local, 0, local, tokens);
    of(task.substring(0, task.indexOf('.'))).add(task, entry);
  }

  /** Tasks of a graph that have a grid. */
  int tasks(String graph) {
    return of(graph).entries.size();
  }

  /** Fits a graph's grids to a pass; none gets smaller than one work group. */
  void fit(String graph, Size size) {
    of(graph).fit(size);
  }

  /**
   * The grids of one graph. TornadoVM goes through all names at each run of a graph, to see whether
   * one is the graph's, and prints all grids into a description of the run that nobody reads: with
   * the grids of all graphs in one scheduler that took milliseconds a step.
   */
  private static final class GraphGrids extends GridScheduler {
    private final String graph;
    private final Map<String, WorkerGrid> grids = new HashMap<>();
    private final List<Entry> entries = new ArrayList<>();
    private Set<String> one = Set.of();
    private Size fitted = new Size(-1, -1, -1);

    GraphGrids(String graph) {
      this.graph = graph;
    }

    void add(String task, Entry entry) {
      if (grids.put(task, entry.grid) != null) {
        throw new IllegalArgumentException(task + " has a grid already");
      }
      one = one.isEmpty() ? Set.of(task) : one;
      entries.add(entry);
      fitted = new Size(-1, -1, -1);
    }

    void fit(Size size) {
      if (size.equals(fitted)) {
        return;
      }
      fitted = size;
      for (Entry e : entries) {
        switch (e.axis) {
          case ROWS -> e.grid.setGlobalWork(e.x, groups(size.rows, e.tokens), 1);
          case WANTED -> e.grid.setGlobalWork(e.x, groups(size.wanted, e.tokens), 1);
          case FIXED -> e.grid.setGlobalWork(e.x, 1, 1);
          case SLOTS -> e.grid.setGlobalWork(groups(size.slots, 1) * e.local, e.y, 1);
        }
      }
    }

    private static long groups(int rows, int tokens) {
      return Math.max(1, Math.ceilDiv(rows, tokens));
    }

    @Override
    public @Nullable WorkerGrid get(String task) {
      return grids.get(task);
    }

    @Override
    public boolean contains(String graphName, String task) {
      return grids.containsKey(graphName + "." + task);
    }

    /** One name, which is enough to say that the graph has grids. */
    @Override
    public Set<String> keySet() {
      return one;
    }

    @Override
    public String toString() {
      return graph;
    }
  }
}
