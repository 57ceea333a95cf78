package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.memory.LayerWeights;
import java.io.IOException;

/** A way to quantize a model's decoder layers, one after the other. */
interface LayerMethod extends AutoCloseable {
  /**
   * Quantizes the next layer.
   *
   * @param to takes each linear as it is finished
   */
  void quantize(LayerSource layer, LayerExport to) throws IOException;

  /** Goes past the next layer, which an earlier run has finished. */
  void pass(LayerWeights finished);

  @Override
  void close();
}
