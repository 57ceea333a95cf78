package io.tercel.trainer.eval.code;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.trainer.eval.AnswerChecker.Verdict;
import io.tercel.trainer.eval.BenchmarkProblem;
import io.tercel.trainer.eval.Judge;
import io.tercel.trainer.files.JsonLine;
import io.tercel.trainer.files.LineFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * LiveCodeBench's problems, of {@code code_generation_lite}'s files, and their judge: the last
 * fenced block of an answer must pass all tests. Tests stay in the files until a program is to be
 * judged. What a program does, down to its death, is a verdict and stops nothing.
 */
public final class CodeSuite implements Judge {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PROMPT =
      """
      You are an expert Python programmer. You will be given a question (problem specification) \
      and will generate a correct Python program that matches the specification and passes all \
      tests.

      ### Question:
      %s

      ### Format: %s
      ```python
      %s
      ```

      ### Answer: (use the provided format with backticks)

      """;
  private static final String STARTER =
      "You will use the following starter code to write the solution to the problem and enclose"
          + " your code within delimiters.";
  private static final String STANDARD_INPUT =
      "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly"
          + " test on the sample inputs). Enclose your code within delimiters as follows. Ensure"
          + " that when the python program runs, it reads the inputs, runs the algorithm and writes"
          + " output to STDOUT.";

  private final List<LineFile> files = new ArrayList<>();
  private final Map<String, Tested> places = new HashMap<>();
  private final List<BenchmarkProblem> problems = new ArrayList<>();
  private final Sandbox sandbox;
  private final ProcessLimits limits;

  /** Programs take turns, for what one waits for the others counts as its own time. */
  private final Semaphore turns =
      new Semaphore(Math.max(1, Runtime.getRuntime().availableProcessors() / 2), true);

  /** Where a problem's tests are. */
  private record Tested(LineFile file, LineFile.Place place, int line, @Nullable String function) {}

  private CodeSuite(Sandbox sandbox, ProcessLimits limits) {
    this.sandbox = sandbox;
    this.limits = limits;
  }

  /**
   * Opens and checks the files.
   *
   * @param allowUnsandboxed whether programs may run where they can't be held
   * @throws UserException naming file, line and field, or that there is no sandbox
   */
  public static CodeSuite open(List<Path> paths, boolean allowUnsandboxed)
      throws InterruptedException {
    return open(paths, Sandbox.find(allowUnsandboxed), ProcessLimits.USUAL);
  }

  static CodeSuite open(List<Path> paths, Sandbox sandbox, ProcessLimits limits) {
    CodeSuite suite = new CodeSuite(sandbox, limits);
    boolean whole = false;
    try {
      for (Path path : paths) {
        LineFile file = LineFile.open(path);
        suite.files.add(file);
        file.visit((line, place, number) -> suite.add(line, file, place, number));
      }
      whole = true;
      return suite;
    } finally {
      if (!whole) {
        suite.close();
      }
    }
  }

  private void add(JsonLine line, LineFile file, LineFile.Place place, int number) {
    String id = line.optional("question_id").orElseGet(() -> String.valueOf(problems.size() + 1));
    TestCase.of(line);
    String starter = line.optional("starter_code").orElse("");
    String question =
        PROMPT.formatted(
            line.text("question_content").strip(),
            starter.isEmpty() ? STANDARD_INPUT : STARTER,
            starter.isEmpty() ? "# YOUR CODE HERE" : starter);
    String function = function(line);
    if (places.put(id, new Tested(file, place, number, function)) != null) {
      throw line.refuse("question_id", "is there twice: " + id);
    }
    problems.add(
        new BenchmarkProblem(id, question, "", line.optional("difficulty").orElse(null), true));
  }

  private static @Nullable String function(JsonLine line) {
    JsonNode metadata = line.fields().path("metadata");
    try {
      JsonNode read =
          metadata.isTextual() && !metadata.textValue().isBlank()
              ? JSON.readTree(metadata.textValue())
              : metadata;
      String name = read.path("func_name").asText();
      if (name.isEmpty()) {
        if (TestCase.of(line).stream().anyMatch(TestCase::functional)) {
          throw line.refuse("metadata", "names no func_name, which its tests call");
        }
        return null;
      }
      return name;
    } catch (JsonProcessingException e) {
      throw new UserException(line.where() + ": metadata is no JSON", e);
    }
  }

  /** The problems in the files' order. */
  public List<BenchmarkProblem> problems() {
    return List.copyOf(problems);
  }

  @Override
  public Verdict check(BenchmarkProblem problem, String text) throws InterruptedException {
    Optional<String> program = Program.in(text);
    if (program.isEmpty()) {
      return new Verdict(null, false);
    }
    Tested tested = places.get(problem.id());
    if (tested == null) {
      throw new IllegalArgumentException("no problem " + problem.id());
    }
    List<TestCase> tests = TestCase.of(tested.file.line(tested.place, tested.line));
    for (int i = 0; i < tests.size(); i++) {
      String fault = fault(program.get(), tested.function, tests.get(i));
      if (fault != null) {
        return new Verdict("test %d of %d: %s".formatted(i + 1, tests.size(), fault), false);
      }
    }
    return new Verdict("passes %d tests".formatted(tests.size()), true);
  }

  private @Nullable String fault(String program, @Nullable String function, TestCase test)
      throws InterruptedException {
    Sandbox.Outcome outcome;
    turns.acquire();
    try {
      outcome =
          test.functional() && function != null
              ? sandbox.call(program, function, test.input(), limits)
              : sandbox.run(program, test.input(), limits);
    } finally {
      turns.release();
    }
    if (outcome.fault() != null) {
      return outcome.fault();
    }
    boolean same =
        test.functional()
            ? Outputs.sameValue(outcome.output(), test.output())
            : Outputs.samePrinted(outcome.output(), test.output());
    return same ? null : "wrong";
  }

  @Override
  public void close() {
    files.forEach(LineFile::close);
  }
}
