package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.trainer.ptq.transform.FlatTransforms;
import io.tercel.trainer.torch.AdamW;
import io.tercel.trainer.torch.Schedule;
import io.tercel.trainer.torch.Torch;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleConsumer;

/**
 * FlatQuant: learns, layer by layer, coordinates and shares of ranges in which a layer whose
 * weights, activations, keys and values have 4 bits gives nearly what it gave. A layer's inputs,
 * and the outputs to match, are those in full precision, so a layer depends on no other.
 */
public final class FlatQuant {
  /** How much larger the rate of clips is. */
  private static final double CLIP_RATE = 10;

  /** Of the rate, at the last step. */
  private static final double FINAL_FRACTION = 1e-3;

  private static final double ALPHA = 0.3;

  private final FlatOptions options;
  private final LayerStream stream;
  private final DoubleConsumer progress;

  /**
   * @param progress is told the loss of every step
   */
  public FlatQuant(FlatOptions options, LayerStream stream, DoubleConsumer progress) {
    this.options = options;
    this.stream = stream;
    this.progress = progress;
  }

  /** Steps that a layer takes. */
  public int steps() {
    return options.epochs() * Math.ceilDiv(stream.sequences(), options.batch());
  }

  /**
   * Learns a layer, which the stream enters but does not leave.
   *
   * @param index of the layer; seeds are its own
   */
  public FlatLayer learn(int index, LayerSource layer) {
    ModelConfig config = stream.config();
    Map<Tap, float[]> largest = new EnumMap<>(Tap.class);
    stream.enter(layer, (tap, x) -> largest.merge(tap, largest(x), FlatQuant::larger));
    FlatTransforms start = start(index, layer, largest);
    List<Double> losses = new ArrayList<>();
    try (NDManager manager = Torch.newManager();
        Arena arena = Arena.ofShared()) {
      LayerPieces plain = LayerStream.plain(layer, manager);
      FlatParameters parameters = new FlatParameters(config, plain, start, manager, arena);
      AdamW transforms = new AdamW(parameters.transforms(), 0.9, 0.999, 1e-8, 0);
      AdamW clips = new AdamW(parameters.clips(), 0.9, 0.999, 1e-8, 0);
      Random random = new Random(options.seed() * 31 + index);
      if (steps() > 0) {
        Schedule schedule = new Schedule(options.rate(), steps(), 0, FINAL_FRACTION);
        for (int epoch = 0; epoch < options.epochs(); epoch++) {
          for (List<Integer> members : shuffled(random)) {
            double loss = step(parameters, members, manager);
            double rate = schedule.rate(losses.size());
            transforms.step(rate, Double.POSITIVE_INFINITY);
            clips.step(CLIP_RATE * rate, Double.POSITIVE_INFINITY);
            losses.add(loss);
            progress.accept(loss);
          }
        }
      }
      return new FlatLayer(
          parameters.toTransforms(),
          parameters.toClips(),
          parameters.toWeightClips(),
          parameters.toState(),
          losses);
    }
  }

  private List<List<Integer>> shuffled(Random random) {
    List<Integer> order = new ArrayList<>();
    for (int s = 0; s < stream.sequences(); s++) {
      order.add(s);
    }
    Collections.shuffle(order, random);
    return stream.cut(order);
  }

  /** One forward and backward pass; the gradients are added to the parameters'. */
  private double step(FlatParameters parameters, List<Integer> members, NDManager manager) {
    ModelConfig config = stream.config();
    SequenceBatch rows = new SequenceBatch(members, stream.inputs(), config.hiddenSize());
    float[] inputs = rows.gather(stream.inputs());
    float[] outputs = rows.gather(stream.outputs());
    Shape shape = new Shape(rows.rows(), config.hiddenSize());
    try (NDManager step = manager.newSubManager();
        NDScope scope = new NDScope();
        GradientCollector collector = Torch.newGradientCollector()) {
      scope.suppressNotUsedWarning();
      LayerPass pass = new LayerPass(config, step, rows.sequences(), rows.length());
      Map<String, NDArray> leaves = parameters.leaves(step);
      NDArray x = step.create(inputs, shape);
      NDArray y = step.create(outputs, shape);
      NDArray mask = step.create(rows.mask(), new Shape(rows.rows(), 1));
      NDArray whole = step.create(new float[] {added(inputs, outputs)});
      NDArray actual = pass.forward(x, parameters.pieces(leaves, pass.bits()));
      NDArray loss = actual.sub(y).mul(mask).square().sum().div(whole);
      collector.backward(loss);
      parameters.accumulate(leaves);
      return loss.getFloat();
    }
  }

  /** |y - x|^2, by which the loss is divided so that it has the same size in all layers. */
  private static float added(float[] x, float[] y) {
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      double step = (double) y[i] - x[i];
      sum += step * step;
    }
    return sum == 0 ? 1 : (float) sum;
  }

  /** Random orthogonal matrices, and scales that take some of the inputs' outliers. */
  private FlatTransforms start(int index, LayerSource layer, Map<Tap, float[]> largest) {
    FlatTransforms random =
        FlatTransforms.random(stream.config(), options.seed() * 1_000_003 + index);
    return new FlatTransforms(
        random.qkv(),
        scales(layer, largest, Tap.ATTENTION, Matrix.Q, Matrix.K, Matrix.V),
        random.gateUp(),
        scales(layer, largest, Tap.MLP, Matrix.GATE, Matrix.UP),
        random.down(),
        scales(layer, largest, Tap.DOWN, Matrix.DOWN),
        random.values(),
        random.heads(),
        random.keys());
  }

  /** max|W|^0.7 / max|x|^0.3, at least 1e-5. */
  private static double[] scales(
      LayerSource layer, Map<Tap, float[]> largest, Tap tap, Matrix... readers) {
    float[] inputs = largest.get(tap);
    if (inputs == null) {
      throw new IllegalStateException("nothing was seen of " + tap);
    }
    float[] weights = new float[inputs.length];
    for (Matrix which : readers) {
      float[] w = ((LinearSource.Plain) layer.matrix(which)).weight().toFloats();
      for (int i = 0; i < w.length; i++) {
        int j = i % weights.length;
        weights[j] = Math.max(weights[j], Math.abs(w[i]));
      }
    }
    double[] scales = new double[inputs.length];
    for (int j = 0; j < scales.length; j++) {
      double ratio = Math.pow(weights[j], 1 - ALPHA) / Math.pow(Math.max(inputs[j], 1e-5), ALPHA);
      scales[j] = Math.max(ratio, 1e-5);
    }
    return scales;
  }

  private static float[] largest(NDArray x) {
    try (NDArray magnitudes = x.abs();
        NDArray most = magnitudes.max(new int[] {0})) {
      return most.toFloatArray();
    }
  }

  private static float[] larger(float[] a, float[] b) {
    float[] larger = a.clone();
    for (int i = 0; i < a.length; i++) {
      larger[i] = Math.max(a[i], b[i]);
    }
    return larger;
  }
}
