package io.tercel.kernels.tornado;

import java.util.ArrayList;
import java.util.List;
import uk.ac.manchester.tornado.api.GridScheduler;
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

  private final GridScheduler scheduler = new GridScheduler();
  private final List<Entry> entries = new ArrayList<>();
  private int fixedSlots;
  private int tasks;

  GridScheduler scheduler() {
    return scheduler;
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
    scheduler.addWorkerGrid(task, grid);
    tasks++;
    if (axis == Axis.SLOTS && fixedSlots > 0) {
      grid.setGlobalWork((long) fixedSlots * local, groups, 1);
      return;
    }
    entries.add(
        axis == Axis.SLOTS
            ? new Entry(grid, axis, 0, groups, local, tokens)
            : new Entry(grid, axis, (long) groups * local, 0, local, tokens));
  }

  /**
   * Gives grids that are added from now on so many slots, whatever a pass has: what a graph that is
   * captured and replayed needs. 0 lets them follow the pass again.
   */
  void fixSlots(int slots) {
    fixedSlots = slots;
  }

  /** Tasks that have a grid. */
  int tasks() {
    return tasks;
  }

  /** Fits all grids to a pass; none gets smaller than one work group. */
  void fit(int rows, int slots, int wanted) {
    for (Entry e : entries) {
      switch (e.axis) {
        case ROWS -> e.grid.setGlobalWork(e.x, Math.max(1, Math.ceilDiv(rows, e.tokens)), 1);
        case WANTED -> e.grid.setGlobalWork(e.x, Math.max(1, Math.ceilDiv(wanted, e.tokens)), 1);
        case FIXED -> e.grid.setGlobalWork(e.x, 1, 1);
        case SLOTS -> e.grid.setGlobalWork((long) Math.max(1, slots) * e.local, e.y, 1);
      }
    }
  }
}
