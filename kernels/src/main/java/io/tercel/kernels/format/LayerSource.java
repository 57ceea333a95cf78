package io.tercel.kernels.format;

import java.util.Map;

/** Where one decoder layer lies in a checkpoint. */
public final class LayerSource extends LayerTensors<LinearSource, Tensor> {
  public LayerSource(Map<Matrix, LinearSource> matrices, Map<Norm, Tensor> norms) {
    super(matrices, norms);
  }
}
