package io.tercel.kernels.jit;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.OpsContract;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInstance;

/** {@link JitOps} against the definition, to the bit, with 1 and 3 threads. */
class JitOpsContractTest {

  @Nested
  class OneThread extends Threads {
    OneThread() {
      super(1);
    }
  }

  @Nested
  class ThreeThreads extends Threads {
    ThreeThreads() {
      super(3);
    }
  }

  @TestInstance(TestInstance.Lifecycle.PER_CLASS)
  abstract static class Threads extends OpsContract {
    private final JitOps ops;

    Threads(int threads) {
      Processor.assumeSupported();
      ops = JitOps.open(threads);
    }

    @Override
    protected Ops ops() {
      return ops;
    }

    @AfterAll
    void close() {
      ops.close();
    }
  }
}
