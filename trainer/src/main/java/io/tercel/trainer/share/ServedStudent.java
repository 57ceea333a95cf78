package io.tercel.trainer.share;

import io.tercel.kernels.exchange.WeightHistory;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import io.tercel.server.cli.ModelServing;
import io.tercel.server.cli.ServeAddress;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A student that answers while it learns: a model that runs in the trainer's process, on ports if
 * that is asked for, and takes over what is trained whenever it is {@linkplain #publish published}.
 */
public final class ServedStudent implements AutoCloseable {
  /** What answers may still take once training has ended. */
  private static final Duration DRAIN = Duration.ofSeconds(10);

  private final RunningModel model;
  private final @Nullable ModelServing serving;
  private final TrainingMetrics metrics;
  private @Nullable WeightSharing sharing;
  private @Nullable WeightHistory history;

  private ServedStudent(
      RunningModel model, @Nullable ModelServing serving, @Nullable ServerMetrics metrics) {
    this.model = model;
    this.serving = serving;
    this.metrics = new TrainingMetrics(metrics);
  }

  /**
   * A model that somebody else serves, and closes.
   *
   * @param metrics of its server
   */
  public static ServedStudent of(RunningModel model, ServerMetrics metrics) {
    return new ServedStudent(model, null, metrics);
  }

  /**
   * Loads a model, starts its engine, and serves it; ready when this returns.
   *
   * @param directory of the quantized model that training starts from
   * @param address null for no ports: the engine is for the trainer alone
   * @param services of gRPC, besides those of a model; they need a gRPC port
   * @throws UserException or {@code CheckpointException}, one line each, and nothing stays
   *     allocated
   */
  public static ServedStudent open(
      Path directory,
      ServingOptions options,
      @Nullable ServeAddress address,
      Keys keys,
      List<GrpcService> services) {
    RunningModel model = RunningModel.open(directory, options, null, LoadProgress.SILENT);
    try {
      ModelServing serving =
          address == null ? null : ModelServing.start(model, address, keys, DRAIN, services);
      return new ServedStudent(model, serving, serving == null ? null : serving.metrics());
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** What runs. */
  public RunningModel running() {
    return model;
  }

  /** Where it is served, by itself; null where it isn't, or somebody else does. */
  public @Nullable ModelServing serving() {
    return serving;
  }

  /** The training's curves, at {@code /metrics} where it is served. */
  public TrainingMetrics metrics() {
    return metrics;
  }

  /**
   * Says what is trained; to be called before {@link #publish}, and once by each run.
   *
   * @throws IllegalArgumentException that names the first which the model doesn't have, or has in
   *     another shape or format
   */
  public void share(Collection<? extends TrainedTensor> tensors) {
    sharing = new WeightSharing(model.running(), tensors, () -> history);
  }

  /**
   * Has it kept from now on which weights are published when, for whoever sends them on; to be
   * called by the thread that publishes.
   *
   * @throws IllegalArgumentException if a tensor is served in a form that can't be sent
   */
  public WeightHistory keepHistory() {
    WeightHistory kept = new WeightHistory(model.running().weights());
    history = kept;
    return kept;
  }

  /** Puts what is trained now into service, see {@link WeightSharing#publish}. */
  public Publication publish() {
    WeightSharing with = sharing;
    if (with == null) {
      throw new IllegalStateException("nothing is shared yet");
    }
    Publication publication = with.publish();
    metrics.published(publication);
    return publication;
  }

  /** Has requests that run answered for a while, then stops. */
  @Override
  public void close() {
    try {
      if (serving != null) {
        serving.drain();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // whoever is in a hurry has nobody waited for
    } finally {
      if (serving != null) {
        serving.close();
      }
      model.close();
    }
  }
}
