package io.tercel.trainer.share;

import io.tercel.server.metrics.ServerMetrics;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.DoubleConsumer;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The curves of a training, beside the figures of the model that it serves; or nowhere, where
 * nothing is served.
 */
public final class TrainingMetrics {
  private static final double NANOS = 1e9;

  private final @Nullable ServerMetrics registry;
  private final Map<String, DoubleConsumer> gauges = new ConcurrentHashMap<>();
  private final Map<String, ObjDoubleConsumer<String>> byWorker = new ConcurrentHashMap<>();
  private final DoubleConsumer step;
  private final DoubleConsumer loss;
  private final DoubleConsumer tokensPerSecond;
  private final DoubleConsumer learningRate;
  private final DoubleConsumer gradientNorm;
  private final DoubleConsumer packing;
  private final DoubleConsumer pause;
  private final DoubleConsumer flipped;
  private final DoubleConsumer copied;
  private final DoubleConsumer version;

  /**
   * What an optimizer step has come to.
   *
   * @param step counted from 1, over all runs of a training that was resumed
   * @param gradientNorm before it was clipped
   */
  public record Step(
      long step, double loss, double tokensPerSecond, double learningRate, double gradientNorm) {}

  TrainingMetrics(@Nullable ServerMetrics registry) {
    this.registry = registry;
    step = gauge("step", "Optimizer steps taken.");
    loss = gauge("loss", "Loss of the last step.");
    tokensPerSecond = gauge("tokens_per_second", "Tokens trained on a second, last step.");
    learningRate = gauge("learning_rate", "Learning rate of the last step.");
    gradientNorm = gauge("gradient_norm", "Norm of the last step's gradient, before clipping.");
    packing = gauge("publish_pack_seconds", "Time to round, pack and compare the weights.");
    pause = gauge("publish_pause_seconds", "Time the engine stood still for the last weights.");
    flipped = gauge("codes_flipped", "Codes that the last publication has changed.");
    copied = gauge("publish_bytes", "Bytes that the last publication has copied.");
    version = gauge("weight_version", "Version that the last publication is served as.");
  }

  /**
   * A figure more, such as an accuracy; 0 until it is given. Asked for again, it is the same one.
   *
   * @param name goes on {@code tercel_training_}
   */
  public DoubleConsumer gauge(String name, String help) {
    ServerMetrics known = registry;
    return known == null
        ? _ -> {}
        : gauges.computeIfAbsent(name, _ -> known.gauge("tercel_training_" + name, help));
  }

  /**
   * A figure of each of several rollout workers. Asked for again, it is the same one.
   *
   * @param name goes on {@code tercel_training_}
   * @return takes a worker's present value
   */
  public ObjDoubleConsumer<String> workers(String name, String help) {
    ServerMetrics known = registry;
    return known == null
        ? (_, _) -> {}
        : byWorker.computeIfAbsent(
            name, _ -> known.gauges("tercel_training_" + name, help, "worker"));
  }

  /** An optimizer step was taken. */
  public void stepped(Step taken) {
    step.accept(taken.step);
    loss.accept(taken.loss);
    tokensPerSecond.accept(taken.tokensPerSecond);
    learningRate.accept(taken.learningRate);
    gradientNorm.accept(taken.gradientNorm);
  }

  /** Weights went into service. */
  public void published(Publication publication) {
    packing.accept(publication.packNanos() / NANOS);
    pause.accept(publication.pauseNanos() / NANOS);
    flipped.accept(publication.codesFlipped());
    copied.accept(publication.bytesCopied());
    version.accept(publication.version());
  }
}
