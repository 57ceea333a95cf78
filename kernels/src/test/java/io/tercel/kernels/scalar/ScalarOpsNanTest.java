package io.tercel.kernels.scalar;

import io.tercel.kernels.ops.NanContract;
import io.tercel.kernels.ops.Ops;

/** The definition itself hands NaN on. */
class ScalarOpsNanTest extends NanContract {
  @Override
  protected Ops ops() {
    return new ScalarOps();
  }
}
