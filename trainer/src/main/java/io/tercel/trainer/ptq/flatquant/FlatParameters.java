package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.trainer.ptq.flatquant.FlatLayer.RowClips;
import io.tercel.trainer.ptq.flatquant.FlatLayer.Trained;
import io.tercel.trainer.ptq.flatquant.FourBits.Shares;
import io.tercel.trainer.ptq.transform.FlatTransforms;
import io.tercel.trainer.ptq.transform.Kronecker;
import io.tercel.trainer.ptq.transform.OnlineTransforms.Clips;
import io.tercel.trainer.ptq.transform.SquareMatrix;
import io.tercel.trainer.torch.Parameter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What FlatQuant trains of one layer, and the layer that they make of its weights as they are.
 *
 * <p>A scale d of a channel is trained as its logarithm's distance from where it began, so that it
 * keeps its sign; shares of ranges are sigmoids of logits that begin at 4.
 */
final class FlatParameters {
  private static final float LOGIT = 4;

  private static final String INVERSE = ".inverse";

  /** The linears' inputs that are transformed together, by the names of their parameters. */
  private static final Map<Tap, String> INPUTS =
      Map.of(Tap.ATTENTION, "qkv", Tap.OUTPUT, "o", Tap.MLP, "gate_up", Tap.DOWN, "down");

  private final ModelConfig config;
  private final LayerPieces plain;
  private final Arena arena;
  private final Map<String, double[]> start = new LinkedHashMap<>();
  private final Map<String, NDArray> firstScales = new LinkedHashMap<>();
  private final Map<String, NDArray> inverseScales = new LinkedHashMap<>();
  private final Map<String, Parameter> transforms = new LinkedHashMap<>();
  private final List<String> matrices = new ArrayList<>();
  private final Map<String, Parameter> clips = new LinkedHashMap<>();

  /**
   * @param plain the layer as it is
   * @param start where training begins
   * @param manager of arrays that live as long as the training
   */
  FlatParameters(
      ModelConfig config, LayerPieces plain, FlatTransforms start, NDManager manager, Arena arena) {
    this.config = config;
    this.plain = plain;
    this.arena = arena;
    kronecker("qkv", start.qkv(), start.qkvScale(), manager);
    kronecker("gate_up", start.gateUp(), start.gateUpScale(), manager);
    kronecker("down", start.down(), start.downScale(), manager);
    square("values", start.values());
    square("heads", start.heads());
    square("keys", start.keys());
    for (Matrix which : Matrix.values()) {
      logits(name(which), which.rows(config), 1);
    }
    for (String name : List.of("qkv", "o", "gate_up", "down", "keys", "values")) {
      logits(name, 1);
    }
  }

  private void kronecker(String name, Kronecker k, double[] scale, NDManager manager) {
    square(name + ".left", require(k.left()));
    square(name + ".right", require(k.right()));
    transforms.put(name + ".log_scale", new Parameter(name + ".log_scale", arena, scale.length));
    start.put(name, scale);
    float[] first = new float[scale.length];
    float[] inverse = new float[scale.length];
    for (int i = 0; i < scale.length; i++) {
      first[i] = (float) scale[i];
      inverse[i] = (float) (1 / scale[i]);
    }
    firstScales.put(name, manager.create(first));
    inverseScales.put(name, manager.create(inverse));
  }

  private void square(String name, SquareMatrix m) {
    Parameter parameter = new Parameter(name, arena, m.size(), m.size());
    parameter.set(m.toFloats());
    transforms.put(name, parameter);
    matrices.add(name);
  }

  private void logits(String name, long... shape) {
    for (String side : List.of(".clip_low", ".clip_high")) {
      Parameter parameter = new Parameter(name + side, arena, shape);
      float[] values = new float[parameter.size()];
      Arrays.fill(values, LOGIT);
      parameter.set(values);
      clips.put(name + side, parameter);
    }
  }

  private static String name(Matrix which) {
    return which.name().toLowerCase(Locale.ROOT) + "_proj";
  }

  private static SquareMatrix require(@Nullable SquareMatrix m) {
    if (m == null) {
      throw new IllegalArgumentException("both factors are trained");
    }
    return m;
  }

  /** Transforms and scales. */
  List<Parameter> transforms() {
    return List.copyOf(transforms.values());
  }

  /** Logits of shares. */
  List<Parameter> clips() {
    return List.copyOf(clips.values());
  }

  /** Fresh views of all for one pass. */
  Map<String, NDArray> leaves(NDManager step) {
    Map<String, NDArray> leaves = new LinkedHashMap<>();
    transforms.forEach((name, p) -> leaves.put(name, p.leaf(step, true)));
    clips.forEach((name, p) -> leaves.put(name, p.leaf(step, true)));
    for (String name : matrices) {
      NDArray inverse = inverseTranspose(name, step);
      inverse.setRequiresGradient(true);
      leaves.put(name + INVERSE, inverse);
    }
    return leaves;
  }

