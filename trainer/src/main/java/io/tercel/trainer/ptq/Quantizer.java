package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.server.UserException;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Quantizes a model layer by layer, each on the inputs that the layers before it give once they are
 * quantized, and writes it as it goes. Besides the mapped checkpoint, memory holds one decoder
 * layer, the hidden states of the calibration, and one Hessian with its factor.
 */
public final class Quantizer {
  /** Rows of inputs on which a layer's output error is measured. */
  private static final int SAMPLE = 512;

  /** Told when a linear layer is done. */
  @FunctionalInterface
  public interface Progress {
    /**
     * @param weights of that layer
     */
    void done(String name, long weights);
  }

  private final Checkpoint source;
  private final QuantizeOptions options;
  private final Ops ops;
  private final Progress progress;
  private final QuantizeReport report;
  private final @Nullable Calibration calibration;

  private Quantizer(
      Checkpoint source,
      @Nullable Calibration calibration,
      QuantizeOptions options,
      Ops ops,
      Progress progress) {
    this.source = source;
    this.options = options;
    this.ops = ops;
    this.progress = progress;
    this.report = new QuantizeReport(options, calibration);
    this.calibration = calibration;
  }

  /**
   * Quantizes a checkpoint into a new directory.
   *
   * @param calibration required for GPTQ; with RTN it only serves to measure output errors
   * @return what it did to each layer; also written beside the model
   * @throws UserException if the checkpoint's shape or the target doesn't do
   * @throws CheckpointException if a weight is not finite
   */
  public static QuantizeReport quantize(
      Checkpoint source,
      Path target,
      @Nullable Calibration calibration,
      QuantizeOptions options,
      Ops ops,
      Progress progress)
      throws IOException {
    checkShapes(source);
    if (calibration == null && options.method() == QuantizeOptions.Method.GPTQ) {
      throw new UserException("--calibration is missing: gptq needs texts to observe");
    }
    Quantizer quantizer = new Quantizer(source, calibration, options, ops, progress);
    try (GptqExport export =
        new GptqExport(source, target, options, options.v2(), options.keepState())) {
      long start = System.nanoTime();
      quantizer.run(export);
      quantizer.report.took((System.nanoTime() - start) / 1e9);
      export.commit(quantizer.report);
    }
    return quantizer.report;
  }

  /** Refuses, before any work, what the file format cannot hold. */
  private static void checkShapes(Checkpoint source) {
    for (LinearSource linear : GptqExport.linears(source)) {
      if (!(linear instanceof LinearSource.Plain)) {
        throw new UserException(
            "--model: %s is quantized already (%s); give the 16-bit model"
                .formatted(source.directory(), linear.name()));
      }
      if (linear.rows() % 32 != 0 || linear.cols() % 32 != 0) {
        throw new UserException(
            "--model: %s is %d x %d; w3g128 needs multiples of 32"
                .formatted(linear.name(), linear.rows(), linear.cols()));
      }
    }
  }

  private void run(GptqExport export) throws IOException {
    if (calibration == null) {
      for (int i = 0; i < source.layers().size(); i++) {
        LayerSource l = source.layers().get(i);
        for (LinearSource s : List.of(l.k(), l.v(), l.q(), l.o(), l.up(), l.gate(), l.down())) {
          quantizeUnobserved(i, s, export);
        }
      }
      return;
    }
    LinearSource.Plain table = source.embedding();
    PackedMatrix embedding =
        new PackedMatrix(
            table.name(), table.weight().data(), table.rows(), table.cols(), table.format(), null);
    try (LayerForward forward = new LayerForward(source.config(), ops, embedding, calibration)) {
      for (int i = 0; i < source.layers().size(); i++) {
        try (Arena arena = Arena.ofShared()) {
          layer(i, source.layers().get(i), forward, arena, export);
        }
      }
    }
  }

  private void layer(
      int index, LayerSource layer, LayerForward forward, Arena arena, GptqExport export)
      throws IOException {
    forward.enter(layer);
    Observed inputs = new Observed(layer.q().cols());
    forward.attentionInputs(inputs);
    quantize(index, layer, List.of(Matrix.K, Matrix.V, Matrix.Q), inputs, forward, arena, export);

    inputs = new Observed(layer.o().cols());
    forward.outputInputs(inputs);
    quantize(index, layer, List.of(Matrix.O), inputs, forward, arena, export);

    inputs = new Observed(layer.up().cols());
    forward.mlpInputs(inputs);
    quantize(index, layer, List.of(Matrix.UP, Matrix.GATE), inputs, forward, arena, export);

    inputs = new Observed(layer.down().cols());
    forward.downInputs(inputs);
    quantize(index, layer, List.of(Matrix.DOWN), inputs, forward, arena, export);
    forward.leave();
  }

