package io.tercel.trainer.ptq.transform;

import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.ops.Ops;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * New coordinates for one decoder layer: what happens to the weights and norms beforehand, and to
 * activations while the layer runs ({@link OnlineTransforms}). Together they leave its function as
 * it is, up to the residual stream's own coordinates.
 */
public final class LayerRewrite {
  /**
   * What happens on one side of a linear: first every channel is scaled, then all are transformed.
   *
   * @param scale of the channels; null leaves them
   * @param transform null leaves them
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record Change(double @Nullable [] scale, @Nullable Kronecker transform) {}

  private final Map<Matrix, Change> inputs = new EnumMap<>(Matrix.class);
  private final Map<Matrix, Change> outputs = new EnumMap<>(Matrix.class);
  private final Map<Norm, double[]> norms = new EnumMap<>(Norm.class);
  private final OnlineTransforms online;

  public LayerRewrite(OnlineTransforms online) {
    this.online = online;
  }

  /** What happens while the layer runs. */
  public OnlineTransforms online() {
    return online;
  }

  /**
   * The weights' part of a change to the input of some linears.
   *
   * @param scale what the weights are multiplied by: one over what the inputs are
   * @param transform what the inputs are multiplied by
   */
  LayerRewrite withInputs(double @Nullable [] scale, @Nullable Kronecker transform, Matrix... of) {
    for (Matrix matrix : of) {
      inputs.put(matrix, new Change(scale, transform));
    }
    return this;
  }

  /** What happens to the outputs of some linears. */
  LayerRewrite withOutputs(double @Nullable [] scale, @Nullable Kronecker transform, Matrix... of) {
    for (Matrix matrix : of) {
      outputs.put(matrix, new Change(scale, transform));
    }
    return this;
  }

  /** The new weights of a norm. */
  LayerRewrite withNorm(Norm which, double[] weight) {
    norms.put(which, weight);
    return this;
  }

  /** A norm's weights: the new ones, or those given. */
  public double[] norm(Norm which, double[] weight) {
    return norms.getOrDefault(which, weight);
  }

  /** How the inputs of a linear are changed, from the weights' side. */
  public Change inputs(Matrix which) {
    return inputs.getOrDefault(which, NONE);
  }

  /** How its outputs are. */
  public Change outputs(Matrix which) {
    return outputs.getOrDefault(which, NONE);
  }

  private static final Change NONE = new Change(null, null);

  /** Changes a linear in place. */
  public DoubleLinear apply(Matrix which, DoubleLinear linear, Ops ops) {
    Change in = inputs(which);
    if (in.scale != null) {
      linear.scaleInputs(in.scale);
    }
    if (in.transform != null) {
      linear.transformInputs(in.transform, ops);
    }
    Change out = outputs(which);
    if (out.scale != null) {
      linear.scaleOutputs(out.scale);
    }
    if (out.transform != null) {
      linear.transformOutputs(out.transform, ops);
    }
    return linear;
  }

  /** Changes a linear back in place: the other way round, by the inverses. */
  public DoubleLinear undo(Matrix which, DoubleLinear linear, Ops ops) {
    Change out = outputs(which);
    if (out.transform != null) {
      linear.transformOutputs(out.transform.inverse(), ops);
    }
    if (out.scale != null) {
      linear.scaleOutputs(inverse(out.scale));
    }
    Change in = inputs(which);
    if (in.transform != null) {
      linear.transformInputs(in.transform.inverse(), ops);
    }
    if (in.scale != null) {
      linear.scaleInputs(inverse(in.scale));
    }
    return linear;
  }

  private static double[] inverse(double[] scale) {
    double[] inverse = new double[scale.length];
    Arrays.setAll(inverse, i -> 1 / scale[i]);
    return inverse;
  }
}
