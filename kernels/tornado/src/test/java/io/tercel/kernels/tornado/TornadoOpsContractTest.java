package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.OpsContract;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;

/**
 * The backend's kernels on a device against the definition, to the bit: with the kernels for one
 * token, and with those for several.
 */
@Tag("device")
class TornadoOpsContractTest {

  @Nested
  class OneToken extends OpsContract {
    @Override
    protected Ops ops() {
      return new TornadoOps(false);
    }
  }

  @Nested
  class FourTokens extends OpsContract {
    @Override
    protected Ops ops() {
      return new TornadoOps(true);
    }
  }
}
