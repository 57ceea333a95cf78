package io.tercel.trainer.eval;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What to ask, and how.
 *
 * @param template around each problem that is not self-contained; null for {@link
 *     PromptTemplate#MATHS} around those and none around others
 * @param seeds each asks every problem once; one alone if greedy
 * @param topP null if greedy
 * @param maxTokens thinking included; null for what the context holds
 * @param concurrency requests at a time
 */
record EvalPlan(
    List<BenchmarkProblem> problems,
    @Nullable PromptTemplate template,
    List<Long> seeds,
    double temperature,
    @Nullable Double topP,
    @Nullable Integer maxTokens,
    int concurrency) {

  /** The same for other problems. */
  EvalPlan with(List<BenchmarkProblem> others) {
    return new EvalPlan(others, template, seeds, temperature, topP, maxTokens, concurrency);
  }

  /** The same with answers as long as the context holds. */
  EvalPlan unbounded() {
    return new EvalPlan(problems, template, seeds, temperature, topP, null, concurrency);
  }

  boolean greedy() {
    return temperature == 0;
  }

  int size() {
    return problems.size() * seeds.size();
  }

  String prompt(BenchmarkProblem problem) {
    if (template != null) {
      return template.render(problem.question());
    }
    return problem.selfContained()
        ? problem.question()
        : PromptTemplate.MATHS.render(problem.question());
  }

  /**
   * The seed of one request: a server's noise depends on seed and position alone, so with one seed
   * for all, every problem would be answered with the same luck. SplitMix64 of both, in the 53 bits
   * that every JSON reader keeps.
   */
  static long requestSeed(long seed, int index) {
    long z = seed * 0x9E3779B97F4A7C15L + index;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return (z ^ (z >>> 31)) >>> 11;
  }
}
