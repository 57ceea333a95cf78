package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.ops.Ops;
import io.tercel.server.UserException;
import io.tercel.trainer.ptq.W4Options.Method;
import io.tercel.trainer.ptq.flatquant.FlatLayer;
import io.tercel.trainer.ptq.flatquant.FlatQuant;
import io.tercel.trainer.ptq.flatquant.LayerStream;
import io.tercel.trainer.ptq.transform.QuaRot;
import io.tercel.trainer.ptq.transform.W4Layer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Brings a model to 4-bit weights, activations, keys and values, layer by layer, and writes it as
 * it goes. Besides the mapped checkpoint, memory holds one decoder layer and the hidden states of
 * the calibration.
 *
 * <p>A run that was cut short goes on behind the last layer it finished: no layer's seeds depend on
 * another layer, and the calibration passes through those that are done, to the same bits.
 */
public final class W4Quantizer implements AutoCloseable {
  /** Sequences on which a layer's error is measured where nothing is learned from them. */
  private static final int SAMPLE = 8;

  /** Told how far it is. */
  @FunctionalInterface
  public interface Progress {
    /**
     * @param layers done, whole and parts
     * @param what is being done
     */
    void at(double layers, String what);
  }

  private final Checkpoint source;
  private final W4Options options;
  private final Ops ops;
  private final Progress progress;
  private final W4Rounding rounding;
  private final W4Report report;
  private final @Nullable LayerStream stream;
  private final @Nullable QuaRot quaRot;
  private final @Nullable QuaRotLayers turned;

  private W4Quantizer(
      Checkpoint source,
      @Nullable Calibration calibration,
      W4Options options,
      Ops ops,
      Progress progress) {
    this.source = source;
    this.options = options;
    this.ops = ops;
    this.progress = progress;
    rounding = new W4Rounding(new W4Rounding.Model(source.directory() + "", source.config()), ops);
    report = new W4Report(options, calibration);
    stream = calibration == null ? null : stream(calibration);
    quaRot = options.method() == Method.QUAROT ? new QuaRot(source.config(), options.seed()) : null;
    turned =
        quaRot == null || calibration == null
            ? null
            : new QuaRotLayers(source, calibration, options, quaRot, ops);
  }

  private LayerStream stream(Calibration calibration) {
    List<int[]> sequences = calibration.sequences();
    boolean all = options.method() == Method.FLATQUANT;
    return new LayerStream(
        source.config(),
        source.embedding().weight(),
        all ? sequences : sequences.subList(0, Math.min(SAMPLE, sequences.size())),
        options.flat().batch());
  }

  /**
   * Quantizes a checkpoint into a new directory.
   *
   * @param calibration required but for RTN, where it only serves to measure errors
   * @return what it did to each layer; also written beside the model
   * @throws UserException if the checkpoint's shape or the target doesn't do
   * @throws CheckpointException if a weight is not finite
   */
  public static W4Report quantize(
      Checkpoint source,
      Path target,
      @Nullable Calibration calibration,
      W4Options options,
      Ops ops,
      Progress progress)
      throws IOException {
    checkShapes(source);
    try (ExportDirectory directory = new ExportDirectory(target)) {
      return quantize(source, directory, calibration, options, ops, progress);
    }
  }

  /** Likewise into a directory that may hold the beginnings of it. */
  static W4Report quantize(
      Checkpoint source,
      ExportDirectory directory,
      @Nullable Calibration calibration,
      W4Options options,
      Ops ops,
      Progress progress)
      throws IOException {
    checkShapes(source);
    if (calibration == null && options.method().observes()) {
      throw new UserException(
          "--calibration is missing: %s needs texts to observe"
              .formatted(options.method().label()));
    }
    QuantizeJournal journal =
        QuantizeJournal.open(
            directory.resolve(QuantizeJournal.FILE),
            QuantizeJournal.settings(options.toJson(), calibration, source));
    try (W4Quantizer quantizer = new W4Quantizer(source, calibration, options, ops, progress)) {
      quantizer.run(directory, journal);
      return quantizer.report;
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
      if (linear.cols() % 2 != 0) {
        throw new UserException(
            "--model: %s has %d inputs; w4a4kv4 needs an even number"
                .formatted(linear.name(), linear.cols()));
      }
    }
  }

