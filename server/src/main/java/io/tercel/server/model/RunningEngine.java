package io.tercel.server.model;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.RandomWeights;
import io.tercel.kernels.memory.RoundingLoss;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightPlan;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Backend;
import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.engine.ServiceClass;
import java.time.Duration;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A checkpoint that computes: weights, backend and engine, for who works with token ids alone.
 * Closing goes the other way round: engine, KV (by the backend), weights.
 */
public final class RunningEngine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RunningEngine.class);

  private final ServingPlan plan;
  private final WeightStore weights;
  private final Engine engine;
  private final Backend backend;

  private RunningEngine(ServingPlan plan, WeightStore weights, Engine engine, Backend backend) {
    this.plan = plan;
    this.weights = weights;
    this.engine = engine;
    this.backend = backend;
  }

  /**
   * Loads a checkpoint's weights and starts an engine on them.
   *
   * @param eosTokenIds end a choice
   * @throws UserException or {@code CheckpointException}, one line each, and nothing stays
   *     allocated
   */
  public static RunningEngine open(
      Checkpoint checkpoint,
      ServingOptions options,
      Set<Integer> eosTokenIds,
      LoadProgress progress) {
    ServingPlan plan = ServingPlan.of(checkpoint, options);
    WeightStore weights =
        WeightLoader.load(
            checkpoint,
            options.lmHeadType(),
            options.packedCache(checkpoint.directory()),
            plan.available(),
            logging(progress));
    String leftOut = LeftOutTensors.warning(checkpoint.directory(), checkpoint.unexpectedTensors());
    if (leftOut != null) {
      log.warn(leftOut);
    }
    return start(plan, weights, options, eosTokenIds);
  }

  /** Tells the log what there is to be said beside the progress. */
  private static LoadProgress logging(LoadProgress progress) {
    return new LoadProgress() {
      @Override
      public void loaded(String name, long doneBytes, long totalBytes) {
        progress.loaded(name, doneBytes, totalBytes);
      }

      @Override
      public void note(String message) {
        log.info(message);
      }

      @Override
      public void warn(String message) {
        log.warn(message);
      }

      @Override
      public void rounded(String name, RoundingLoss loss) {
        log.info("{} rounded to 8 bits: off by {}", name, loss.describe());
        progress.rounded(name, loss);
      }
    };
  }

  /** Starts an engine on random weights of a shape, see {@link RandomWeights}. */
  static RunningEngine random(
      ModelConfig config,
      QuantFormat linears,
      QuantFormat.Dense head,
      long seed,
      ServingOptions options,
      Set<Integer> eosTokenIds) {
    LmHeadType headType = options.lmHeadType();
    WeightPlan shapes = WeightPlan.of(config, linears, head, headType);
    ServingPlan plan = ServingPlan.of(config, shapes, options, Backends.available(options));
    WeightStore weights = RandomWeights.create(config, linears, head, headType, seed);
    return start(plan, weights, options, eosTokenIds);
  }

  private static RunningEngine start(
      ServingPlan plan, WeightStore weights, ServingOptions options, Set<Integer> eosTokenIds) {
    try {
      Backend backend = Backends.open(weights, plan, options);
      Engine engine = new Engine(backend, engineConfig(plan, options, eosTokenIds));
      return new RunningEngine(plan, weights, engine, backend);
    } catch (Throwable t) {
      weights.close();
      throw t;
    }
  }

  private static EngineConfig engineConfig(
      ServingPlan plan, ServingOptions options, Set<Integer> eosTokenIds) {
    ModelConfig config = plan.config();
    EngineConfig.Builder limits = EngineConfig.builder(plan.maxModelLen(), config.vocabSize());
    for (ServiceClass c : ServiceClass.values()) {
      limits.quota(c, options.quota(c));
    }
    return limits
        .maxNumSeqs(options.maxNumSeqs())
        .maxNumBatchedTokens(options.maxNumBatchedTokens())
        .maxChoices(options.maxChoices())
        .eosTokenIds(eosTokenIds)
        .prefixCaching(options.prefixCaching())
        .stallTimeout(options.stallTimeout())
        .speculation(options.speculation())
        .prefixCacheListener(options.prefixCacheListener())
        .build();
  }

  public ServingPlan plan() {
    return plan;
  }

  public WeightStore weights() {
    return weights;
  }

  public Engine engine() {
    return engine;
  }

  /** As answers name it. */
  public String backendName() {
    return backend.name();
  }

  /**
   * Computes a few steps that nobody asked for, see {@link FirstSteps}; to be called before there
   * are requests.
   *
   * @param atMost after so long no more begin
   */
  void takeFirstSteps(Duration atMost) {
    FirstSteps steps = new FirstSteps(backend, plan.config().vocabSize());
    engine.betweenSteps(() -> steps.run(atMost)).join();
  }

  @Override
  public void close() {
    engine.close();
    weights.close();
  }
}
