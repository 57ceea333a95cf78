package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.ops.Ops;
import io.tercel.server.UserException;
import io.tercel.trainer.ptq.flatquant.FlatOptions;
import java.io.IOException;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What {@code tercel quantize} takes for W4A4KV4 alone. */
final class W4Flags {
  /** Value of {@code --format}. */
  static final String FORMAT = "w4a4kv4";

  private static final int PER_LAYER = 1000;

  @Option(
      names = "--epochs",
      defaultValue = "15",
      paramLabel = "N",
      description = "flatquant: passes over the calibration for each layer (default 15).")
  private int epochs;

  @Option(
      names = "--batch",
      defaultValue = "4",
      paramLabel = "N",
      description = "flatquant: sequences a step (default 4).")
  private int batch;

  @Option(
      names = "--learning-rate",
      defaultValue = "0.005",
      paramLabel = "X",
      description = "flatquant: of transforms; clips have ten times as much (default 0.005).")
  private double rate;

  /**
   * The options of a run.
   *
   * @throws UserException if one of them doesn't do
   */
  W4Options options(
      W4Options.Method method, boolean actOrder, double damping, long seed, boolean keepState) {
    if (epochs < 0) {
      throw new UserException("--epochs: " + epochs + "; expected at least 0");
    }
    if (batch < 1) {
      throw new UserException("--batch: " + batch + "; expected at least 1");
    }
    if (!(rate > 0 && rate <= 1)) {
      throw new UserException("--learning-rate: " + rate + "; expected above 0, at most 1");
    }
    return new W4Options(
        method, actOrder, damping, seed, new FlatOptions(epochs, batch, rate, seed), keepState);
  }

  /** Quantizes under a progress bar. */
  W4Report quantize(
      Checkpoint source,
      ExportDirectory out,
      @Nullable Calibration observed,
      W4Options options,
      Ops ops)
      throws IOException {
    try (ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName("quantize")
            .setInitialMax((long) source.layers().size() * PER_LAYER)
            .setUnit(" layers", PER_LAYER)
            .setStyle(ProgressBarStyle.ASCII)
            .setUpdateIntervalMillis(500)
            .build()) {
      return W4Quantizer.quantize(
          source,
          out,
          observed,
          options,
          ops,
          (layers, what) -> {
            bar.setExtraMessage(" " + what);
            bar.stepTo(Math.round(layers * PER_LAYER));
          });
    }
  }
}
