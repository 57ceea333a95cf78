package io.tercel.trainer.ptq;

import io.tercel.server.cli.Tty;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A bar with the time left on a terminal; elsewhere a line a decoder layer. */
final class QuantizeProgress implements Quantizer.Progress, AutoCloseable {
  private final long total;
  private final int layers;
  private final PrintWriter console;
  private final @Nullable ProgressBar bar;
  private long start = System.nanoTime();
  private long before;
  private long done;

  /**
   * @param total weights of all layers
   * @param layers of the decoder
   * @param console for lines
   */
  QuantizeProgress(long total, int layers, PrintWriter console) {
    this.total = total;
    this.layers = layers;
    this.console = console;
    bar =
        Tty.isTerminal(Tty.STANDARD_ERROR)
            ? new ProgressBarBuilder()
                .setTaskName("quantize")
                .setInitialMax(total)
                .setUnit("k weights", 1000)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(500)
                .setEtaFunction(state -> left())
                .build()
            : null;
  }

  /** By the pace of this run, whatever an earlier one did. */
  private Optional<Duration> left() {
    if (done == before) {
      return Optional.empty();
    }
    double nanos = (double) (System.nanoTime() - start) / (done - before) * (total - done);
    return Optional.of(Duration.ofNanos((long) nanos));
  }

  @Override
  public void resumed(long weights) {
    before += weights;
    done += weights;
    start = System.nanoTime();
    show("resumed", weights);
  }

  @Override
  public void done(String name, long weights) {
    done += weights;
    show(name.substring(name.lastIndexOf('.') + 1), weights);
  }

  private void show(String what, long weights) {
    if (bar != null) {
      bar.setExtraMessage(" " + what);
      bar.stepBy(weights);
      return;
    }
    long layersDone = done * layers / total;
    if (layersDone > (done - weights) * layers / total) {
      String time =
          left()
              .map(
                  d ->
                      String.format(
                          Locale.ROOT, ", %d:%02d left", d.toMinutes(), d.toSecondsPart()))
              .orElse("");
      console.printf("layer %d of %d%s%n", layersDone, layers, time);
      console.flush();
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