  /** Takes the gradients that a backward pass left. */
  void accumulate(Map<String, NDArray> leaves) {
    transforms.forEach((name, p) -> p.accumulate(leaf(leaves, name)));
    clips.forEach((name, p) -> p.accumulate(leaf(leaves, name)));
    for (String name : matrices) {
      try (NDArray gradient = leaf(leaves, name + INVERSE).getGradient()) {
        throughInverse(name, gradient.toFloatArray());
      }
    }
  }

  /** M = P^-T, computed in doubles. It is a leaf of its own: see {@link #throughInverse}. */
  private NDArray inverseTranspose(String name, NDManager step) {
    SquareMatrix inverse = matrix(name).inverseTranspose();
    return step.create(inverse.toFloats(), new Shape(inverse.size(), inverse.size()));
  }

  /**
   * Takes the gradient G of M = P^-T back to P: -M G^T M. DJL's own inverse lost it, without a
   * word.
   */
  private void throughInverse(String name, float[] gradient) {
    SquareMatrix inverse = matrix(name).inverseTranspose();
    SquareMatrix back = inverse.times(SquareMatrix.of(gradient).transpose()).times(inverse);
    MemorySegment to = parameter(transforms, name).gradient();
    for (int i = 0; i < gradient.length; i++) {
      float sum = to.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      sum -= (float) back.at(i / back.size(), i % back.size());
      to.setAtIndex(ValueLayout.JAVA_FLOAT, i, sum);
    }
  }

  private static NDArray leaf(Map<String, NDArray> leaves, String name) {
    NDArray leaf = leaves.get(name);
    if (leaf == null) {
      throw new IllegalStateException("no " + name);
    }
    return leaf;
  }

  /**
   * The layer in its new coordinates.
   *
   * @param bits rounds the weights, and activations too; null rounds nothing
   */
  LayerPieces pieces(Map<String, NDArray> leaves, @Nullable FourBits bits) {
    LayerPieces pieces = new LayerPieces(bits != null);
    NDArray values = leaf(leaves, "values");
    NDArray heads = leaf(leaves, "heads");
    NDArray keys = leaf(leaves, "keys");
    InverseInputs qkv = inverse("qkv", leaves);
    InverseInputs gateUp = inverse("gate_up", leaves);
    InverseInputs down = inverse("down", leaves);
    NDArray headsInverse = leaf(leaves, "heads" + INVERSE);
    NDArray valuesInverse = leaf(leaves, "values" + INVERSE);
    for (Matrix which : Matrix.values()) {
      NDArray weight = plain.weight(which);
      NDArray bias = plain.bias(which);
      switch (which) {
        case Q, K -> weight = qkv.apply(weight);
        case V -> {
          weight = ofHeads(qkv.apply(weight), values);
          bias = bias == null ? null : ofHeads(bias, values);
        }
        case O -> weight = LayerPass.kronecker(weight, headsInverse, valuesInverse);
        case GATE -> weight = gateUp.apply(weight);
        case UP -> {
          NDArray scale = scale("down", leaves);
          weight = gateUp.apply(weight).mul(scale.reshape(scale.size(), 1));
        }
        case DOWN -> weight = down.apply(weight);
      }
      String name = name(which);
      pieces.linear(
          which, bits == null ? weight : bits.weights(weight, shares(name, leaves)), bias);
    }
    pieces.norm(Norm.INPUT, plain.requireNorm(Norm.INPUT).mul(scale("qkv", leaves)));
    pieces.norm(
        Norm.POST_ATTENTION, plain.requireNorm(Norm.POST_ATTENTION).mul(scale("gate_up", leaves)));
    for (Norm which : List.of(Norm.Q_HEAD, Norm.K_HEAD)) {
      NDArray norm = plain.norm(which);
      if (norm != null) {
        pieces.norm(which, norm);
      }
    }
    INPUTS.forEach((tap, name) -> pieces.input(tap, input(tap, name, leaves)));
    return pieces
        .keys(keys, leaf(leaves, "keys" + INVERSE))
        .clips(shares("keys", leaves), shares("values", leaves));
  }

  private LayerPieces.Input input(Tap tap, String name, Map<String, NDArray> leaves) {
    Shares shares = shares(name, leaves);
    return tap == Tap.OUTPUT
        ? new LayerPieces.Input(leaf(leaves, "heads"), null, shares)
        : new LayerPieces.Input(
            leaf(leaves, name + ".left"), leaf(leaves, name + ".right"), shares);
  }

