package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.server.UserException;
import io.tercel.server.engine.Engine;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.PromptSet;
import io.tercel.trainer.grpo.Experience.Group;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.QuantizedDirectory;
import io.tercel.trainer.rollout.GreedyAccuracy;
import io.tercel.trainer.rollout.RolloutSource;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunCurves.Curve;
import io.tercel.trainer.run.RunCurves.Picture;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.StudentOptimizer;
import io.tercel.trainer.share.Publication;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.StudentTensors;
import io.tercel.trainer.share.TrainingMetrics;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run of GRPO: the engine that serves the policy answers prompts, the policy learns from what
 * that was worth, and goes into service. What answers and what learns are the same weights in the
 * same bits.
 */
final class Grpo implements AutoCloseable {
  private static final Logger LOGGER = LoggerFactory.getLogger(Grpo.class);
  private static final long EVALUATION_SEED = 20_000;
  private static final List<Picture> CURVES =
      List.of(
          picture("reward", "Reward", "mean", new Curve("reward", "reward")),
          picture("length", "Length of answers", "tokens", new Curve("length", "mean")),
          picture("entropy", "Entropy of the policy", "nats", new Curve("entropy", "mean")),
          picture("kl", "KL to the start", "nats", new Curve("kl_start", "per token")),
          picture(
              "agreement",
              "Engine against trainer",
              "nats",
              new Curve("logprob_difference", "mean |difference of log-probabilities|")),
          picture(
              "accuracy",
              "Greedy answers to held-out prompts",
              "share",
              new Curve("accuracy", "right")));

  private final GrpoOptions options;
  private final RunFolder folder;
  private final QatModel policy;
  private final ServedStudent served;
  private final StudentTensors shared;
  private final StudentOptimizer optimizer;
  private final PolicyUpdate update;
  private final PromptSet prompts;
  private final @Nullable PromptSet heldOut;
  private final RolloutSource rollouts;
  private final Experience experience;
  private int step;
  private int lastSaved;

  /** What is told after each step. */
  interface Listener {
    void stepped(int stepsDone, double reward, double entropy);
  }

  /**
   * @param reference the start, for KL to it; or null
   */
  Grpo(
      GrpoOptions options,
      RunFolder folder,
      QatModel policy,
      @Nullable QatModel reference,
      ServedStudent served) {
    this.options = options;
    this.folder = folder;
    this.policy = policy;
    this.served = served;
    optimizer = new StudentOptimizer(policy, options.optimizer, options.updates());
    lastSaved = step = folder.restore(optimizer.adam());
    update = new PolicyUpdate(policy, reference, options);
    prompts = open(options.prompts());
    String evaluated = options.evalData;
    heldOut =
        evaluated == null
            ? null
            : open(options.spec(evaluated).withSeed(EVALUATION_SEED).forEvaluation());
    rollouts = options.servers.with(new Rollouts(engine(), options.sampling()), served);
    experience =
        new Experience(options, prompts, rollouts, served.running().served().tokenizer(), step);
    shared = new StudentTensors(policy);
    served.share(shared.all());
    if (step > 0) {
      shared.refresh();
      served.publish();
    }
  }

  private static Picture picture(String name, String title, String axis, Curve curve) {
    return new Picture(name, title, axis, false, List.of(curve));
  }

  private PromptSet open(DataSpec spec) {
    DataSpec fitting = spec.withMaxLength(engine().maxModelLen() - 1); // room for a token
    return PromptSet.open(fitting, served.running().served().tokenizer(), LOGGER::info);
  }

  private Engine engine() {
    return served.running().served().engine();
  }

  int stepsDone() {
    return step;
  }

  /**
   * Trains to the end, or until it is asked to stop, which leaves a checkpoint.
   *
   * @throws UserException in one line: a loss that is no number, a checkpoint that can't be written
   */
  void run(Listener listener, BooleanSupplier stop) throws IOException {
    RunLog log = folder.openLog(step);
    int last = options.optimizer.steps();
    if (step == 0) {
      evaluate(log);
    }
    while (step < last && !stop.getAsBoolean()) {
      takeStep(log, listener);
      if (step % options.evalEvery() == 0 || step == last) {
        evaluate(log);
      }
      if (step % options.saveEvery() == 0 || step == last || stop.getAsBoolean()) {
        folder.save(optimizer.adam(), step, lastSaved);
        lastSaved = step;
        draw(log);
      }
    }
    if (step == last) {
      QuantizedDirectory.write(policy, options.student, folder.resolve(RunFolder.MODEL));
    }
  }

