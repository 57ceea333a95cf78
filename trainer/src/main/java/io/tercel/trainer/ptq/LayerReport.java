package io.tercel.trainer.ptq;

import org.jspecify.annotations.Nullable;

/** What a chart shows of a quantization: each decoder layer's error and time. */
interface LayerReport {
  /** As on the command line. */
  String method();

  int numLayers();

  /** What the errors are of; null if none were measured. */
  @Nullable String errors();

  /** Whether plain rounding was measured beside the method. */
  boolean hasRtn();

  /**
   * A decoder layer's relative error.
   *
   * @param rtn that of plain rounding
   */
  double layerError(int layer, boolean rtn);

  double layerSeconds(int layer);
}