  /** Quantizes linears that share an input, and goes on with them so. */
  private void quantize(
      int index,
      LayerSource layer,
      List<Matrix> which,
      Observed inputs,
      LayerForward forward,
      Arena arena,
      GptqExport export)
      throws IOException {
    InverseFactor factor = inputs.factor(layer.matrix(which.getFirst()).name());
    for (Matrix m : which) {
      forward.put(m, quantize(index, layer.matrix(m), inputs, factor, arena, export));
    }
  }

  /** What is kept of the inputs that some linears share: their Hessian and a sample. */
  private final class Observed implements LayerForward.Inputs {
    private final int cols;
    private final @Nullable Hessian hessian;
    private final float[] sample;
    private final long every;
    private long seen;
    private int sampled;

    Observed(int cols) {
      this.cols = cols;
      this.hessian = options.method() == QuantizeOptions.Method.GPTQ ? new Hessian(cols) : null;
      long tokens = calibration == null ? 0 : calibration.numTokens();
      this.every = Math.max(1, Math.ceilDiv(tokens, SAMPLE));
      this.sample = new float[(int) Math.min(tokens, SAMPLE) * cols];
    }

    @Override
    public void accept(float[] x, int tokens, int sequences) {
      if (hessian != null) {
        hessian.add(x, tokens, sequences, ops);
      }
      for (int t = 0; t < tokens; t++) {
        if (seen++ % every == 0 && sampled < sample.length / cols) {
          System.arraycopy(x, t * cols, sample, sampled++ * cols, cols);
        }
      }
    }

    @Nullable InverseFactor factor(String name) {
      if (hessian == null) {
        return null;
      }
      try {
        return InverseFactor.of(hessian, options.actOrder(), options.damping(), ops);
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(
            "%s: inputs of %s: %s".formatted(source.directory(), name, e.getMessage()), e);
      }
    }

    /** |(W^ - W) X| / |W X| on the sample. */
    double outputError(Linear before, Linear after) {
      int rows = before.weight().rows();
      float[] expected = new float[sampled * rows];
      float[] actual = new float[sampled * rows];
      multiply(before, expected);
      multiply(after, actual);
      return relativeError(actual, expected);
    }

    private void multiply(Linear linear, float[] out) {
      Projection projection = Projection.of(linear);
      PreparedInput input = new PreparedInput();
      ops.prepare(projection, sample, sampled, input);
      ops.linear(projection, input, new float[][] {out});
    }
  }

  private Linear quantize(
      int index,
      LinearSource linear,
      Observed inputs,
      @Nullable InverseFactor factor,
      Arena arena,
      GptqExport export)
      throws IOException {
    Gptq.Result result = round(linear, factor);
    export.write(linear.name(), result.matrix(), result.latents());
    Linear before =
        new Linear(
            new PackedMatrix(
                linear.name(),
                ((LinearSource.Plain) linear).weight().data(),
                linear.rows(),
                linear.cols(),
                linear.format(),
                null),
            null);
    PackedMatrix blocks = GptqTensors.blocks(linear.name(), result.matrix(), arena);
    report(
        index,
        linear,
        result.matrix(),
        inputs.outputError(before, new Linear(blocks, null)),
        factor);
    Tensor bias = linear.bias();
    return new Linear(blocks, bias == null ? null : bias.toFloats());
  }

  private void quantizeUnobserved(int index, LinearSource linear, GptqExport export)
      throws IOException {
    Gptq.Result result = round(linear, null);
    export.write(linear.name(), result.matrix(), result.latents());
    report(index, linear, result.matrix(), Double.NaN, null);
  }

  private Gptq.Result round(LinearSource linear, @Nullable InverseFactor factor) {
    float[] weight = ((LinearSource.Plain) linear).weight().toFloats();
    try {
      if (factor == null) {
        return new Gptq.Result(
            Rtn.quantize(weight, linear.rows(), linear.cols(), options.grid(), ops), weight);
      }
      Gptq.Settings settings = new Gptq.Settings(options.grid(), options.staticGroups());
      return Gptq.quantize(weight, linear.rows(), factor, settings, ops);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          "%s: tensor %s.weight: %s".formatted(source.directory(), linear.name(), e.getMessage()),
          e);
    }
  }

  private void report(
      int index,
      LinearSource linear,
      QuantizedMatrix matrix,
      double outputError,
      @Nullable InverseFactor factor) {
    float[] weight = ((LinearSource.Plain) linear).weight().toFloats();
    String name = linear.name().substring(linear.name().lastIndexOf('.') + 1);
    report.add(
        new QuantizeReport.Line(
            index,
            name,
            relativeError(matrix.dequantize(), weight),
            outputError,
            factor == null ? Double.NaN : factor.damping(),
            factor == null ? 0 : factor.numDead()));
    progress.done(linear.name(), (long) linear.rows() * linear.cols());
  }

  /** |actual - expected| / |expected|; 0 if both are zero. */
  static double relativeError(float[] actual, float[] expected) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      double difference = (double) actual[i] - expected[i];
      error += difference * difference;
      size += (double) expected[i] * expected[i];
    }
    return error == 0 ? 0 : Math.sqrt(error / size);
  }
}
