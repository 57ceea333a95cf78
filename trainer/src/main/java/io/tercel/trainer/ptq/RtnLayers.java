package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.ops.Ops;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Rounds layers to nearest, each weight by itself, with nothing observed. */
final class RtnLayers implements LayerMethod {
  private static final List<Matrix> ORDER =
      List.of(Matrix.K, Matrix.V, Matrix.Q, Matrix.O, Matrix.UP, Matrix.GATE, Matrix.DOWN);

  private final QuantizeOptions options;
  private final Ops ops;

  RtnLayers(QuantizeOptions options, Ops ops) {
    this.options = options;
    this.ops = ops;
  }

  @Override
  public void quantize(LayerSource layer, LayerExport to) throws IOException {
    for (Matrix m : ORDER) {
      LinearSource.Plain plain = (LinearSource.Plain) layer.matrix(m);
      float[] weight = plain.weight().toFloats();
      Gptq.Result result =
          to.named(
              m,
              () ->
                  new Gptq.Result(
                      Rtn.quantize(weight, plain.rows(), plain.cols(), options.grid(), ops),
                      weight));
      Tensor bias = plain.bias();
      to.write(
          m,
          result,
          weight,
          bias == null ? null : bias.toFloats(),
          LayerExport.Outputs.UNKNOWN,
          Map.of());
    }
    to.finish(layer.mapNorms(Tensor::toFloats));
  }

  @Override
  public void pass(LayerWeights finished) {}

  @Override
  public void close() {}
}
