package io.tercel.trainer.problems;

import java.util.List;

/**
 * One question with its worked answer.
 *
 * @param family name of the family it was drawn from
 * @param question what the user writes
 * @param thinking the worked steps, without the tags around them
 * @param reply what follows the thinking; it has the answer in {@code \boxed{}}
 * @param answer the bare answer; empty where there is nothing to be right about
 * @param facts canonical forms: of the problem itself first, then of each problem that one of its
 *     steps amounts to. Empty for talk, which belongs to training alone
 */
public record Problem(
    String family,
    String question,
    String thinking,
    String reply,
    String answer,
    List<String> facts) {
  public Problem {
    facts = List.copyOf(facts);
  }

  /** A problem with a boxed answer and nothing else in the reply. */
  static Problem of(
      String family, String question, String thinking, String answer, List<String> facts) {
    return new Problem(
        family, question, thinking, "The answer is \\boxed{" + answer + "}.", answer, facts);
  }

  /** What a model is to say when its prompt ends in {@code <think>\n}. */
  public String response() {
    return thinking + "\n</think>\n\n" + reply;
  }
}
