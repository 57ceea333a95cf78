package io.tercel.trainer.train;

import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import io.tercel.trainer.problems.Seeds;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;

/**
 * The batches of a run. A step's batch is a function of the recipe and the step alone, so there is
 * no position to save: {@value #POOL} batches of problems are drawn at a time, sorted by length so
 * that little is padding, cut, and taken in a shuffled order.
 */
final class TrainingData {
  private static final int POOL = 16;
  private static final long TALK_BEFORE = 101;
  private static final long ORDER = 102;

  private final Recipe recipe;
  private final ProblemMix mix;
  private final Tokenizer tokenizer;
  private int poolNumber = -1;
  private List<List<Example>> pool = List.of();

  TrainingData(Recipe recipe, ProblemMix mix, Tokenizer tokenizer) {
    this.recipe = recipe;
    this.mix = mix;
    this.tokenizer = tokenizer;
  }

  /** The batch of a step, from 0 on. */
  List<Example> batch(int step) {
    if (step / POOL != poolNumber) {
      poolNumber = step / POOL;
      pool = draw(poolNumber);
    }
    return pool.get(step % POOL);
  }

  private List<List<Example>> draw(int number) {
    int level = level(number * POOL);
    int count = POOL * recipe.batch();
    List<Example> examples = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      examples.add(example((long) number * count + i, level));
    }
    examples.sort(Comparator.comparingInt(example -> example.tokens().length));
    List<List<Example>> batches = new ArrayList<>(POOL);
    for (int i = 0; i < POOL; i++) {
      batches.add(examples.subList(i * recipe.batch(), (i + 1) * recipe.batch()));
    }
    java.util.Collections.shuffle(batches, Seeds.random(recipe.seed(), ORDER, number));
    return batches;
  }

  /** How far the curriculum has come: 2 is the whole range. */
  int level(int step) {
    double done = (double) step / recipe.stages().getFirst().steps();
    List<Double> rises = recipe.curriculum();
    int level = 2 - rises.size();
    for (double rise : rises) {
      level += done >= rise ? 1 : 0;
    }
    return level;
  }

  private Example example(long index, int level) {
    Problem problem = mix.draw(recipe.seed(), Partition.TRAINING, index, level);
    if (recipe.format() == PromptFormat.TIGHT) {
      return encode(recipe.format().prompt(problem.question()), problem);
    }
    Random random = Seeds.random(recipe.seed(), TALK_BEFORE, index);
    int turns = random.nextInt(100);
    List<Problem> earlier = new ArrayList<>();
    for (int i = 0; i < (turns < 80 ? 0 : turns < 92 ? 1 : 2); i++) {
      earlier.add(mix.draw(recipe.seed() + 1 + i, Partition.TRAINING, index, level));
    }
    String system = random.nextInt(12) == 0 ? "You are a helpful assistant." : "";
    return encode(recipe.format().prompt(system, earlier, problem.question()), problem);
  }

  /** A problem by itself, as it is asked when held out. */
  Example example(Problem problem) {
    return encode(recipe.format().prompt(problem.question()), problem);
  }

  private Example encode(String prompt, Problem problem) {
    int[] before = tokenizer.encode(prompt, false);
    int[] after = tokenizer.encode(recipe.format().response(problem), false);
    int[] tokens = new int[before.length + after.length];
    float[] weights = new float[tokens.length];
    System.arraycopy(before, 0, tokens, 0, before.length);
    System.arraycopy(after, 0, tokens, before.length, after.length);
    for (int i = 0; i < tokens.length; i++) {
      weights[i] = i < before.length ? (float) recipe.promptWeight() : 1;
    }
    return new Example(tokens, weights);
  }
}