  /** The weights' part of a transformed input. */
  private record InverseInputs(NDArray scale, NDArray left, NDArray right) {
    NDArray apply(NDArray weight) {
      return LayerPass.kronecker(weight.mul(scale), left, right);
    }
  }

  private InverseInputs inverse(String name, Map<String, NDArray> leaves) {
    NDArray first = inverseScales.get(name);
    if (first == null) {
      throw new IllegalStateException("no scale of " + name);
    }
    return new InverseInputs(
        leaf(leaves, name + ".log_scale").neg().exp().mul(first),
        leaf(leaves, name + ".left" + INVERSE),
        leaf(leaves, name + ".right" + INVERSE));
  }

  private NDArray scale(String name, Map<String, NDArray> leaves) {
    NDArray first = firstScales.get(name);
    if (first == null) {
      throw new IllegalStateException("no scale of " + name);
    }
    return leaf(leaves, name + ".log_scale").exp().mul(first);
  }

  private static Shares shares(String name, Map<String, NDArray> leaves) {
    return new Shares(
        leaf(leaves, name + ".clip_low").getNDArrayInternal().sigmoid(),
        leaf(leaves, name + ".clip_high").getNDArrayInternal().sigmoid());
  }

  /** Outputs, or a bias, of heads that are each multiplied by M: M^T W, or b M. */
  private NDArray ofHeads(NDArray of, NDArray m) {
    long width = config.headDim();
    Shape shape = of.getShape();
    if (shape.dimension() == 1) {
      return of.reshape(shape.get(0) / width, width).matMul(m).reshape(shape);
    }
    return m.transpose()
        .matMul(of.reshape(shape.get(0) / width, width, shape.get(1)))
        .reshape(shape);
  }

  /** The coordinates as they are now. */
  FlatTransforms toTransforms() {
    return new FlatTransforms(
        kronecker("qkv"),
        scale("qkv"),
        kronecker("gate_up"),
        scale("gate_up"),
        kronecker("down"),
        scale("down"),
        matrix("values"),
        matrix("heads"),
        matrix("keys"));
  }

  private Kronecker kronecker(String name) {
    return Kronecker.of(matrix(name + ".left"), matrix(name + ".right"));
  }

  private SquareMatrix matrix(String name) {
    return SquareMatrix.of(parameter(transforms, name).toFloats());
  }

  private double[] scale(String name) {
    double[] first = start.get(name);
    if (first == null) {
      throw new IllegalStateException("no scale of " + name);
    }
    Parameter logs = parameter(transforms, name + ".log_scale");
    double[] scale = new double[first.length];
    Arrays.setAll(scale, i -> first[i] * Math.exp(logs.get(i)));
    return scale;
  }

  /** Shares of activations, keys and values as they are now. */
  Clips toClips() {
    return new Clips(
        pair("qkv"), pair("o"), pair("gate_up"), pair("down"), pair("keys"), pair("values"));
  }

  private float[] pair(String name) {
    return new float[] {sigmoids(name + ".clip_low")[0], sigmoids(name + ".clip_high")[0]};
  }

  /** Shares of weights' rows as they are now. */
  Map<Matrix, RowClips> toWeightClips() {
    Map<Matrix, RowClips> shares = new EnumMap<>(Matrix.class);
    for (Matrix which : Matrix.values()) {
      String name = name(which);
      shares.put(which, new RowClips(sigmoids(name + ".clip_low"), sigmoids(name + ".clip_high")));
    }
    return shares;
  }

  private float[] sigmoids(String name) {
    Parameter logits = parameter(clips, name);
    float[] shares = new float[logits.size()];
    for (int i = 0; i < shares.length; i++) {
      shares[i] = (float) (1 / (1 + Math.exp(-logits.get(i))));
    }
    return shares;
  }

  private static Parameter parameter(Map<String, Parameter> among, String name) {
    Parameter parameter = among.get(name);
    if (parameter == null) {
      throw new IllegalStateException("no " + name);
    }
    return parameter;
  }

  /** All values as they are now; scales in place of their logarithms' distances. */
  List<Trained> toState() {
    List<Trained> state = new ArrayList<>();
    transforms.forEach(
        (name, p) -> {
          int end = name.indexOf(".log_scale");
          float[] values = p.toFloats();
          if (end > 0) {
            double[] scale = scale(name.substring(0, end));
            for (int i = 0; i < values.length; i++) {
              values[i] = (float) scale[i];
            }
          }
          state.add(new Trained(name.replace(".log_scale", ".scale"), p.shape(), values));
        });
    clips.forEach((name, p) -> state.add(new Trained(name, p.shape(), p.toFloats())));
    return state;
  }
}
