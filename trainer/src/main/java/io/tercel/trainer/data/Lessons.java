package io.tercel.trainer.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.UserException;
import io.tercel.trainer.eval.PromptTemplate;
import io.tercel.trainer.eval.ReferenceAnswer;
import io.tercel.trainer.files.JsonLine;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the lines of one layout teach: turns to be learnt, and questions with their answers.
 *
 * @param template around problems
 */
record Lessons(Layout layout, PromptTemplate template) {
  private static final String GENERATIONS = "generations";
  private static final List<String> VERDICTS =
      List.of("correctness_math_verify", "correctness_llama");

  static Lessons of(Layout layout, @Nullable PromptTemplate template) {
    boolean bare = layout == Layout.WORKED; // generated problems are asked as they are
    return new Lessons(
        layout,
        template != null
            ? template
            : bare ? new PromptTemplate("{problem}") : PromptTemplate.MATHS);
  }

  /**
   * How many turns of a line can be learnt; the line is checked for all that {@link #turn} needs.
   *
   * @throws UserException naming the line and the field
   */
  int turns(JsonLine line) {
    return switch (layout) {
      case OPENR1 -> {
        problem(line);
        yield verified(line).isPresent() ? 1 : 0;
      }
      case NUMINA -> problem(line).isBlank() || line.text("solution").isBlank() ? 0 : 1;
      case GSM8K -> {
        problem(line);
        yield ReferenceAnswer.workBefore(line.text("answer")).isPresent() ? 1 : 0;
      }
      case WORKED -> problem(line).isBlank() || line.text("text").isBlank() ? 0 : 1;
      case MESSAGES -> {
        Conversation conversation = Conversation.of(line);
        yield conversation.targets().size();
      }
      case ANSWERS, TEXT, WIKITEXT ->
          throw new IllegalStateException(layout + " has no turns to learn");
    };
  }

  /** A turn of a line that {@link #turns} counted. */
  TrainedTurn turn(JsonLine line, int number) {
    return switch (layout) {
      case OPENR1 -> answered(line, verified(line).orElseThrow());
      case NUMINA -> answered(line, line.text("solution"));
      case GSM8K -> {
        String answer = line.text("answer");
        yield answered(
            line,
            "%s\n\n\\boxed{%s}"
                .formatted(
                    ReferenceAnswer.workBefore(answer).orElseThrow(),
                    ReferenceAnswer.ofAnswer(answer)));
      }
      case WORKED -> answered(line, line.text("text"));
      case MESSAGES -> Conversation.of(line).turn(number);
      case ANSWERS, TEXT, WIKITEXT ->
          throw new IllegalStateException(layout + " has no turns to learn");
    };
  }

  /**
   * The question of a line and the answer that is right.
   *
   * @return empty where there is none to compare with, such as of a proof
   */
  Optional<Asked> asked(JsonLine line) {
    List<Map<String, Object>> messages =
        layout == Layout.MESSAGES ? Conversation.of(line).question() : question(line);
    return answer(line).filter(_ -> !messages.isEmpty()).map(right -> new Asked(messages, right));
  }

  /** A question with its answer. */
  record Asked(List<Map<String, Object>> messages, String answer) {}

  private Optional<String> answer(JsonLine line) {
    Optional<String> answer =
        line.optional("answer")
            .map(ReferenceAnswer::ofAnswer)
            .filter(text -> !text.equals("proof") && !text.equals("notfound"));
    return answer.isPresent()
        ? answer
        : line.optional("solution").flatMap(ReferenceAnswer::ofSolution);
  }

  private TrainedTurn answered(JsonLine line, String response) {
    return new TrainedTurn(question(line), null, response);
  }

  private List<Map<String, Object>> question(JsonLine line) {
    return List.of(TrainedTurn.message("user", template.render(problem(line))));
  }

  private String problem(JsonLine line) {
    return line.text(
        line.fields().has("problem") || layout != Layout.GSM8K ? "problem" : "question");
  }

  /** The first generation that a verifier found right, if any, and that ends its thought. */
  private static Optional<String> verified(JsonLine line) {
    JsonNode generations = line.list(GENERATIONS);
    for (String verdict : VERDICTS) {
      JsonNode right = line.fields().path(verdict);
      if (right.isMissingNode() || right.isNull()) {
        continue;
      }
      if (!right.isArray() || right.size() != generations.size()) {
        throw line.refuse(
            verdict, "is no list of %d, as many as generations".formatted(generations.size()));
      }
      for (int i = 0; i < generations.size(); i++) {
        if (right.get(i).asBoolean() && !generations.get(i).isTextual()) {
          throw line.refuse(GENERATIONS + "[" + i + "]", "is no text");
        }
        if (right.get(i).asBoolean() && !isCut(generations.get(i).textValue())) {
          return Optional.of(generations.get(i).textValue());
        }
      }
      return Optional.empty();
    }
    throw line.refuse(
        VERDICTS.getFirst(), "is missing; it says which of the generations are right");
  }

  private static boolean isCut(String generation) {
    return generation.contains("<think>") && !generation.contains("</think>");
  }
}
