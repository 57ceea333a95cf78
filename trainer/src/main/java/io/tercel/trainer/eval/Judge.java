package io.tercel.trainer.eval;

/** Says whether a completion answers a problem. Safe for many threads. */
public interface Judge extends AutoCloseable {
  /** By the final answer, wherever it stands. */
  Judge ANSWERS = (problem, text) -> AnswerChecker.EVALUATION.check(text, problem.answer());

  /**
   * Judges a completion.
   *
   * @param text what follows the thought
   */
  AnswerChecker.Verdict check(BenchmarkProblem problem, String text) throws InterruptedException;

  @Override
  default void close() {}
}
