package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** What can't be compiled fails: it is not run as sequential Java instead, with wrong results. */
@Tag("device")
class UncompilableKernelTest {

  /** Has what TornadoVM can't compile: a bit cast. */
  public static void bitCast(KernelContext c, FloatArray x) {
    x.set(c.globalIdx, Float.intBitsToFloat(Float.floatToRawIntBits(x.get(c.globalIdx)) + 1));
  }

  @Test
  void aKernelThatCantBeCompiled_failsLoudly() throws Exception {
    FloatArray x = new FloatArray(64);
    x.init(1f);
    assertThrows(
        Throwable.class,
        () -> {
          TaskGraph graph =
              new TaskGraph("bad")
                  .transferToDevice(DataTransferMode.EVERY_EXECUTION, x)
                  .task("cast", UncompilableKernelTest::bitCast, new KernelContext(), x)
                  .transferToHost(DataTransferMode.EVERY_EXECUTION, x);
          WorkerGrid1D grid = new WorkerGrid1D(64);
          grid.setLocalWork(64, 1, 1);
          try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withGridScheduler(new GridScheduler("bad.cast", grid)).execute();
          }
        });
  }
}
