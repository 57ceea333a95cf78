package io.tercel.kernels.tornado;

import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.QuantFormat.Grouped;
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
  private static boolean hasKernel(QuantFormat format) {
    return format != Grouped.INT8G128;
  }

  @Nested
  class OneToken extends OpsContract {
    @Override
    protected Ops ops() {
      return new TornadoOps(false);
    }

    @Override
    protected boolean supports(QuantFormat format) {
      return hasKernel(format);
    }
  }

  @Nested
  class FourTokens extends OpsContract {
    @Override
    protected Ops ops() {
      return new TornadoOps(true);
    }

    @Override
    protected boolean supports(QuantFormat format) {
      return hasKernel(format);
    }
  }
}