  private void run(ExportDirectory directory, QuantizeJournal journal) throws IOException {
    int done = journal.layers().size();
    W4Export export = done == 0 ? null : new W4Export(source, directory, done, options.keepState());
    try {
      if (export != null) {
        journal.layers().forEach(node -> report.add(W4Report.Line.of(node)));
        pass(source.layers().subList(0, done), export.tensors());
      }
      for (int i = done; i < source.layers().size(); i++) {
        long start = System.nanoTime();
        LayerSource layer = source.layers().get(i);
        FlatLayer learned = options.method() == Method.FLATQUANT ? learn(i, layer) : null;
        W4Layer quantized = quantize(i, layer, learned);
        List<FlatLayer.Trained> trained = learned == null ? List.of() : learned.state();
        if (export == null) {
          export =
              new W4Export(
                  source, directory, quantized.online(), trained, quaRot, options.keepState(), ops);
        }
        export.write(i, quantized, trained);
        W4Report.Line line = measure(i, layer, quantized, start);
        export.force();
        journal.add(line.toJson());
        directory.keep();
        report.add(line);
        progress.at(i + 1, "");
      }
      if (export == null) {
        throw new UserException("--model: " + source.directory() + " has no layers");
      }
      export.commit(report);
    } finally {
      if (export != null) {
        export.close();
      }
    }
  }

  /** Brings the calibration behind layers that an earlier run has finished. */
  private void pass(List<LayerSource> layers, Path tensors) {
    try (Arena arena = Arena.ofShared()) {
      FinishedMatrices finished = new FinishedMatrices(tensors, arena);
      for (int i = 0; i < layers.size(); i++) {
        LayerSource layer = layers.get(i);
        if (turned != null) {
          turned.pass(layer, which -> finished.matrix(layer.matrix(which)));
        }
        if (stream != null) {
          stream.enter(layer);
          stream.leave();
        }
        progress.at(i + 1, "resumed");
      }
    }
  }

  private FlatLayer learn(int index, LayerSource layer) {
    LayerStream inputs = require(stream);
    int[] done = new int[1];
    int[] steps = new int[1];
    FlatQuant flat =
        new FlatQuant(
            options.flat(),
            inputs,
            loss ->
                progress.at(
                    index + (double) ++done[0] / (steps[0] + 1),
                    String.format(java.util.Locale.ROOT, "loss %.4f", loss)));
    steps[0] = flat.steps();
    return flat.learn(index, layer);
  }

  private W4Layer quantize(int index, LayerSource layer, @Nullable FlatLayer learned) {
    progress.at(index, "rounding");
    if (turned != null) {
      return turned.next(layer);
    }
    return learned == null ? rounding.rtn(layer) : rounding.flat(layer, learned);
  }

  private W4Report.Line measure(int index, LayerSource layer, W4Layer quantized, long start) {
    double error = Double.NaN;
    double plain = Double.NaN;
    if (stream != null) {
      progress.at(index + 0.95, "measuring");
      if (stream.outputs().length == 0) {
        stream.enter(layer);
      }
      float[][] inputs = turned(stream.inputs());
      error =
          LayerStream.error(stream.quantized(quantized, inputs), inputs, turned(stream.outputs()));
      plain =
          options.method() == Method.RTN
              ? error
              : stream.error(stream.quantized(rounding.rtn(layer), stream.inputs()));
      stream.leave();
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    return new W4Report.Line(index, error, plain, W4Export.bytes(quantized), seconds);
  }

  /** States in the coordinates of the quantized model. */
  private float[][] turned(float[][] states) {
    if (quaRot == null) {
      return states;
    }
    float[][] turned = new float[states.length][];
    for (int s = 0; s < states.length; s++) {
      double[] rows = new double[states[s].length];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = states[s][i];
      }
      quaRot.states(rows, ops);
      turned[s] = new float[rows.length];
      for (int i = 0; i < rows.length; i++) {
        turned[s][i] = (float) rows[i];
      }
    }
    return turned;
  }

  private static LayerStream require(@Nullable LayerStream stream) {
    if (stream == null) {
      throw new IllegalStateException("nothing to learn from");
    }
    return stream;
  }

  @Override
  public void close() {
    if (turned != null) {
      turned.close();
    }
  }
}
