package io.tercel.server.model;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightPlan;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.Backend;
import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineConfig;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.Tokenizer;
import io.tercel.server.text.jinja.TemplateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model directory brought to life: weights, backend, engine and text. Closing goes the other way
 * round: engine, KV (by the backend), weights.
 */
public final class RunningModel implements AutoCloseable {
  private final Path directory;
  private final ServingOptions options;
  private final ServingPlan plan;
  private final WeightStore weights;
  private final Tokenizer tokenizer;
  private final Engine engine;
  private final ServedModel served;
  private final String backendName;

  private RunningModel(
      Path directory,
      ServingOptions options,
      ServingPlan plan,
      WeightStore weights,
      Tokenizer tokenizer,
      Engine engine,
      ServedModel served,
      String backendName) {
    this.directory = directory;
    this.options = options;
    this.plan = plan;
    this.weights = weights;
    this.tokenizer = tokenizer;
    this.engine = engine;
    this.served = served;
    this.backendName = backendName;
  }

  /** What serving the directory would take; nothing is loaded. */
  public static ServingPlan plan(Path directory, ServingOptions options) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return plan(checkpoint, options);
    }
  }

  private static ServingPlan plan(Checkpoint checkpoint, ServingOptions options) {
    return ServingPlan.of(
        checkpoint.config(), WeightPlan.of(checkpoint), options, Backends.available(options));
  }

  /**
   * Loads a model and starts its engine.
   *
   * @param chatTemplate replaces the model's own; null for that
   * @throws UserException or {@code CheckpointException}, one line each, and nothing stays
   *     allocated
   */
  public static RunningModel open(
      Path directory, ServingOptions options, @Nullable Path chatTemplate, LoadProgress progress) {
    options.check();
    Tokenizer tokenizer = tokenizer(directory);
    WeightStore weights = null;
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      ServingPlan plan = plan(checkpoint, options);
      ChatTemplate template = template(tokenizer, directory, chatTemplate);
      weights = WeightLoader.load(checkpoint, plan.available(), progress);
      Backend backend = Backends.open(weights, plan, options);
      Engine engine = new Engine(backend, engineConfig(plan, tokenizer, options));
      ServedModel served = served(checkpoint, plan, tokenizer, template, engine, options);
      return new RunningModel(
          directory, options, plan, weights, tokenizer, engine, served, backend.name());
    } catch (Throwable t) {
      if (weights != null) {
        weights.close();
      }
      tokenizer.close();
      throw t;
    }
  }

  private static EngineConfig engineConfig(
      ServingPlan plan, Tokenizer tokenizer, ServingOptions options) {
    ModelConfig config = plan.config();
    return EngineConfig.builder(plan.maxModelLen(), config.vocabSize())
        .maxNumSeqs(options.maxNumSeqs())
        .maxNumBatchedTokens(options.maxNumBatchedTokens())
        .maxWaiting(options.maxWaiting())
        .eosTokenIds(tokenizer.endTokens(config.eosTokenIds()))
        .prefixCaching(options.prefixCaching())
        .stallTimeout(options.stallTimeout())
        .build();
  }

  private static ServedModel served(
      Checkpoint checkpoint,
      ServingPlan plan,
      Tokenizer tokenizer,
      @Nullable ChatTemplate template,
      Engine engine,
      ServingOptions options) {
    Set<Integer> eos = tokenizer.endTokens(checkpoint.config().eosTokenIds());
    return new ServedModel(
        tokenizer,
        template,
        engine,
        checkpoint.generationDefaults(),
        eos,
        Markers.think(tokenizer),
        engine.maxModelLen(),
        options.reasoning(),
        Instant.now(),
        Map.of("weights", plan.weights().offHeapBytes(), "kv", plan.kvBytes()));
  }

  private static Tokenizer tokenizer(Path directory) {
    try {
      return Tokenizer.open(directory);
    } catch (IOException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private static @Nullable ChatTemplate template(
      Tokenizer tokenizer, Path directory, @Nullable Path file) {
    try {
      return file == null
          ? ChatTemplate.of(tokenizer.config()).orElse(null)
          : ChatTemplate.parse(Files.readString(file), tokenizer.config().specialTokens());
    } catch (IOException e) {
      throw new UserException("--chat-template: can't read " + file + ": " + e.getMessage(), e);
    } catch (TemplateException e) {
      throw new UserException(
          "the chat template of %s: %s".formatted(file == null ? directory : file, e.getMessage()),
          e);
    }
  }

  /** What the model is called when nobody names it. */
  public String name() {
    return nameOf(directory);
  }

  /** What a model is called when nobody names it: its folder, or ORG/NAME in the hub's cache. */
  private static String nameOf(Path directory) {
    Path path = directory.toAbsolutePath().normalize();
    for (Path at = path; at != null; at = at.getParent()) {
      String name = at.getFileName() == null ? "" : at.getFileName().toString();
      if (name.startsWith("models--")) {
        return name.substring("models--".length()).replace("--", "/");
      }
    }
    return path.getFileName() == null ? "model" : path.getFileName().toString();
  }

  /** Names the version of the weights and the kernels. */
  public String systemFingerprint() {
    return "tercel-%s-%s-w%d".formatted(Release.VERSION, backendName, weights.version());
  }

  public ServingPlan plan() {
    return plan;
  }

  public ServedModel served() {
    return served;
  }

  Engine engine() {
    return engine;
  }

  /** What Control.Reload and the like are asked of. */
  public ServedWeights servedWeights() {
    return new ServedWeights(directory, weights, engine, MachineMemory::available);
  }

  /** What Control.GetInfo says. */
  public ServedModelInfo info() {
    return new ServedModelInfo(
        backendName,
        plan.kv().type().label(),
        KvLayout.BLOCK_SIZE,
        options.maxNumSeqs(),
        options.maxNumBatchedTokens(),
        options.maxWaiting());
  }

  WeightStore weights() {
    return weights;
  }

  public String backendName() {
    return backendName;
  }

  @Override
  public void close() {
    engine.close();
    weights.close();
    tokenizer.close();
  }
}
