package io.tercel.trainer.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.JsonFault;
import io.tercel.server.UserException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Problems as JSON objects, one a line: {@code problem} or {@code question}, and {@code answer}, or
 * a {@code solution} that ends in a boxed answer. Of an answer in GSM8K's form, what follows {@code
 * ####} counts.
 */
final class JsonLines {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private JsonLines() {}

  static List<BenchmarkProblem> read(Path file, String text) {
    List<BenchmarkProblem> problems = new ArrayList<>();
    int number = 0;
    for (String line : text.split("\n", -1)) {
      number++;
      if (!line.isBlank()) {
        problems.add(problem(file + ":" + number, number, line));
      }
    }
    return problems;
  }

  private static BenchmarkProblem problem(String where, int number, String line) {
    JsonNode node;
    try {
      node = MAPPER.readTree(line);
    } catch (JsonProcessingException e) {
      throw new UserException(
          where + ": not JSON: " + JsonFault.of(e) + "; each line is one object", e);
    }
    if (!(node instanceof ObjectNode object)) {
      throw new UserException(where + ": each line is one JSON object, such as {\"problem\": …}");
    }
    String question = string(object, where, "problem", "question");
    if (question == null) {
      throw new UserException(where + ": no problem: add a field problem or question");
    }
    String family = string(object, where, "family", "subject");
    String id = string(object, where, "id", "unique_id");
    return new BenchmarkProblem(
        id == null ? String.valueOf(number) : id, question, answer(object, where), family, false);
  }

  private static String answer(ObjectNode object, String where) {
    String answer = string(object, where, "answer");
    if (answer != null) {
      return ReferenceAnswer.ofAnswer(answer);
    }
    String solution = string(object, where, "solution");
    if (solution == null) {
      throw new UserException(where + ": no answer: add a field answer, or a boxed solution");
    }
    Optional<String> boxed = ReferenceAnswer.ofSolution(solution);
    if (boxed.isPresent()) {
      return boxed.get();
    }
    if (solution.length() > 200) {
      throw new UserException(
          where + ": solution: no \\boxed{…} in it; box its answer, or add a field answer");
    }
    return solution;
  }

  private static String capital(String name) {
    return Character.toUpperCase(name.charAt(0)) + name.substring(1);
  }

  /** The first of the fields that is there and not blank. */
  private static @Nullable String string(ObjectNode object, String where, String... names) {
    for (String name : names) {
      // AIME is published with capital letters too.
      String capital = name.length() <= 2 ? name.toUpperCase(Locale.ROOT) : capital(name);
      JsonNode value = object.has(name) ? object.get(name) : object.get(capital);
      if (value == null || value.isNull()) {
        continue;
      }
      if (!value.isTextual() && !value.isNumber()) {
        throw new UserException(where + ": " + name + ": expected text or a number");
      }
      if (!value.asText().isBlank()) {
        return value.asText();
      }
    }
    return null;
  }
}
