package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.engine.Engine;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.PromptSet;
import io.tercel.trainer.grpo.Experience.Group;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.rollout.RolloutSource;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.run.OptimizerOptions;
import io.tercel.trainer.run.RunCurves.Curve;
import io.tercel.trainer.run.RunCurves.Picture;
import io.tercel.trainer.share.Publication;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.TrainingMetrics;
import io.tercel.trainer.student.GreedyAnswers;
import io.tercel.trainer.student.Learner;
import io.tercel.trainer.student.StudentOptions;
import io.tercel.trainer.student.StudentRun;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * GRPO: the engine that serves the policy answers prompts, the policy learns from what that was
 * worth, and goes into service. What answers and what learns are the same weights in the same bits.
 */
final class Grpo implements Learner {
  private static final Logger LOGGER = LoggerFactory.getLogger(Grpo.class);
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

  private final OptimizerOptions optimizing;
  private final int updates;
  private final StudentRun run;
  private final ServedStudent served;
  private final @Nullable QatModel reference;
  private final PolicyUpdate update;
  private final PromptSet prompts;
  private final @Nullable GreedyAnswers heldOut;
  private final RolloutSource rollouts;
  private final Experience experience;

  /**
   * @param run of a policy that is served
   * @param reference the start, for KL to it, closed with this; or null
   */
  Grpo(GrpoOptions options, StudentOptions student, StudentRun run, @Nullable QatModel reference) {
    this.run = run;
    this.reference = reference;
    this.served = Objects.requireNonNull(run.served(), "rollouts are asked of a served policy");
    this.optimizing = student.optimizer();
    this.updates = options.updates(optimizing.batch());
    update = new PolicyUpdate(run.student(), reference, options, optimizing.microTokens());
    Tokenizer tokenizer = served.running().served().tokenizer();
    DataSpec fitting = student.trainingData().withMaxLength(engine().maxModelLen() - 1);
    prompts = PromptSet.open(fitting, tokenizer, LOGGER::info); // room for a token
    DataSpec evaluated = student.evaluationData();
    heldOut =
        evaluated == null
            ? null
            : new GreedyAnswers(served, evaluated, student.evalCount(), options.maxTokens());
    rollouts = options.servers.with(new Rollouts(engine(), options.sampling()), served);
    experience = new Experience(options, optimizing, prompts, rollouts, tokenizer, run.stepsDone());
  }

  private static Picture picture(String name, String title, String axis, Curve curve) {
    return new Picture(name, title, axis, false, List.of(curve));
  }

  private Engine engine() {
    return served.running().served().engine();
  }

  @Override
  public String step(int step, ObjectNode line) {
    long start = System.nanoTime();
    List<Group> groups = experience.next();
    long rolled = System.nanoTime();
    StepFigures figures = new StepFigures(groups);
    List<Sample> learned =
        groups.stream().filter(Group::mixed).flatMap(group -> group.samples().stream()).toList();
    PolicyFigures first = new PolicyFigures();
    PolicyFigures all = new PolicyFigures();
    double norm = learn(step, learned, first, all);
    Publication publication = Objects.requireNonNull(run.publish());
    long trained = System.nanoTime();
    double rate = run.optimizer().rate((step + 1) * updates - 1);
    figures.describe(line);
    line.put("lr", rate).put("gradient_norm", norm);
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
    double tokensPerSecond = figures.tokens() * 1e9 / (System.nanoTime() - start);
    served
        .metrics()
        .stepped(new TrainingMetrics.Step(step + 1, all.loss(), tokensPerSecond, rate, norm));
    figures.tell(served.metrics(), first);
    return String.format(
        Locale.ROOT, "reward %.3f, entropy %.4f", figures.reward(), first.entropy());
  }

  /**
   * Updates the policy by the samples, each update by its part of them.
   *
   * @param first is told of the first update's tokens, when the policy is still the one that drew
   *     them
   * @return the largest norm of a gradient; 0 where no group taught anything
   */
  private double learn(int step, List<Sample> samples, PolicyFigures first, PolicyFigures all) {
    List<Sample> mixed = new ArrayList<>(samples);
    Collections.shuffle(mixed, new Random(optimizing.seed() * 7_919 + step));
    double norm = 0;
    for (int u = 0; u < updates; u++) {
      int from = mixed.size() * u / updates;
      int to = mixed.size() * (u + 1) / updates;
      PolicyFigures figures = new PolicyFigures();
      if (to > from) {
        figures.loss(update.accumulate(mixed.subList(from, to), figures));
      }
      // without a gradient too, for moments and rates go by steps
      norm = Math.max(norm, run.optimizer().step(step * updates + u));
      all.add(figures);
      if (u == 0) {
        first.add(figures);
      }
    }
    return norm;
  }

  @Override
  public void evaluate(ObjectNode line) {
    if (heldOut != null) {
      heldOut.describe(line);
    }
  }

  @Override
  public List<Picture> curves() {
    return CURVES;
  }

  @Override
  public void close() {
    rollouts.close();
    prompts.close();
    if (heldOut != null) {
      heldOut.close();
    }
    if (reference != null) {
      reference.close();
    }
  }
}
