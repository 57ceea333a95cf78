package io.tercel.trainer.ptq;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.Linear;
import io.tercel.trainer.ptq.QuantizeReport.Errors;
import io.tercel.trainer.ptq.QuantizeReport.Line;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * One decoder layer on its way out: each linear, once it is finished, goes to the file, to the
 * report and to whoever watches, and is handed back in the form the engine computes with.
 */
final class LayerExport {
  private final int index;
  private final LayerSource layer;
  private final GptqExport export;
  private final Quantizer.Progress progress;
  private final Arena arena;
  private final List<Line> lines = new ArrayList<>();
  private long since = System.nanoTime();

  /**
   * @param arena holds what is handed back
   */
  LayerExport(
      int index, LayerSource layer, GptqExport export, Quantizer.Progress progress, Arena arena) {
    this.index = index;
    this.layer = layer;
    this.export = export;
    this.progress = progress;
    this.arena = arena;
  }

  /** Memory that lives as long as the layer is worked on. */
  Arena arena() {
    return arena;
  }

  /** The weight as the checkpoint has it. */
  PackedMatrix original(Matrix which) {
    LinearSource.Plain plain = (LinearSource.Plain) layer.matrix(which);
    return new PackedMatrix(
        plain.name(), plain.weight().data(), plain.rows(), plain.cols(), plain.format(), null);
  }

  /** Runs what refuses bad weights, and says of which tensor they are. */
  void check(Matrix which, Runnable work) {
    named(
        which,
        () -> {
          work.run();
          return which;
        });
  }

  /** Likewise, with a result. */
  <T> T named(Matrix which, Supplier<T> work) {
    try {
      return work.get();
    } catch (IllegalArgumentException e) {
      LinearSource.Plain plain = (LinearSource.Plain) layer.matrix(which);
      throw new CheckpointException("%s: %s".formatted(plain.weight().where(), e.getMessage()), e);
    }
  }

  /**
   * Writes a finished linear.
   *
   * @param target what was to be rounded, [rows, cols]
   * @param bias of the linear, or null
   * @param details for the report
   */
  Linear write(
      Matrix which,
      Gptq.Result result,
      float[] target,
      float @Nullable [] bias,
      Outputs outputs,
      Map<String, Number> details)
      throws IOException {
    String name = layer.matrix(which).name();
    QuantizedMatrix matrix = result.matrix();
    export.write(name, matrix, result.latents());
    export.writeBias(layer.matrix(which), bias);
    long now = System.nanoTime();
    double weightError = InputSample.relativeError(matrix.dequantize(), target);
    lines.add(
        new Line(
            index,
            name.substring(name.lastIndexOf('.') + 1),
            new Errors(weightError, outputs.error(), outputs.rtnError()),
            GptqExport.bytes(layer.matrix(which)),
            (now - since) / 1e9,
            details));
    since = now;
    progress.done(name, (long) matrix.rows() * matrix.cols());
    return new Linear(GptqTensors.blocks(name, matrix, arena), bias);
  }

  /**
   * How wrong a linear's outputs are, relative; NaN where nothing was observed.
   *
   * @param rtnError the same of plain rounding
   */
  record Outputs(double error, double rtnError) {
    static final Outputs UNKNOWN = new Outputs(Double.NaN, Double.NaN);
  }

  /** Writes the norms, which end the layer. */
  void finish(Map<Norm, float[]> norms) throws IOException {
    for (Map.Entry<Norm, float[]> norm : norms.entrySet()) {
      export.writeNorm(layer, norm.getKey(), norm.getValue());
    }
    export.finishLayer(lines);
  }
}
