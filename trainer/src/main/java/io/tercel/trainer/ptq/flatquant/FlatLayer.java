package io.tercel.trainer.ptq.flatquant;

import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.trainer.ptq.transform.FlatTransforms;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import java.util.List;
import java.util.Map;

/**
 * What FlatQuant has learned of one layer.
 *
 * @param transforms the coordinates
 * @param clips shares of the ranges of activations, keys and values
 * @param weightClips shares of the ranges of weights' rows
 * @param state the trained values themselves, for training that goes on
 * @param losses of each step: squared error of the outputs over what the layer adds, squared
 */
public record FlatLayer(
    FlatTransforms transforms,
    OnlineTransforms.Clips clips,
    Map<Matrix, RowClips> weightClips,
    List<Trained> state,
    List<Double> losses) {

  /**
   * Shares of rows' ranges, [rows] each.
   *
   * @param low of the part below 0
   * @param high of the part above
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record RowClips(float[] low, float[] high) {}

  /**
   * A trained tensor.
   *
   * @param name within the layer
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record Trained(String name, List<Long> shape, float[] values) {}
}