  private void takeStep(RunLog log, Listener listener) throws IOException {
    long start = System.nanoTime();
    List<Group> groups = experience.next();
    long rolled = System.nanoTime();
    StepFigures figures = new StepFigures(groups);
    List<Sample> learned =
        groups.stream().filter(Group::mixed).flatMap(group -> group.samples().stream()).toList();
    PolicyFigures first = new PolicyFigures();
    PolicyFigures all = new PolicyFigures();
    Publication publication;
    double norm;
    try {
      norm = learn(learned, first, all);
      shared.refresh();
      publication = served.publish();
    } catch (ArithmeticException | NonFiniteWeightsException e) {
      throw new UserException(
          "step %d: %s; lower the rates; %s"
              .formatted(step + 1, e.getMessage(), folder.lastGood(lastSaved)),
          e);
    }
    long trained = System.nanoTime();
    step++;
    ObjectNode line = figures.line(step);
    line.put("lr", optimizer.rate(step * options.updates() - 1)).put("gradient_norm", norm);
    line.put("entropy", first.entropy()).put("logprob_difference", first.meanDifference());
    line.put("largest_ratio", first.largestRatio()).put("clip_fraction", all.clipFraction());
    double kl = update.divergenceFromStart(learned);
    if (!Double.isNaN(kl)) {
      line.put("kl_start", kl);
    }
    line.put("codes_flipped", publication.codesFlipped()).put("version", publication.version());
    line.put("pause_ms", publication.pauseNanos() / 1e6);
    line.put("rollout_seconds", (rolled - start) / 1e9)
        .put("train_seconds", (trained - rolled) / 1e9);
    line.put("rollout_tokens_per_second", figures.tokens() * 1e9 / (rolled - start));
    line.put("train_tokens_per_second", all.tokens() * 1e9 / (trained - rolled));
    rollouts.describe(line);
    log.append(line);
    double tokensPerSecond = figures.tokens() * 1e9 / (System.nanoTime() - start);
    served
        .metrics()
        .stepped(
            new TrainingMetrics.Step(
                step, all.loss(), tokensPerSecond, optimizer.rate(step - 1), norm));
    figures.tell(served.metrics(), first);
    listener.stepped(step, figures.reward(), first.entropy());
  }

  /**
   * Updates the policy by the samples, each update by its part of them.
   *
   * @param first is told of the first update's tokens, when the policy is still the one that drew
   *     them
   * @return the largest norm of a gradient; 0 where no group taught anything
   */
  private double learn(List<Sample> samples, PolicyFigures first, PolicyFigures all) {
    List<Sample> mixed = new ArrayList<>(samples);
    java.util.Collections.shuffle(mixed, new Random(options.optimizer.seed() * 7_919 + step));
    double norm = 0;
    for (int u = 0; u < options.updates(); u++) {
      int from = mixed.size() * u / options.updates();
      int to = mixed.size() * (u + 1) / options.updates();
      PolicyFigures figures = new PolicyFigures();
      if (to > from) {
        figures.loss(update.accumulate(mixed.subList(from, to), figures));
      }
      // without a gradient too, for moments and rates go by steps
      norm = Math.max(norm, optimizer.step(step * options.updates() + u));
      all.add(figures);
      if (u == 0) {
        first.add(figures);
      }
    }
    return norm;
  }

  private void evaluate(RunLog log) throws IOException {
    if (heldOut == null) {
      return;
    }
    GreedyAccuracy accuracy =
        GreedyAccuracy.of(
            engine(),
            served.running().served().tokenizer(),
            heldOut.batch(0, options.evalCount()),
            options.maxTokens());
    ObjectNode line = RunLog.line(step).put("accuracy", accuracy.accuracy());
    line.put("greedy_length", accuracy.meanLength()).put("cut_share", accuracy.cutShare());
    log.append(line);
    served
        .metrics()
        .gauge("accuracy", "Right answers to held-out prompts, greedy.")
        .accept(accuracy.accuracy());
  }

  private void draw(RunLog log) throws IOException {
    try {
      RunCurves.draw(log, folder.directory(), CURVES);
    } catch (RuntimeException | LinkageError e) {
      LOGGER.warn("no curves: {}", e.toString());
    }
  }

  @Override
  public void close() {
    rollouts.close();
    prompts.close();
    if (heldOut != null) {
      heldOut.close();
    }
  }
}
