package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.function.Consumer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoInternalError;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** What can't be compiled fails: it is not run as sequential Java instead, with wrong results. */
@Tag("device")
class UncompilableKernelTest {

  /** Has what TornadoVM can't compile: a bit cast. */
  public static void bitCast(KernelContext c, FloatArray x) {
    x.set(c.globalIdx, Float.intBitsToFloat(Float.floatToRawIntBits(x.get(c.globalIdx)) + 1));
  }

  /** Has a name that OpenCL C has taken: TornadoVM compiles it, the driver does not. */
  public static void int4(KernelContext c, FloatArray x) {
    x.set(c.globalIdx, 2f);
  }

  @Test
  void whatTornadoCantCompile_failsLoudly() {
    FloatArray x = ones();
    assertThrows(
        TornadoInternalError.class,
        () ->
            run(
                "cast",
                graph -> graph.task("t", UncompilableKernelTest::bitCast, new KernelContext(), x),
                x));
    assertEquals(1f, x.get(0), "nothing ran in its place");
  }

  @Test
  void whatTheDriverCantCompile_failsLoudly() {
    FloatArray x = ones();
    assertThrows(
        TornadoBailoutRuntimeException.class,
        () ->
            run(
                "named",
                graph -> graph.task("t", UncompilableKernelTest::int4, new KernelContext(), x),
                x));
    assertEquals(1f, x.get(0), "nothing ran in its place");
  }

  private static FloatArray ones() {
    FloatArray x = new FloatArray(64);
    x.init(1f);
    return x;
  }

  private static void run(String name, Consumer<TaskGraph> tasks, FloatArray x) throws Exception {
    TaskGraph graph = new TaskGraph(name).transferToDevice(DataTransferMode.EVERY_EXECUTION, x);
    tasks.accept(graph);
    graph.transferToHost(DataTransferMode.EVERY_EXECUTION, x);
    WorkerGrid1D grid = new WorkerGrid1D(64);
    grid.setLocalWork(64, 1, 1);
    try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
      plan.withGridScheduler(new GridScheduler(name + ".t", grid)).execute();
    }
  }
}
