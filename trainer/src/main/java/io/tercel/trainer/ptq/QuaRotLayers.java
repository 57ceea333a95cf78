package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.ptq.transform.DoubleLinear;
import io.tercel.trainer.ptq.transform.LayerRewrite;
import io.tercel.trainer.ptq.transform.LayerRewrite.Change;
import io.tercel.trainer.ptq.transform.QuaRot;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.ptq.transform.W4Layer.W4Linear;
import io.tercel.trainer.quant.W4Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Quantizes a model in QuaRot's coordinates, layer by layer, by GPTQ on the inputs that the layers
 * before give once their weights are quantized; activations are not rounded here.
 *
 * <p>The forward pass stays in the model's own coordinates, with norm weights of 1: what is shown
 * of an input is turned before the Hessian takes it, and a quantized linear is turned back. So it
 * is the engine's own pass and needs no turning while it runs.
 */
final class QuaRotLayers implements AutoCloseable {
  private final Checkpoint source;
  private final W4Options options;
  private final Ops ops;
  private final QuaRot quaRot;
  private final LayerForward forward;

  QuaRotLayers(
      Checkpoint source, Calibration calibration, W4Options options, QuaRot quaRot, Ops ops) {
    this.source = source;
    this.options = options;
    this.ops = ops;
    this.quaRot = quaRot;
    LinearSource.Plain table = source.embedding();
    PackedMatrix embedding =
        new PackedMatrix(
            table.name(), table.weight().data(), table.rows(), table.cols(), table.format(), null);
    forward = new LayerForward(source.config(), ops, embedding, calibration);
  }

  /** Quantizes the next layer. */
  W4Layer next(LayerSource layer) {
    double[] ones = quaRot.finalNorm();
    LayerRewrite rewrite = quaRot.layer(ones, ones);
    Map<Norm, float[]> norms = W4Rounding.norms(layer, rewrite);
    Map<Matrix, W4Linear> linears = new EnumMap<>(Matrix.class);
    forward.enter(norms);
    try (Arena arena = Arena.ofShared()) {
      Layer work = new Layer(layer, rewrite, linears, arena);
      forward.attentionInputs(work.observe(Matrix.K));
      work.quantize(Matrix.K, Matrix.V, Matrix.Q);
      forward.outputInputs(work.observe(Matrix.O));
      work.quantize(Matrix.O);
      forward.mlpInputs(work.observe(Matrix.UP));
      work.quantize(Matrix.UP, Matrix.GATE);
      forward.downInputs(work.observe(Matrix.DOWN));
      work.quantize(Matrix.DOWN);
      forward.leave();
    }
    return new W4Layer(linears, norms, rewrite.online());
  }

  /**
   * Passes through a layer that is finished.
   *
   * @param rounded its matrices
   */
  void pass(LayerSource layer, Function<Matrix, W4Matrix> rounded) {
    double[] ones = quaRot.finalNorm();
    LayerRewrite rewrite = quaRot.layer(ones, ones);
    try (Arena arena = Arena.ofShared()) {
      Layer work = new Layer(layer, rewrite, new EnumMap<>(Matrix.class), arena);
      forward.pass(
          new LayerWeights(
              LayerTensors.matrices(m -> work.turnedBack(m, rounded.apply(m), work.bias(m))),
              W4Rounding.norms(layer, rewrite)));
    }
  }

  /** One layer in the making. */
  private final class Layer {
    private final LayerSource layer;
    private final LayerRewrite rewrite;
    private final Map<Matrix, W4Linear> linears;
    private final Arena arena;
    private Hessian hessian = new Hessian(1);

    Layer(LayerSource layer, LayerRewrite rewrite, Map<Matrix, W4Linear> linears, Arena arena) {
      this.layer = layer;
      this.rewrite = rewrite;
      this.linears = linears;
      this.arena = arena;
    }

