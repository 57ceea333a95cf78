package io.tercel.trainer.ptq;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.ptq.flatquant.FlatLayer;
import io.tercel.trainer.ptq.transform.DoubleLinear;
import io.tercel.trainer.ptq.transform.LayerRewrite;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.ptq.transform.W4Layer.W4Linear;
import io.tercel.trainer.quant.W4Matrix;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Rounds one layer of a checkpoint to 4 bits, each weight by itself: plain, or as FlatQuant says.
 */
final class W4Rounding {
  private final Model source;
  private final Ops ops;

  /** Where a fault is, and what the model looks like. */
  record Model(String directory, ModelConfig config) {}

  W4Rounding(Model source, Ops ops) {
    this.source = source;
    this.ops = ops;
  }

  /** Plain rounding. */
  W4Layer rtn(LayerSource layer) {
    return round(layer, new LayerRewrite(OnlineTransforms.NONE), Map.of());
  }

  /** In learned coordinates, with learned shares of the rows' ranges. */
  W4Layer flat(LayerSource layer, FlatLayer learned) {
    LayerRewrite rewrite =
        learned
            .transforms()
            .layer(
                source.config,
                DoubleLinear.doubles(layer.inputNorm()),
                DoubleLinear.doubles(layer.postAttentionNorm()),
                learned.clips());
    return round(layer, rewrite, learned.weightClips());
  }

  private W4Layer round(
      LayerSource layer, LayerRewrite rewrite, Map<Matrix, FlatLayer.RowClips> shares) {
    Map<Matrix, W4Linear> linears = new EnumMap<>(Matrix.class);
    for (Matrix which : Matrix.values()) {
      DoubleLinear linear = DoubleLinear.of((LinearSource.Plain) layer.matrix(which));
      rewrite.apply(which, linear, ops);
      linears.put(which, round(layer.matrix(which).name(), linear, clip(shares.get(which))));
    }
    return new W4Layer(linears, norms(layer, rewrite), rewrite.online());
  }

  private static W4Rtn.@Nullable Clip clip(FlatLayer.@Nullable RowClips shares) {
    if (shares == null) {
      return null;
    }
    return (row, max, min) -> Math.max(max * shares.high()[row], -min * shares.low()[row]);
  }

  private W4Linear round(String name, DoubleLinear linear, W4Rtn.@Nullable Clip clip) {
    float[] weight = linear.toFloats();
    try {
      W4Matrix matrix = W4Rtn.quantize(weight, linear.rows(), linear.cols(), clip, ops);
      return new W4Linear(matrix, floats(linear.bias()), weight);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          "%s: tensor %s.weight: %s".formatted(source.directory, name, e.getMessage()), e);
    }
  }

  /** A layer's norms, rewritten. */
  static Map<Norm, float[]> norms(LayerSource layer, LayerRewrite rewrite) {
    Map<Norm, float[]> norms = new EnumMap<>(Norm.class);
    for (Norm norm : Norm.values()) {
      Tensor weight = layer.norm(norm);
      if (weight != null) {
        norms.put(norm, narrow(rewrite.norm(norm, DoubleLinear.doubles(weight))));
      }
    }
    return norms;
  }

  static float @Nullable [] floats(double @Nullable [] values) {
    return values == null ? null : narrow(values);
  }

  private static float[] narrow(double[] values) {
    float[] narrow = new float[values.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) values[i];
    }
    return narrow;
  }
}
