package io.tercel.kernels.tornado;

import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** How fast a device reads its memory: what a decode step can at best come near to. */
final class DeviceBandwidth {
  private static final int ITEMS = 1 << 18;
  private static final int LOCAL = 256;
  private static final int INTS = 1 << 28;
  private static final int RUNS = 10;

  private DeviceBandwidth() {}

  /** Bytes a second, the best of some passes over up to a GiB, launching included. */
  static double measure(TornadoDevice device) {
    long room = device.getPhysicalDevice().getDeviceMaxAllocationSize() / 2 / Integer.BYTES;
    int each = (int) Math.min(INTS, room) / ITEMS;
    IntArray x = new IntArray(each * ITEMS);
    x.init(1);
    IntArray sums = new IntArray(ITEMS);
    TaskGraph graph =
        new TaskGraph("bandwidth")
            .transferToDevice(DataTransferMode.FIRST_EXECUTION, x)
            .task("read", RowKernels::readAll, new KernelContext(), x, sums, ITEMS, each)
            .transferToHost(DataTransferMode.EVERY_EXECUTION, sums);
    WorkerGrid1D grid = new WorkerGrid1D(ITEMS);
    grid.setLocalWork(LOCAL, 1, 1);
    double best = 0;
    try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
      plan.withDevice(device);
      plan.withGridScheduler(new GridScheduler("bandwidth.read", grid));
      for (int run = 0; run < RUNS; run++) {
        long start = System.nanoTime();
        plan.execute();
        best = Math.max(best, x.getNumBytesOfSegment() * 1e9 / (System.nanoTime() - start));
      }
    } catch (TornadoExecutionPlanException e) {
      throw new IllegalStateException("the device's buffers were not freed", e);
    }
    if (sums.get(ITEMS - 1) != each) {
      throw new IllegalStateException("the device has read something else");
    }
    return best;
  }
}
