package io.tercel.server.control;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.server.UserException;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineStats;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.hub.DownloadProgress;
import io.tercel.server.hub.HubClient;
import io.tercel.server.hub.HubConfig;
import io.tercel.server.model.ModelLocator;
import io.tercel.server.model.ServedModelInfo;
import io.tercel.server.model.ServedWeights;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.request.ApiConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * What can be done to a served model besides asking it: gRPC's Control and the admin port's routes
 * share it. Its methods may be called from any thread and wait for what they answer.
 */
public final class ServerControl {
  private final InferenceApi api;
  private final ServedModelInfo model;
  private final ServedWeights weights;

  public ServerControl(InferenceApi api, ServedModelInfo model, ServedWeights weights) {
    this.api = api;
    this.model = model;
    this.weights = weights;
  }

  /** Of the weights that the next step computes with. */
  public long weightVersion() {
    return weights.version();
  }

  /** What is served, and how busy it is. */
  public ServerInfo info() {
    ApiConfig config = api.config();
    EngineStats stats = engine().stats();
    List<ServerInfo.ClassLoad> classes = new ArrayList<>();
    for (ServiceClass c : ServiceClass.values()) {
      EngineStats.OfClass of = stats.of(c);
      classes.add(
          new ServerInfo.ClassLoad(
              c.label(), of.running(), of.waiting(), of.generationTokens(), of.preemptions()));
    }
    long version = weights.version();
    return new ServerInfo(
        config.version(),
        config.modelNames(),
        model.backend(),
        version,
        config.systemFingerprint().apply(version),
        new ServerInfo.Limits(
            api.model().maxModelLen(),
            model.maxNumSeqs(),
            model.maxNumBatchedTokens(),
            model.maxWaiting(),
            config.maxChoices()),
        new ServerInfo.KvCache(
            model.kvType(), model.blockSize(), stats.blocks().total(), stats.blocks().free()),
        new ServerInfo.Load(stats.running(), stats.waiting(), engine().paused(), !api.ready()),
        classes);
  }

  /**
   * Takes no step from now on; returns when the last one is done. Requests are admitted and wait.
   *
   * @throws IllegalStateException if the engine has stopped
   */
  public void pause() throws InterruptedException {
    await(engine().pause());
  }

  /** Goes on after {@link #pause}. */
  public void resume() {
    engine().resume();
  }

  public boolean paused() {
    return engine().paused();
  }

  /**
   * Ends a request with what it has got so far.
   *
   * @param id as its answers carry it
   * @throws ApiException 404 if none of that id runs or waits
   */
  public void abort(String id) throws InterruptedException {
    if (!api.abort(id)) {
      throw ApiException.requestNotFound(id);
    }
  }

  /**
   * Ends every sequence that weights older than a version have begun, with what it has got so far.
   *
   * @param version the oldest that a sequence may have begun with
   * @return how many sequences were ended
   * @throws ApiException 400 if the version is below 1, which would end nothing ever
   * @throws IllegalStateException if the engine has stopped
   */
  public int abortStartedBefore(long version) throws InterruptedException {
    if (version < 1) {
      throw ApiException.invalid(
          "weight_version",
          "weight_version must be 1 or more, not "
              + version
              + ": what began with an older version of the weights is ended");
    }
    return await(engine().abortStartedBefore(version));
  }

  /**
   * Reads the model directory's weights again and puts them in place.
   *
   * @return the new version
   * @throws CheckpointException if they don't fit; nothing has changed then
   * @throws IllegalStateException if another reload is under way, or the engine has stopped
   */
  public long reload() {
    return weights.reload();
  }

  /** What is served, for whoever brings new ones. */
  public ServedWeights weights() {
    return weights;
  }

  /**
   * Reads another model's weights and puts them in place: one of the same shapes and format, such
   * as a trainer has just written.
   *
   * @param model a directory, or {@code ORG/NAME[@revision]} of the hub
   * @param field that it came in, for the refusal
   * @return the new version
   * @throws ApiException 400 if there is no such model
   * @throws CheckpointException if they don't fit; nothing has changed then
   * @throws IllegalStateException if others are being read, or the engine has stopped
   */
  public long load(String model, String field) {
    Path from;
    try {
      from = ModelLocator.locate(field, model, ServerControl::hub);
    } catch (UserException e) {
      throw ApiException.invalid(field, String.valueOf(e.getMessage()));
    }
    return weights.load(from);
  }

  private static HubClient hub() {
    return new HubClient(HubConfig.ofProcess(), DownloadProgress.SILENT);
  }

  /**
   * Forgets cached prefixes that nobody holds.
   *
   * @throws IllegalStateException if the engine has stopped
   */
  public void resetPrefixCache() throws InterruptedException {
    await(engine().resetPrefixCache());
  }

  /**
   * Ends all that runs or waits, with what it has got so far.
   *
   * @return how many sequences were ended
   * @throws IllegalStateException if the engine has stopped
   */
  public int abortAll() throws InterruptedException {
    return await(engine().abort(_ -> true));
  }

  private static <T extends @Nullable Object> T await(Future<T> done) throws InterruptedException {
    try {
      return done.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    }
  }

  /**
   * Hashes all weights, of one version, on the calling thread: about a second a gigabyte.
   *
   * @throws ConcurrentModificationException if they change all the time
   */
  public WeightChecksum checksum() {
    return weights.checksum();
  }

  /**
   * Stops admissions on every wire, for good; what runs goes on.
   *
   * @return sequences that run or wait still
   */
  public int drain() {
    api.drain();
    EngineStats stats = engine().stats();
    return stats.running() + stats.waiting();
  }

  private Engine engine() {
    return api.model().engine();
  }
}
