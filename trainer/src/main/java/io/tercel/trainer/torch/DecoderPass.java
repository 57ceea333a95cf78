package io.tercel.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.ModelConfig;
import java.util.ArrayList;
import java.util.List;

/**
 * The forward pass of Qwen2 and Qwen3 over packed sequences, in the script {@code
 * /torch/decoder.py}: N tokens without padding, which only attention pads. Attention is fused: no
 * matrix of scores is ever made.
 *
 * <p>Made for the lengths of one batch; its constants live as long as the manager.
 */
public final class DecoderPass {
  private static final String SCRIPT = "/torch/decoder.py";

  private final TorchScript script;
  private final ModelConfig config;
  private final NDManager manager;
  private final int sequences;
  private final NDArray epsilon;
  private final NDArray cos;
  private final NDArray sin;
  private final NDArray none;
  private final NDArray padded;
  private final NDArray packed;

  /**
   * @param lengths tokens of each sequence
   */
  public DecoderPass(TorchScript script, ModelConfig config, NDManager manager, int... lengths) {
    this.script = script;
    this.config = config;
    this.manager = manager;
    this.sequences = lengths.length;
    int longest = 0;
    int tokens = 0;
    for (int length : lengths) {
      longest = Math.max(longest, length);
      tokens += length;
    }
    int width = config.headDim();
    float[] cosines = new float[longest * width];
    float[] sines = new float[longest * width];
    double[] frequencies = new double[width / 2];
    for (int d = 0; d < width / 2; d++) {
      frequencies[d] = Math.pow(config.ropeTheta(), -2.0 * d / width);
    }
    for (int t = 0; t < longest; t++) {
      for (int d = 0; d < width / 2; d++) {
        double angle = t * frequencies[d];
        int i = t * width + d;
        cosines[i] = cosines[i + width / 2] = (float) Math.cos(angle);
        sines[i] = sines[i + width / 2] = (float) Math.sin(angle);
      }
    }
    this.cos = manager.create(cosines, new Shape(longest, width));
    this.sin = manager.create(sines, new Shape(longest, width));
    this.epsilon = manager.create(new float[] {config.rmsNormEps()});
    this.none = manager.create(new Shape(0), DataType.FLOAT32);
    boolean even = tokens == (long) longest * sequences;
    this.padded = even ? none : manager.create(padded(lengths, longest));
    this.packed = even ? none : manager.create(packed(lengths, longest, tokens));
  }

  /** The script that passes call; one serves all. */
  public static TorchScript script(NDManager manager) {
    return TorchScript.load(SCRIPT, manager);
  }

  /** Which token stands at [b, t]; behind a sequence its last, which causal attention ignores. */
  private static long[] padded(int[] lengths, int longest) {
    long[] tokens = new long[lengths.length * longest];
    long first = 0;
    for (int b = 0; b < lengths.length; b++) {
      for (int t = 0; t < longest; t++) {
        tokens[b * longest + t] = first + Math.min(t, lengths[b] - 1);
      }
      first += lengths[b];
    }
    return tokens;
  }

  private static long[] packed(int[] lengths, int longest, int tokens) {
    long[] places = new long[tokens];
    int i = 0;
    for (int b = 0; b < lengths.length; b++) {
      for (int t = 0; t < lengths[b]; t++) {
        places[i++] = (long) b * longest + t;
      }
    }
    return places;
  }

  /**
   * A layer's output.
   *
   * @param x [N, hidden]
   */
  public NDArray layer(NDArray x, LayerArrays layer, Precision precision) {
    NDArray shape =
        manager.create(
            new long[] {
              sequences,
              config.numHeads(),
              config.numKvHeads(),
              precision.inputs(),
              precision.cache()
            });
    List<NDArray> arguments = new ArrayList<>(List.of(x, shape, epsilon, cos, sin, padded, packed));
    arguments.addAll(layer.arguments(none));
    return script.call("layer", arguments.toArray(NDArray[]::new));
  }

  /** The final norm of some rows, [rows, hidden]. */
  public NDArray predicting(NDArray x, NDArray finalNorm, int[] rows) {
    long[] indices = new long[rows.length];
    for (int i = 0; i < rows.length; i++) {
      indices[i] = rows[i];
    }
    return script.call("predicting", x, epsilon, manager.create(indices), finalNorm);
  }
}
