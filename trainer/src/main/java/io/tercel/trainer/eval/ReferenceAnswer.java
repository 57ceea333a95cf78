package io.tercel.trainer.eval;

import java.util.Optional;

/** The right answer, out of the field that a published data set keeps it in. */
public final class ReferenceAnswer {
  /** What stands before the answer in GSM8K's field of that name, behind the worked solution. */
  private static final String GSM8K_MARK = "####";

  private ReferenceAnswer() {}

  /** The answer of a field {@code answer}: all of it, or what follows GSM8K's {@code ####}. */
  public static String ofAnswer(String answer) {
    int mark = answer.lastIndexOf(GSM8K_MARK);
    return mark < 0 ? answer : answer.substring(mark + GSM8K_MARK.length()).strip();
  }

  /** The worked solution before GSM8K's {@code ####}; empty where the field is an answer alone. */
  public static Optional<String> workBefore(String answer) {
    int mark = answer.lastIndexOf(GSM8K_MARK);
    return mark < 0 ? Optional.empty() : Optional.of(answer.substring(0, mark).strip());
  }

  /** What a worked solution boxes last, if anything. */
  public static Optional<String> ofSolution(String solution) {
    return AnswerFinder.boxed(solution);
  }
}
