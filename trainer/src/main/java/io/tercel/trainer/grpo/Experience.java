package io.tercel.trainer.grpo;

import io.tercel.server.engine.StaleKv;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.PromptSet;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.RolloutSource;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.run.OptimizerOptions;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The groups of answers that steps learn from. Which prompts a step asks, and by which seeds, is a
 * function of the step alone, so that a run that goes on asks the same; with staleness the groups
 * of the next steps are asked before they are needed, in order, each once.
 */
final class Experience {
  /** Rounds of prompts that a step may ask where groups of equal reward are replaced. */
  private static final int ROUNDS = 3;

  private final GrpoOptions options;
  private final OptimizerOptions steps;
  private final PromptSet prompts;
  private final RolloutSource rollouts;
  private final Tokenizer tokenizer;
  private final Reward reward;
  private final Deque<Asked> ahead = new ArrayDeque<>();
  private int nextStep;

  /** A step's first round, under way. */
  private record Asked(int step, List<CompletableFuture<List<Rollout>>> groups) {}

  /**
   * @param steps how many there are, and of how many prompts
   * @param firstStep that will be asked for
   */
  Experience(
      GrpoOptions options,
      OptimizerOptions steps,
      PromptSet prompts,
      RolloutSource rollouts,
      Tokenizer tokenizer,
      int firstStep) {
    this.options = options;
    this.steps = steps;
    this.prompts = prompts;
    this.rollouts = rollouts;
    this.tokenizer = tokenizer;
    this.reward = options.reward();
    this.nextStep = firstStep;
  }

  /** One prompt's answers. */
  record Group(List<Sample> samples) {
    Group {
      samples = List.copyOf(samples);
    }

    /** Whether its rewards differ, so that it teaches something. */
    boolean mixed() {
      return samples.stream().anyMatch(sample -> sample.advantage() != 0);
    }
  }

  /** The groups of the next step; waits for them. */
  List<Group> next() {
    int step = nextStep++;
    askAhead(step);
    List<Group> groups = rewardAll(ahead.remove().groups());
    for (int round = 1; options.dynamicSampling() && round < ROUNDS; round++) {
      long mixed = groups.stream().filter(Group::mixed).count();
      if (mixed >= steps.batch()) {
        break;
      }
      List<Group> more = rewardAll(ask(step, round));
      groups = new ArrayList<>(groups);
      groups.removeIf(group -> !group.mixed());
      for (Group group : more) {
        if (group.mixed() && groups.size() < steps.batch()) {
          groups.add(group);
        }
      }
    }
    return groups;
  }

  /** Has the engine begin with this step's prompts, and with those that may run ahead of it. */
  private void askAhead(int step) {
    int last = Math.min(steps.steps() - 1, step + options.maxStaleness());
    int first = ahead.isEmpty() ? step : ahead.getLast().step() + 1;
    for (int s = first; s <= last; s++) {
      ahead.add(new Asked(s, ask(s, 0)));
    }
  }

  private List<CompletableFuture<List<Rollout>>> ask(int step, int round) {
    int count = steps.batch();
    StaleKv stale = options.maxStaleness() > 0 ? options.staleKv() : StaleKv.DROP;
    List<CompletableFuture<List<Rollout>>> groups = new ArrayList<>();
    int position = step * ROUNDS + round;
    List<Prompt> asked = prompts.batch(position, count);
    for (int i = 0; i < asked.size(); i++) {
      long seed = steps.seed() * 1_000_003 + ((long) position * count + i);
      groups.add(rollouts.group(asked.get(i), options.group(), seed, stale));
    }
    return groups;
  }

  private List<Group> rewardAll(List<CompletableFuture<List<Rollout>>> asked) {
    List<Group> groups = new ArrayList<>();
    for (CompletableFuture<List<Rollout>> each : asked) {
      groups.add(rewarded(Rollouts.await(each)));
    }
    return groups;
  }

  private Group rewarded(List<Rollout> answers) {
    double[] rewards = new double[answers.size()];
    for (int i = 0; i < rewards.length; i++) {
      rewards[i] = reward.of(answers.get(i), tokenizer.decode(answers.get(i).tokens(), true));
    }
    double[] advantages = options.advantages().of(rewards);
    List<Sample> samples = new ArrayList<>();
    for (int i = 0; i < rewards.length; i++) {
      boolean dropped = options.dropOverlong() && !answers.get(i).ended();
      samples.add(new Sample(answers.get(i), rewards[i], dropped ? 0 : advantages[i]));
    }
    return new Group(samples);
  }
}