    /** Takes the inputs of a linear, turned, into a new Hessian. */
    LayerForward.Inputs observe(Matrix which) {
      Change change = rewrite.inputs(which);
      int cols = which.cols(source.config());
      Hessian into = new Hessian(cols);
      hessian = into;
      return (x, tokens, sequences) ->
          into.add(turned(x, tokens, cols, change), tokens, sequences, ops);
    }

    private float[] turned(float[] x, int tokens, int cols, Change change) {
      double[] scale = change.scale();
      float[] turned = new float[tokens * cols];
      int piece = 64;
      ops.forEach(
          Math.ceilDiv(tokens, piece),
          (task, _) -> {
            int from = task * piece * cols;
            double[] rows = new double[Math.min(piece * cols, tokens * cols - from)];
            for (int i = 0; i < rows.length; i++) {
              rows[i] = scale == null ? x[from + i] : x[from + i] / scale[i % cols];
            }
            if (change.transform() != null) {
              change.transform().applyRows(rows);
            }
            for (int i = 0; i < rows.length; i++) {
              turned[from + i] = (float) rows[i];
            }
          });
      return turned;
    }

    void quantize(Matrix... which) {
      InverseFactor factor = factor(layer.matrix(which[0]).name());
      for (Matrix m : List.of(which)) {
        quantize(m, factor);
      }
    }

    private InverseFactor factor(String name) {
      try {
        return InverseFactor.of(hessian, options.actOrder(), options.damping(), ops);
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(
            "%s: inputs of %s: %s".formatted(source.directory(), name, e.getMessage()), e);
      }
    }

    /** A linear in QuaRot's coordinates. */
    private DoubleLinear turned(Matrix which) {
      DoubleLinear linear = DoubleLinear.of((LinearSource.Plain) layer.matrix(which));
      switch (which) {
        case Q, K, V -> linear.scaleInputs(DoubleLinear.doubles(layer.inputNorm()));
        case GATE, UP -> linear.scaleInputs(DoubleLinear.doubles(layer.postAttentionNorm()));
        case O, DOWN -> {}
      }
      return rewrite.apply(which, linear, ops);
    }

    /** Its bias, in doubles: the file has them rounded, which would not turn back to the same. */
    double @Nullable [] bias(Matrix which) {
      LinearSource.Plain plain = (LinearSource.Plain) layer.matrix(which);
      return plain.bias() == null ? null : turned(which).bias();
    }

    private void quantize(Matrix which, InverseFactor factor) {
      DoubleLinear linear = turned(which);
      W4Gptq.Result result;
      try {
        result = W4Gptq.quantize(linear.toFloats(), linear.rows(), factor, ops);
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(
            "%s: tensor %s.weight: %s"
                .formatted(source.directory(), layer.matrix(which).name(), e.getMessage()),
            e);
      }
      float[] bias = W4Rounding.floats(linear.bias());
      linears.put(which, new W4Linear(result.matrix(), bias, result.latents()));
      forward.put(which, turnedBack(which, result.matrix(), linear.bias()));
    }

    /** What was quantized, in the model's own coordinates. */
    Linear turnedBack(Matrix which, W4Matrix matrix, double @Nullable [] bias) {
      float[] rounded = matrix.dequantize();
      double[] weight = new double[rounded.length];
      Arrays.setAll(weight, i -> rounded[i]);
      DoubleLinear linear = new DoubleLinear(matrix.rows(), matrix.cols(), weight, bias);
      rewrite.undo(which, linear, ops);
      float[] back = linear.toFloats();
      MemorySegment segment = arena.allocate(4L * back.length, 64);
      MemorySegment.copy(back, 0, segment, ValueLayout.JAVA_FLOAT, 0, back.length);
      PackedMatrix packed =
          new PackedMatrix(
              layer.matrix(which).name(),
              segment,
              linear.rows(),
              linear.cols(),
              QuantFormat.Dense.FP32,
              null);
      return new Linear(packed, W4Rounding.floats(linear.bias()));
    }
  }

  @Override
  public void close() {
    forward.close();
  }
}
