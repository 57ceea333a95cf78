package io.tercel.server.model;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.ReasoningParser.Markers;
import io.tercel.server.text.Tokenizer;
import io.tercel.server.text.jinja.TemplateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A model directory brought to life: a {@link RunningEngine} with text on both sides. */
public final class RunningModel implements AutoCloseable {
  private final Path directory;
  private final ServingOptions options;
  private final RunningEngine running;
  private final Tokenizer tokenizer;
  private final ServedModel served;

  private RunningModel(
      Path directory,
      ServingOptions options,
      RunningEngine running,
      Tokenizer tokenizer,
      ServedModel served) {
    this.directory = directory;
    this.options = options;
    this.running = running;
    this.tokenizer = tokenizer;
    this.served = served;
  }

  /** What serving the directory would take; nothing is loaded. */
  public static ServingPlan plan(Path directory, ServingOptions options) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return ServingPlan.of(checkpoint, options);
    }
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
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      ChatTemplate template = template(tokenizer, directory, chatTemplate);
      Set<Integer> eos = tokenizer.endTokens(checkpoint.config().eosTokenIds());
      RunningEngine running = RunningEngine.open(checkpoint, options, eos, progress);
      ServedModel served = served(checkpoint, running, tokenizer, template, eos, options);
      return new RunningModel(directory, options, running, tokenizer, served);
    } catch (Throwable t) {
      tokenizer.close();
      throw t;
    }
  }

  private static ServedModel served(
      Checkpoint checkpoint,
      RunningEngine running,
      Tokenizer tokenizer,
      @Nullable ChatTemplate template,
      Set<Integer> eos,
      ServingOptions options) {
    ServingPlan plan = running.plan();
    return new ServedModel(
        tokenizer,
        template,
        running.engine(),
        checkpoint.generationDefaults(),
        eos,
        Markers.think(tokenizer),
        running.engine().maxModelLen(),
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

  /** Where its checkpoint is. */
  public Path directory() {
    return directory;
  }

  /** What the model is called when nobody names it. */
  public String name() {
    return nameOf(directory);
  }

  /** What a model is called when nobody names it: its folder, or ORG/NAME in the hub's cache. */
  public static String nameOf(Path directory) {
    Path path = directory.toAbsolutePath().normalize();
    for (Path at = path; at != null; at = at.getParent()) {
      String name = at.getFileName() == null ? "" : at.getFileName().toString();
      if (name.startsWith("models--")) {
        return name.substring("models--".length()).replace("--", "/");
      }
    }
    return path.getFileName() == null ? "model" : path.getFileName().toString();
  }

  /** Names a version of the weights, and the kernels. */
  public String systemFingerprint(long weightVersion) {
    return "tercel-%s-%s-w%d".formatted(Release.VERSION, backendName(), weightVersion);
  }

  public ServingPlan plan() {
    return running.plan();
  }

  public ServedModel served() {
    return served;
  }

  /** What it runs on: weights and engine, for who writes the ones and asks the other. */
  public RunningEngine running() {
    return running;
  }

  Engine engine() {
    return running.engine();
  }

  /** A tiny twin of it, to be closed before it. */
  public Miniature miniature() {
    return Miniature.of(plan(), served, options);
  }

  /** Computes a few steps that nobody asked for; to be called before there are requests. */
  public void takeFirstSteps(Duration atMost) {
    running.takeFirstSteps(atMost);
  }

  /** What Control.Reload and the like are asked of. */
  public ServedWeights servedWeights() {
    return new ServedWeights(
        directory, weights(), engine(), options.lmHeadType(), MachineMemory::available);
  }

  /** What Control.GetInfo says. */
  public ServedModelInfo info() {
    return new ServedModelInfo(
        backendName(),
        plan().kv().type().label(),
        KvLayout.BLOCK_SIZE,
        options.maxNumSeqs(),
        options.maxNumBatchedTokens(),
        options.maxWaiting());
  }

  WeightStore weights() {
    return running.weights();
  }

  public String backendName() {
    return running.backendName();
  }

  @Override
  public void close() {
    running.close();
    tokenizer.close();
  }
}
