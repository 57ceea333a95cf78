package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.ops.Ops;
import io.tercel.server.UserException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Quantizes a model layer by layer, each on the inputs that the layers before it give once they are
 * quantized, and writes it as it goes. Besides the mapped checkpoint, memory holds one decoder
 * layer, the hidden states of the calibration, and what the method wants to know of one input.
 *
 * <p>A run that was cut short goes on behind the last layer it finished: the calibration passes
 * through what lies in the file, to the same bits.
 */
public final class Quantizer {
  /** Told when a linear layer is done. */
  @FunctionalInterface
  public interface Progress {
    /**
     * @param weights of that layer
     */
    void done(String name, long weights);

    /** So many weights were done by an earlier run. */
    default void resumed(long weights) {}
  }

  private final Checkpoint source;
  private final @Nullable Calibration calibration;
  private final QuantizeOptions options;
  private final Ops ops;
  private final Progress progress;

  /**
   * @param calibration required but for RTN, where it only serves to measure output errors
   */
  private Quantizer(
      Checkpoint source,
      @Nullable Calibration calibration,
      QuantizeOptions options,
      Ops ops,
      Progress progress) {
    this.source = source;
    this.calibration = calibration;
    this.options = options;
    this.ops = ops;
    this.progress = progress;
  }

  /**
   * Quantizes a checkpoint into a new directory.
   *
   * @param calibration required but for RTN, where it only serves to measure output errors
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
    try (ExportDirectory directory = new ExportDirectory(target)) {
      return quantize(source, directory, calibration, options, ops, progress);
    }
  }

  /** Likewise into a directory that may hold the beginnings of it. */
  static QuantizeReport quantize(
      Checkpoint source,
      ExportDirectory directory,
      @Nullable Calibration calibration,
      QuantizeOptions options,
      Ops ops,
      Progress progress)
      throws IOException {
    checkShapes(source);
    if (calibration == null && options.method().observes()) {
      throw new UserException(
          "--calibration is missing: %s needs texts to observe"
              .formatted(options.method().label()));
    }
    Quantizer quantizer = new Quantizer(source, calibration, options, ops, progress);
    ObjectNode settings = QuantizeJournal.settings(options.toJson(), calibration, source);
    try (GptqExport export = new GptqExport(source, directory, options, settings)) {
      QuantizeReport report = new QuantizeReport(options, calibration);
      quantizer.run(export);
      export.done().forEach(report::add);
      export.commit(report);
      return report;
    } catch (CheckpointException e) {
      directory.discard(); // the model is at fault, and would be again
      throw e;
    }
  }

  /** Refuses, before any work, what the file format cannot hold. */
  static void checkShapes(Checkpoint source) {
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
    List<LayerSource> layers = source.layers();
    int done = export.done().size();
    try (LayerMethod method = method()) {
      if (done > 0) {
        pass(layers.subList(0, done), export, method);
      }
      for (int i = done; i < layers.size(); i++) {
        try (Arena arena = Arena.ofShared()) {
          method.quantize(
              layers.get(i), new LayerExport(i, layers.get(i), export, progress, arena));
        }
      }
    }
  }

  private void pass(List<LayerSource> layers, GptqExport export, LayerMethod method) {
    try (Arena file = Arena.ofShared()) {
      FinishedLayers finished = new FinishedLayers(export.tensors(), export.v2(), ops, file);
      for (LayerSource layer : layers) {
        try (Arena arena = Arena.ofShared()) {
          method.pass(finished.layer(layer, arena));
        }
        progress.resumed(
            layer.matrices().stream().mapToLong(m -> (long) m.rows() * m.cols()).sum());
      }
    }
  }

  private LayerMethod method() {
    if (calibration == null) {
      return new RtnLayers(options, ops);
    }
    long tokens = calibration.numTokens();
    LayerForward forward = forward(calibration);
    if (options.method() != QuantizeOptions.Method.AWQ) {
      return new GptqLayers(options, forward, tokens, ops);
    }
    LayerForward probe = forward(AwqLayers.probes(calibration));
    return new AwqLayers(options, forward, probe, tokens, ops);
  }

  private LayerForward forward(Calibration sequences) {
    LinearSource.Plain table = source.embedding();
    PackedMatrix embedding =
        new PackedMatrix(
            table.name(), table.weight().data(), table.rows(), table.cols(), table.format(), null);
    return new LayerForward(source.config(), ops, embedding, sequences);
  }
}
