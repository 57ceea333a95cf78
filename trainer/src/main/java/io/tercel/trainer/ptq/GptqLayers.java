package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Quantizes layers by GPTQ, or by rounding to nearest that is only watched, each linear on the
 * inputs that all that lies before gives once it is quantized. Memory: one Hessian and its factor.
 */
final class GptqLayers implements LayerMethod {
  private final QuantizeOptions options;
  private final Ops ops;
  private final LayerForward forward;
  private final long tokens;

  GptqLayers(QuantizeOptions options, LayerForward forward, long tokens, Ops ops) {
    this.options = options;
    this.forward = forward;
    this.tokens = tokens;
    this.ops = ops;
  }

  @Override
  public void quantize(LayerSource layer, LayerExport to) throws IOException {
    forward.enter(layer);
    quantize(layer, List.of(Matrix.K, Matrix.V, Matrix.Q), forward::attentionInputs, to);
    quantize(layer, List.of(Matrix.O), forward::outputInputs, to);
    quantize(layer, List.of(Matrix.UP, Matrix.GATE), forward::mlpInputs, to);
    quantize(layer, List.of(Matrix.DOWN), forward::downInputs, to);
    forward.leave();
    to.finish(layer.mapNorms(Tensor::toFloats));
  }

  /** Quantizes linears that share an input, and goes on with them so. */
  private void quantize(
      LayerSource layer, List<Matrix> which, Consumer<LayerForward.Inputs> pass, LayerExport to)
      throws IOException {
    int cols = layer.matrix(which.getFirst()).cols();
    InputSample sample = new InputSample(cols, tokens, ops);
    Hessian hessian = options.method() == QuantizeOptions.Method.GPTQ ? new Hessian(cols) : null;
    pass.accept(
        (x, count, sequences) -> {
          sample.add(x, count);
          if (hessian != null) {
            hessian.add(x, count, sequences, ops);
          }
        });
    InverseFactor factor = hessian == null ? null : factor(which.getFirst(), hessian, to);
    for (Matrix m : which) {
      quantize(m, (LinearSource.Plain) layer.matrix(m), sample, factor, to);
    }
  }

  private InverseFactor factor(Matrix first, Hessian hessian, LayerExport to) {
    return to.named(
        first,
        () -> {
          try {
            return InverseFactor.of(hessian, options.actOrder(), options.damping(), ops);
          } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("its inputs: " + e.getMessage(), e);
          }
        });
  }

  private void quantize(
      Matrix m,
      LinearSource.Plain plain,
      InputSample sample,
      @Nullable InverseFactor factor,
      LayerExport to)
      throws IOException {
    float[] weight = plain.weight().toFloats();
    int rows = plain.rows();
    Gptq.Result result =
        to.named(
            m,
            () -> {
              if (factor == null) {
                return new Gptq.Result(
                    Rtn.quantize(weight, rows, plain.cols(), options.grid(), ops), weight);
              }
              Gptq.Settings settings = new Gptq.Settings(options.grid(), options.staticGroups());
              return Gptq.quantize(weight, rows, factor, settings, ops);
            });
    QuantizedMatrix rounded =
        factor == null && !options.clip()
            ? result.matrix()
            : Rtn.quantize(weight, rows, plain.cols(), options.plainGrid(), ops);
    Map<String, Number> details = new LinkedHashMap<>();
    if (factor != null) {
      details.put("damping", factor.damping());
      details.put("dead_inputs", factor.numDead());
    }
    LayerExport.Outputs outputs =
        new LayerExport.Outputs(
            sample.error(to.original(m), result.matrix()), sample.error(to.original(m), rounded));
    Tensor bias = plain.bias();
    forward.put(
        m, to.write(m, result, weight, bias == null ? null : bias.toFloats(), outputs, details));
  }

  @Override
  public void pass(LayerWeights finished) {
    forward.pass(finished);
  }

  @Override
  public void close() {
    forward.close();
  }
}
