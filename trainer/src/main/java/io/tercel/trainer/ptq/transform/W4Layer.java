package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.LayerTensors;
import io.tercel.trainer.quant.W4Matrix;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A decoder layer as W4A4KV4 serves it. */
public final class W4Layer extends LayerTensors<W4Layer.W4Linear, float[]> {
  private final OnlineTransforms online;

  /**
   * One linear.
   *
   * @param bias [rows] or null
   * @param latents [rows, cols]: what the codes were rounded from
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record W4Linear(W4Matrix matrix, float @Nullable [] bias, float[] latents) {}

  public W4Layer(Map<Matrix, W4Linear> linears, Map<Norm, float[]> norms, OnlineTransforms online) {
    super(linears, norms);
    this.online = online;
  }

  /** What happens to activations. */
  public OnlineTransforms online() {
    return online;
  }
}
