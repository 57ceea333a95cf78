package io.tercel.trainer.ptq.flatquant;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.model.DecoderLayer.Tap;
import io.tercel.trainer.ptq.transform.Kronecker;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import io.tercel.trainer.ptq.transform.SquareMatrix;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.torch.Torch;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The hidden states of some sequences on their way through the decoder in full precision, one layer
 * at a time: what goes into a layer and what comes out of it, and how far a quantized layer is from
 * that. Memory: both states, and one layer.
 */
public final class LayerStream {
  private final ModelConfig config;
  private final int batch;
  private float[][] inputs;
  private float[][] outputs = {};

  /**
   * Begins with the tokens' embeddings.
   *
   * @param batch sequences that are computed at a time
   */
  public LayerStream(ModelConfig config, Tensor embedding, List<int[]> sequences, int batch) {
    this.config = config;
    this.batch = batch;
    int hidden = config.hiddenSize();
    inputs = new float[sequences.size()][];
    for (int s = 0; s < inputs.length; s++) {
      int[] tokens = sequences.get(s);
      inputs[s] = new float[tokens.length * hidden];
      for (int t = 0; t < tokens.length; t++) {
        for (int j = 0; j < hidden; j++) {
          inputs[s][t * hidden + j] = embedding.floatAt((long) tokens[t] * hidden + j);
        }
      }
    }
  }

  ModelConfig config() {
    return config;
  }

  /** How many sequences. */
  int sequences() {
    return inputs.length;
  }

  /** What goes into the present layer, [tokens, hidden] a sequence; a view. */
  public float[][] inputs() {
    return inputs;
  }

  /** What comes out of it; a view. */
  public float[][] outputs() {
    return outputs;
  }

  /** Computes a layer's outputs. */
  public void enter(LayerSource layer) {
    enter(layer, null);
  }

  /** Likewise, and shows the inputs of its linears. */
  void enter(LayerSource layer, LayerPass.@Nullable Watch watch) {
    try (NDManager manager = Torch.newManager()) {
      LayerPieces pieces = plain(layer, manager);
      outputs = compute(pieces, inputs, watch, manager);
    }
  }

  /** Goes on: what came out goes into the next layer. */
  public void leave() {
    inputs = outputs;
    outputs = new float[0][];
  }

  /** What a quantized layer makes of the inputs, or of those given in their place. */
  public float[][] quantized(W4Layer layer, float[][] from) {
    try (NDManager manager = Torch.newManager()) {
      return compute(served(layer, manager), from, null, manager);
    }
  }

  private float[][] compute(
      LayerPieces pieces, float[][] from, LayerPass.@Nullable Watch watch, NDManager manager) {
    float[][] to = new float[from.length][];
    for (List<Integer> members : inOrder()) {
      SequenceBatch rows = new SequenceBatch(members, from, config.hiddenSize());
      try (NDManager step = manager.newSubManager();
          NDScope scope = new NDScope()) {
        scope.suppressNotUsedWarning();
        LayerPass pass = new LayerPass(config, step, rows.sequences(), rows.length());
        if (watch != null) {
          pass.watch(watch);
        }
        NDArray x = step.create(rows.gather(from), new Shape(rows.rows(), config.hiddenSize()));
        rows.scatter(pass.forward(x, pieces).toFloatArray(), to);
      }
    }
    return to;
  }

  private List<List<Integer>> inOrder() {
    List<Integer> all = new ArrayList<>();
    for (int s = 0; s < inputs.length; s++) {
      all.add(s);
    }
    return cut(all);
  }

  /** An order of sequences cut into batches. */
  List<List<Integer>> cut(List<Integer> order) {
    List<List<Integer>> batches = new ArrayList<>();
    for (int from = 0; from < order.size(); from += batch) {
      batches.add(order.subList(from, Math.min(order.size(), from + batch)));
    }
    return batches;
  }

  /**
   * How far a quantized layer is off: the root of |y^ - y|^2 over that of |y - x|^2, what the layer
   * adds to the stream.
   */
  public double error(float[][] actual) {
    return error(actual, inputs, outputs);
  }

  /** Likewise between any states. */
  public static double error(float[][] actual, float[][] from, float[][] expected) {
    double off = 0;
    double added = 0;
    for (int s = 0; s < from.length; s++) {
      for (int i = 0; i < from[s].length; i++) {
        double difference = (double) actual[s][i] - expected[s][i];
        double step = (double) expected[s][i] - from[s][i];
        off += difference * difference;
        added += step * step;
      }
    }
    return off == 0 ? 0 : Math.sqrt(off / added);
  }

  /** A layer as it is in the checkpoint. */
  static LayerPieces plain(LayerSource layer, NDManager manager) {
    LayerPieces pieces = new LayerPieces(false);
    for (Matrix which : Matrix.values()) {
      LinearSource.Plain linear = (LinearSource.Plain) layer.matrix(which);
      Tensor bias = linear.bias();
      pieces.linear(
          which,
          manager.create(linear.weight().toFloats(), new Shape(linear.rows(), linear.cols())),
          bias == null ? null : manager.create(bias.toFloats()));
    }
    for (Norm which : Norm.values()) {
      Tensor norm = layer.norm(which);
      if (norm != null) {
        pieces.norm(which, manager.create(norm.toFloats()));
      }
    }
    return pieces;
  }

  /** A layer as it is served. */
  static LayerPieces served(W4Layer layer, NDManager manager) {
    LayerPieces pieces = new LayerPieces(true);
    for (Matrix which : Matrix.values()) {
      W4Layer.W4Linear linear = layer.matrix(which);
      Shape shape = new Shape(linear.matrix().rows(), linear.matrix().cols());
      float[] bias = linear.bias();
      pieces.linear(
          which,
          manager.create(linear.matrix().dequantize(), shape),
          bias == null ? null : manager.create(bias));
    }
    for (Norm which : Norm.values()) {
      float[] norm = layer.norm(which);
      if (norm != null) {
        pieces.norm(which, manager.create(norm));
      }
    }
    OnlineTransforms online = layer.online();
    OnlineTransforms.Clips clips = online.clips();
    return pieces
        .input(Tap.ATTENTION, input(online.qkv(), clips.qkv(), manager))
        .input(Tap.OUTPUT, input(online.o(), clips.o(), manager))
        .input(Tap.MLP, input(online.gateUp(), clips.gateUp(), manager))
        .input(Tap.DOWN, input(online.down(), clips.down(), manager))
        .keys(matrix(online.keys(), manager), matrix(online.queries(), manager))
        .clips(shares(clips.k(), manager), shares(clips.v(), manager));
  }

  private static LayerPieces.Input input(
      @Nullable Kronecker by, float @Nullable [] clip, NDManager manager) {
    return new LayerPieces.Input(
        by == null ? null : matrix(by.left(), manager),
        by == null ? null : matrix(by.right(), manager),
        shares(clip, manager));
  }

  private static FourBits.@Nullable Shares shares(float @Nullable [] clip, NDManager manager) {
    return clip == null
        ? null
        : new FourBits.Shares(
            manager.create(new float[] {clip[0]}), manager.create(new float[] {clip[1]}));
  }

  static @Nullable NDArray matrix(@Nullable SquareMatrix m, NDManager manager) {
    return m == null ? null : manager.create(m.toFloats(), new Shape(m.size(), m.size()));
  }
}
